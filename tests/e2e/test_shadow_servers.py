"""A new version brought out on all servers: by a share of the queue, by a copy that is compared, on the schema of both; and what kills do to it."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import md5
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shadow_other

from mailloom.config import REPORTS
from mailloom.flow.transform import transform
from mailloom.mail.model import Origin
from mailloom.ports import Pointer
from mailloom.run.rollout import within
from mailloom.synth import generate, shape_of
from whole import Whole, plain

pytestmark = pytest.mark.servers
MAILS = 120
OTHER = [sys.executable, shadow_other.__file__]
SHARES = {"accept": 1.0, "next": 0.3, "shadow": 0.5}


def made(seed: int, count: int = MAILS, again: float = 0) -> dict[str, bytes]:
    """Mails by the name of their object, each once."""
    raws = list(
        dict.fromkeys(mail.raw for mail in generate(count, seed, shape_of(f"again={again},attached=0.2,size=2KB")))
    )
    return {f"{n:04}.eml": raw for n, raw in enumerate(raws)}


def chosen(whole: Whole, mails: dict[str, bytes], name: str, share: float) -> set[str]:
    def pointer(key: str, raw: bytes) -> Pointer:
        return Pointer(whole.profile.name, f"raw/{key}", "", md5(raw).hexdigest(), len(raw), 0)

    return {key for key, raw in mails.items() if within(pointer(key, raw), name, share)}


def fates(mails: dict[str, bytes], keys: Sequence[str] | set[str]) -> dict[str, str]:
    """What the other version makes of these: a mail without anything inside stays the same where others change."""

    def fate(raw: bytes) -> str:
        what = shadow_other.fate(raw)
        record = transform(raw, Origin("", "", 0, len(raw), len(raw), 0)).record
        assert record is not None
        return what if what != "nested" or record.message.nested else "same"

    return {key: fate(mails[key]) for key in keys}


def run_other(whole: Whole, *words: str, code: int = 0) -> str:
    process = whole.launch("other", [*OTHER, *words], {})
    assert process.wait(120) == code, whole.log("other")
    whole.processes.pop("other")
    return whole.log("other")


def lines(whole: Whole) -> list[dict[str, Any]]:
    """All lines of all reports."""
    bucket = whole.servers.buckets(whole.profile.name)
    return [json.loads(line) for stat in bucket.list(REPORTS) for line in (bucket.get(stat.key) or b"").splitlines()]


def outcomes(whole: Whole) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in lines(whole):
        if line["line"] == "counts":
            counts.update({row["outcome"]: row["mails"] for row in line["counts"]})
    return counts


def add_columns(whole: Whole) -> None:
    """The first half of a newer version's migrations: a column more in each table, one table more."""
    with psycopg.connect(whole.profile.environ["MAILLOOM_DESK_POSTGRES"]) as connection:
        found = connection.execute(
            "select c.oid::regclass::text from pg_class c where relkind in ('r', 'p') and not relispartition"
            " and relnamespace = 'public'::regnamespace and relname <> 'schema_version'"
        ).fetchall()
        assert len(found) > 10
        for (table,) in found:
            connection.execute(f"alter table {table} add column mood text".encode())
        connection.execute("create table moods (mood text)")
        connection.execute("insert into schema_version select max(version) + 1, 'moods' from schema_version")


def test_a_new_version_is_brought_out_and_what_it_changes_is_found(wholes: Callable[..., Any], tmp_path: Path) -> None:
    whole: Whole = wholes(more={"rollout": SHARES})
    add_columns(whole)
    mails = made(11, again=0.1)  # copies are compared too: with the record of the mail that they are a copy of
    whole.put(mails)
    whole.run("validate", "--drain")
    whole.start("old", "work")
    whole.start("new", "work", "--queue", "next")
    books = whole.wait(len(mails))
    assert [whole.end(name) for name in ("old", "new")] == [0, 0]
    assert books["received"] == len(mails) == books["stored"] + books["duplicate"]
    assert books["duplicate"] > 0
    to_next = chosen(whole, mails, "next", 0.3)
    assert 0 < len(to_next) < len(mails)
    for name, count in (("old", len(mails) - len(to_next)), ("new", len(to_next))):
        assert f"received {count}, stored" in whole.log(name), whole.log(name)[-500:]

    log = run_other(whole, "work", "--shadow", "--drain", code=1)
    expected = fates(mails, chosen(whole, mails, "shadow", 0.5))
    counts = Counter(expected.values())
    assert min(counts[what] for what in ("text", "nested", "failed", "same")) > 0
    report = json.loads(whole.run("shadow", "report", "--json"))
    assert {o: report[o] for o in ("same", "changed", "failed", "absent")} == {
        "same": counts["same"],
        "changed": counts["text"] + counts["nested"],
        "failed": counts["failed"],
        "absent": 0,
    }
    assert {path: one["mails"] for path, one in report["fields"].items()} == {
        "text": counts["text"],
        "nested.subject": counts["nested"],
    }
    assert {(one["was"], one["now"]) for one in report["versions"]} == {("2", shadow_other.VERSION)}
    found = {line["key"].removeprefix("raw/"): line for line in lines(whole) if line["line"] == "mail"}
    assert set(found) == {key for key, what in expected.items() if what != "same"}
    for key, line in found.items():
        paths = {one["path"].partition("[")[0] for one in line["fields"]}
        assert paths == ({expected[key]} if expected[key] != "failed" else set())
        assert line["outcome"] == ("failed" if expected[key] == "failed" else "changed")
    assert {line["reason"] for line in found.values()} == {"", "bug: KeyError at read:7"}
    assert "secret words" not in log

    share = (counts["text"] + counts["nested"] + counts["failed"]) / sum(counts.values())
    assert report["share"] == pytest.approx(share)
    whole.run("shadow", "report", "--fail-above", str(share + 0.001))
    told = whole.run("shadow", "report", "--fail-above", str(share - 0.001), code=1)
    assert f"text: {counts['text']} mail" in told
    whole.run("shadow", "report", "--days", "0", "--fail-above", "1", code=1)  # nothing compared is no pass

    changed = next(key for key, what in expected.items() if what == "text")
    shown = run_other(whole, "shadow", "show", f"raw/{changed}")[len(log) :]
    assert "changed" in shown
    assert any(line.startswith("  +") and line.endswith("!") for line in shown.splitlines()), shown
    assert "same" in whole.run("shadow", "show", f"s3://{whole.profile.name}/raw/{changed}")

    whole.settle()
    digest, _ = plain(tmp_path, list(mails.values()))
    assert whole.digest() == digest
    assert whole.books() == books
    assert "is sound" in whole.run("doctor")


def test_a_share_is_held_and_a_prefix_takes_it_later(wholes: Callable[..., Any], tmp_path: Path) -> None:
    whole: Whole = wholes(more={"rollout": {"accept": 0.4, "shadow": 1.0}})
    mails = made(12, 60)
    whole.put(mails)
    accepted = chosen(whole, mails, "accept", 0.4)
    told = json.loads(whole.run("validate", "--drain", "--json").splitlines()[-1])
    assert (told["queued"], told["held"]) == (len(accepted), len(mails) - len(accepted))
    whole.run("work", "--drain")
    assert whole.books()["received"] == whole.books()["stored"] == len(accepted)
    # Of what is in no books there is nothing to compare with; it comes again a few times before it counts.
    whole.run("work", "--shadow", "--drain")
    assert outcomes(whole) == Counter(same=len(accepted), absent=len(mails) - len(accepted))
    whole.run("ingest", f"s3://{whole.profile.name}/raw/")
    books = whole.books()
    assert books["received"] == books["stored"] == len(mails)
    whole.settle()
    assert whole.digest() == plain(tmp_path, list(mails.values()))[0]


def test_a_shadow_worker_that_is_killed_loses_nothing(wholes: Callable[..., Any]) -> None:
    """What was reported and not deleted is counted twice, no more."""
    whole: Whole = wholes(
        more={"rollout": {"shadow": 1.0}, "worker": {"batch": 10, "batch_seconds": 0.1, "visibility": 10}}
    )
    mails = made(13, 60)
    whole.put(mails)
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    for kill in range(3):
        whole.launch("slow", [*OTHER, "work", "--shadow", "--drain"], {"SHADOW_OTHER_SLOW": "0.05"})
        until, before = time.monotonic() + 60, outcomes(whole).total()
        while outcomes(whole).total() < before + 10:
            assert whole.processes["slow"].poll() is None, whole.log("slow")
            assert time.monotonic() < until, whole.log("slow")
            time.sleep(0.02 * kill)
        whole.kill("slow")
    run_other(whole, "work", "--shadow", "--drain", code=1)
    assert whole.servers.queue("shadow").depth() == (0, 0)
    expected = fates(mails, set(mails))
    counted = Counter(line["key"].removeprefix("raw/") for line in lines(whole) if line["line"] == "mail")
    assert set(counted) == {key for key, what in expected.items() if what != "same"}
    assert max(counted.values()) <= 1 + 3
    assert len(mails) <= outcomes(whole).total() <= len(mails) + 3 * 10  # a batch a kill at most
    assert whole.books()["stored"] == len(mails)


def test_a_copy_that_was_given_up_is_no_dead_letter_of_mail(wholes: Callable[..., Any]) -> None:
    """Letters in `dead` stand for mail that is pending: a copy among them would hide one that has lost its message."""
    whole: Whole = wholes(more={"rollout": {"shadow": 1.0}})
    mails = made(14, 3)
    whole.put(mails)
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    copies, letters = whole.servers.queue("shadow"), whole.servers.queue("dead_shadow")
    until = time.monotonic() + 60
    while letters.depth()[0] < len(mails):  # a shadow worker that dies over each of them: it receives, and that is all
        assert time.monotonic() < until
        copies.extend({message.receipt: 0 for message in copies.receive(10, 0)})
    assert whole.servers.queue("dead").depth() == (0, 0)
    assert f"{len(mails)} copies given up" in whole.run("shadow", "report")
    assert json.loads(whole.run("shadow", "report", "--json"))["letters"] == len(mails)
    whole.run("shadow", "report", "--fail-above", "1", code=1)
    assert whole.run("dead", "list") == ""
    listed = whole.run("dead", "list", "--shadow")
    assert f"s3://{whole.profile.name}/raw/{min(mails)}" in listed
    assert f"{len(mails)} letters dropped" in whole.run("dead", "drop", "all", "--shadow")
    assert letters.depth() == (0, 0)
    books = whole.books()
    assert books["received"] == books["stored"] == len(mails)
    assert "given up" not in whole.run("shadow", "report")


def test_a_share_without_its_queue_stops_the_validator(wholes: Callable[..., Any]) -> None:
    whole: Whole = wholes(more={"rollout": {"next": 0.1, "shadow": 0.1}, "aws.queues": {"next": ""}})
    assert whole.run("validate", "--drain", code=2) == ""
    assert whole.run("work", "--shadow", "--large", code=2) == ""
    assert whole.run("work", "--queue", "next", "--drain", code=2) == ""
    assert whole.run("work", "--drain") != ""
