"""Phases of a roll-out: which share of mail goes where, and what runs."""

from __future__ import annotations

import pytest

from infra.compute.rollout import SHARES, rollout
from infra.config.load import read
from infra.config.stages import Release
from mailloom.ports.errors import UserError

OLD, NEW = "1.0.0", "1.1.0"


def upgrade(phase: str) -> Release:
    return Release(kind="upgrade", phase=phase, image=OLD, next_image=NEW)


@pytest.mark.parametrize(
    ("release", "accept", "share", "shadow", "work", "beside", "copies", "finished"),
    [
        (Release(phase="shadow", image=OLD), 0.0, 0.0, 1.0, OLD, OLD, OLD, False),
        (Release(phase="1%", image=OLD), 0.01, 0.0, 0.0, OLD, OLD, OLD, False),
        (Release(phase="10%", image=OLD), 0.1, 0.0, 0.0, OLD, OLD, OLD, False),
        (Release(phase="all", image=OLD), 1.0, 0.0, 0.0, OLD, OLD, OLD, True),
        (upgrade("shadow"), 1.0, 0.0, 0.05, OLD, OLD, NEW, False),
        (upgrade("1%"), 1.0, 0.01, 0.05, OLD, NEW, NEW, False),
        (upgrade("10%"), 1.0, 0.1, 0.05, OLD, NEW, NEW, False),
        (upgrade("all"), 1.0, 0.0, 0.0, NEW, NEW, NEW, False),
    ],
)
def test_a_phase_says_what_mail_goes_where(release, accept, share, shadow, work, beside, copies, finished):
    found = rollout(release)
    assert (found.accept, found.next, found.shadow) == (accept, share, shadow)
    assert [found.images[name] for name in ("work", "next", "shadow")] == [work, beside, copies]
    assert found.finished is finished


def test_every_phase_has_its_shares():
    assert len(SHARES) == 8
    for phase in ("shadow", "1%", "10%", "all"):
        rollout(Release(phase=phase))
        rollout(upgrade(phase))


def test_the_new_image_works_for_nobody_else_before_all():
    """Settlers and large mail have one queue for all versions: they stay with the old one until the end."""
    for phase in ("shadow", "1%", "10%"):
        found = rollout(upgrade(phase))
        assert {found.images[name] for name in ("work", "large", "settle", "doctor")} == {OLD}
    assert set(rollout(upgrade("all")).images.values()) == {NEW}


def test_shares_only_grow_on_the_way():
    for kind in ("first", "upgrade"):
        taken = [SHARES[kind, phase][0 if kind == "first" else 1] for phase in ("shadow", "1%", "10%")]
        assert taken == sorted(taken)
        assert len(set(taken)) == 3


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "upgrade"}, "release.next_image"),
        ({"next_image": NEW}, "release.next_image"),
        ({"kind": "upgrade", "image": NEW, "next_image": NEW}, "the image that runs"),
        ({"phase": "50%"}, "release.phase"),
        ({"image": ""}, "release.image"),
    ],
)
def test_what_does_not_go_together_is_told(table, words):
    with pytest.raises(UserError, match=words):
        read("dev", {"release": table})
