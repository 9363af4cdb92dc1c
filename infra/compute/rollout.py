"""How far a roll-out has come: the phase of a stage -> shares of mail, images, and what runs beside. Pure. docs/aws.md tells the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infra.config.stages import Release

SHARES: Mapping[tuple[str, str], tuple[float, float, float]] = {
    # accepted, of these to `next`, of all copied to `shadow`
    ("first", "shadow"): (0.0, 0.0, 1.0),
    ("first", "1%"): (0.01, 0.0, 0.0),
    ("first", "10%"): (0.1, 0.0, 0.0),
    ("first", "all"): (1.0, 0.0, 0.0),
    ("upgrade", "shadow"): (1.0, 0.0, 0.05),
    ("upgrade", "1%"): (1.0, 0.01, 0.05),
    ("upgrade", "10%"): (1.0, 0.1, 0.05),
    ("upgrade", "all"): (1.0, 0.0, 0.0),
}


class Rollout(NamedTuple):
    """`accept`, `next`, `shadow` are settings of the product (`rollout.*`); `images` are tags by what runs. `finished`: no older version runs any more,
    nor is one kept to go back to.
    """

    accept: float
    next: float
    shadow: float
    images: Mapping[str, str]
    finished: bool


def rollout(release: Release) -> Rollout:
    """What a phase means. That the fields go together is checked in config/rules.py.

    In an upgrade `shadow`, and `next` while it gets a share, run the image that is to come, all else the one that is; in the phase `all` everything
    runs the one that is to come. So after a step back the old version finishes what the new one left in the queue `next`.
    """
    accept, share, shadow = SHARES[release.kind, release.phase]
    to_come = release.next_image or release.image
    usual = to_come if release.phase == "all" else release.image
    images = dict.fromkeys(("work", "large", "settle", "doctor", "desk", "migrate"), usual)
    images |= {"next": to_come if share else usual, "shadow": to_come}
    return Rollout(accept, share, shadow, images, release.phase == "all" and not release.next_image)
