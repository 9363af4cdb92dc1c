"""`rethread` gives the archive that a fresh ingest by the same rules gives; a dry run tells the same and touches nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from mailloom.archive import Archive, open_archive
from mailloom.archive.changes import NAMED, Counts
from mailloom.archive.digest import Digest, digest
from mailloom.archive.doctor import examine, mend
from mailloom.archive.rethread import preview, rethread
from mailloom.cli import group
from mailloom.mail.model import Record
from mailloom.ports import Stated
from mailloom.run.ingest import ingest
from mailloom.run.pool import spread
from mailloom.stores.sqlite import epochs
from mailloom.synth import generate, shape_of, write
from mailloom.thread.evidence import evidence
from mailloom.wire import open_for_writing

MAILS = 160
SHAPE = "size=2KB,again=0.08,lost=0.3,missing=0.1,broken=0.1,retopic=0.05"


def without_asking(record: Record) -> Stated:
    """Rules without soft evidence: what lost its headers stands alone."""
    return evidence(record)._replace(owns=(), asks=())


def without_references(record: Record) -> Stated:
    stated = evidence(record)
    return stated._replace(links=tuple(link for link in stated.links if link.kind == "message-id"))


OTHER_RULES: dict[str, Callable[[Record], Stated]] = {
    "without soft evidence": without_asking,
    "without hard evidence": without_references,
}


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("rethread")
    write(room, generate(MAILS, 5, shape_of(SHAPE)), "eml")
    return room / "mail"


def brought_in(archive: Path, source: Path) -> Path:
    with open_for_writing(archive) as stores:
        assert ingest([str(source)], stores).balanced
    return archive


@pytest.fixture(scope="module")
def fresh(mail: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brought_in(tmp_path_factory.mktemp("fresh") / "archive", mail)


@pytest.fixture(scope="module", params=OTHER_RULES)
def outdated(request: pytest.FixtureRequest, mail: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose threads were derived by other rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mailloom.flow.transform.evidence", OTHER_RULES[request.param])
        patch.setattr("mailloom.wire.embedded.RULES", "0")
        return brought_in(tmp_path_factory.mktemp("outdated") / "archive", mail)


@pytest.fixture
def archive(outdated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(outdated, tmp_path / "archive"))


def digested(archive: Path) -> list[Digest]:
    with open_archive(archive) as opened:
        return digest(opened)


def threads(archive: Path) -> dict[bytes, bytes]:
    with open_archive(archive) as opened:
        return {message: thread for message, thread, _ in opened.threads()}


def again(archive: Path) -> Counts:
    with open_for_writing(archive) as stores, rethread(stores) as changes:
        return changes.counts


def dry(archive: Path) -> Counts:
    with open_archive(archive) as opened, preview(opened) as changes:
        return changes.counts


def sound(archive: Path) -> None:
    with open_archive(archive) as opened:
        assert [finding for finding in examine(opened, deep=True) if not finding.ok] == []


def contents(archive: Path) -> dict[str, str]:
    """What is in each file, but for the one by which readers and a writer find each other."""
    files = sorted(path for path in archive.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size}


# ------------------------------------------------------------------------------------------------ what it gives
def test_it_gives_what_a_fresh_ingest_gives(archive: Path, fresh: Path) -> None:
    assert digested(archive) != digested(fresh)
    counts = again(archive)
    assert counts.messages == len(threads(archive))
    assert 0 < counts.restated <= counts.messages
    assert digested(archive) == digested(fresh)
    sound(archive)


def test_a_second_time_changes_nothing(archive: Path) -> None:
    again(archive)
    before = digested(archive)
    counts = again(archive)
    assert (counts.restated, counts.renamed, counts.joined, counts.split, counts.regrouped) == (0, 0, 0, 0, 0)
    assert counts.before == counts.after
    assert digested(archive) == before


def test_jobs_do_not_matter(archive: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailloom.archive.rethread.BATCH", 20)
    with open_for_writing(archive) as stores, rethread(stores, spread=spread(2)):
        pass
    assert digested(archive) == digested(fresh)


def test_what_it_counts_is_what_happens(archive: Path) -> None:
    before, counts = threads(archive), again(archive)
    after = threads(archive)
    assert counts.renamed == sum(before[message] != after[message] for message in before)
    assert (counts.before, counts.after) == (len(set(before.values())), len(set(after.values())))
    with open_archive(archive) as opened:
        feed = list(opened.connection.execute("select old, new from feed where why = 'rethread'"))
    became: dict[bytes, set[bytes]] = {}
    for message, old in before.items():
        became.setdefault(old, set()).add(after[message])
    assert {old: {new[i : i + 16] for i in range(0, len(new), 16)} for old, new in feed} == {
        old: new for old, new in became.items() if new != {old}
    }


def test_changes_say_which_links_join(archive: Path, outdated: Path, fresh: Path) -> None:
    before, after = threads(outdated), threads(fresh)
    kinds: set[str] = set()
    renamed = 0
    with open_archive(archive) as opened, preview(opened) as changes:
        found = list(changes)
        assert [change.renamed for change in found] == sorted((change.renamed for change in found), reverse=True)
        assert [c._replace(joins={}, parts={}) for c in changes.largest(2)] == [
            c._replace(joins={}, parts={}) for c in found[:2]
        ]
    for change in found:
        renamed += change.renamed
        assert 1 <= len(change.before) <= min(change.befores, NAMED)
        for parts, membership in ((change.before, before), (change.after, after)):
            sizes = [sum(thread == part.thread for thread in membership.values()) for part in parts]
            assert sizes == [part.messages for part in parts] == sorted(sizes, reverse=True)
        if change.kind == "joined":
            assert (change.befores > 1, change.afters, change.parts) == (True, 1, {})
            assert change.joins
            assert sum(change.joins.values()) <= change.messages
        kinds |= change.joins.keys()
    assert renamed == sum(before[message] != after[message] for message in before)
    assert kinds
    assert "in-reply-to" in kinds or kinds.isdisjoint({"references", "thread-index", "message-id"})


def test_ingest_goes_on_after_it(mail: Path, tmp_path: Path, fresh: Path) -> None:
    mails = sorted(mail.rglob("*.eml"))
    for number, path in enumerate(mails):
        part = tmp_path / ("late" if number % 2 else "early")
        part.mkdir(exist_ok=True)
        shutil.copy(path, part / path.name)
    archive = brought_in(tmp_path / "archive", tmp_path / "early")
    again(archive)
    brought_in(archive, tmp_path / "late")
    assert digested(archive) == digested(fresh)
    sound(archive)


def test_scopes_do_not_meet(mail: Path, tmp_path: Path) -> None:
    room = tmp_path / "archive"
    for scope in ("", "a", "b"):
        with open_for_writing(room, scope) as stores:
            ingest([str(mail)], stores)
    before = {}
    for scope in ("", "b"):
        with open_archive(room, scope) as opened:
            before[scope] = digest(opened)
    with pytest.MonkeyPatch.context() as patch, open_for_writing(room, "a") as stores:
        patch.setattr("mailloom.archive.rethread.evidence", without_asking)
        with rethread(stores) as changes:
            assert changes.counts.split
    for scope, expected in before.items():
        with open_archive(room, scope) as opened:
            assert digest(opened) == expected
    with open_archive(room, "a") as opened:
        assert digest(opened) != before[""]


# ------------------------------------------------------------------------------------------------ a dry run, and runs that fail
def test_a_dry_run_tells_the_same_and_touches_nothing(archive: Path) -> None:
    before = contents(archive)
    told = dry(archive)
    assert contents(archive) == before
    assert told == again(archive)


def test_a_dry_run_sees_one_state_while_others_write(archive: Path, mail: Path, tmp_path: Path) -> None:
    """Mail that arrives in the middle is in neither side of the comparison."""
    late = tmp_path / "late"
    late.mkdir()
    (late / "late.eml").write_bytes(
        b"From: x@example.org\nSubject: late\nDate: Tue, 5 Mar 2024 10:00:00 +0000\n\nlate\n"
    )
    told = dry(archive)

    def meanwhile(messages: int) -> None:
        if not threads(archive).keys() - known:
            brought_in(archive, late)

    known = threads(archive).keys()
    with open_archive(archive) as opened, preview(opened, progress=meanwhile) as changes:
        assert changes.counts == told
    assert len(threads(archive)) == told.messages + 1


def test_where_it_raises_all_stays_as_it_was(archive: Path) -> None:
    class StopError(Exception):
        pass

    before = digested(archive)
    with open_for_writing(archive) as stores:
        with pytest.raises(StopError), rethread(stores):
            raise StopError
        assert digested(archive) == before
        stores.sweep()
        assert {row[0] for row in stores.connection.execute("select distinct scope from nodes")} == {""}
    assert digested(archive) == before


# ------------------------------------------------------------------------------------------------ readers
def test_a_reader_from_before_the_switch_goes_on_being_right(archive: Path, fresh: Path) -> None:
    with open_archive(archive) as reader, open_archive(fresh) as wanted:
        seen(reader)
        again(archive)
        assert seen(reader) == seen(wanted)
        assert digest(reader) == digest(wanted)


def seen(archive: Archive) -> list[object]:
    """What every way to read threads says."""
    entries = list(archive.threads())
    messages = [message for message, _, _ in entries]
    return [
        entries,
        [archive.conversation(message) for message in messages],
        [archive.members(thread) for _, thread, _ in entries],
        [archive.tree(thread) for thread in sorted({thread for _, thread, _ in entries})],
        [archive.twins(message) for message in messages],
        archive.stated(messages),
        [archive.count(f"thread:{archive.short(message)}") for message in messages[:20]],
        [hit.conversation for hit in archive.search("", limit=50)],
        archive.stores.conversations(),
    ]


def test_a_snapshot_outlives_a_switch(archive: Path, outdated: Path) -> None:
    with open_archive(archive) as reader, open_archive(outdated) as wanted, reader.snapshot():
        before = seen(reader)
        again(archive)
        assert seen(reader) == before == seen(wanted)


# ------------------------------------------------------------------------------------------------ old rules are told
def test_doctor_tells_of_other_rules_and_mends_them(archive: Path, fresh: Path) -> None:
    with open_archive(archive) as opened:
        assert "rules 0" in opened.stores.outdated()
        faults = {finding.check: finding for finding in examine(opened) if not finding.ok}
    assert faults.keys() == {"rules"}
    assert "mailloom rethread" in faults["rules"].mend
    assert any(step.startswith("threads") for step in mend(archive, faults))
    sound(archive)
    assert digested(archive) == digested(fresh)
    with open_archive(archive) as opened:
        assert opened.stores.outdated() == ""
        assert epochs.current(opened.connection, "") == 1


def test_a_record_that_is_lost_keeps_its_threads(fresh: Path, tmp_path: Path) -> None:
    archive = Path(shutil.copytree(fresh, tmp_path / "archive"))
    before = threads(archive)
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    connection.execute("delete from bodies where seq = 3; update bodies set body = substr(body, 1, 40) where seq = 5")
    connection.close()
    counts = again(archive)
    assert (counts.restated, counts.renamed) == (0, 0)
    assert threads(archive) == before


# ------------------------------------------------------------------------------------------------ the command
def mailloom(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailloom", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def invoked(*words: str | Path) -> Result:
    """The command in this process: six programs take longer to start than all that they do."""
    return CliRunner().invoke(group, list(map(str, words)), catch_exceptions=False)


def test_the_command_tells_and_switches(archive: Path, fresh: Path, mail: Path) -> None:
    assert "mailloom rethread" in invoked("stats", "--archive", archive).stderr
    assert "mailloom rethread" in invoked("ingest", mail, "--archive", archive, "--jobs", "1").stdout
    told = dry(archive)
    before = digested(archive)
    printed = invoked("rethread", "--dry-run", "--json", "-a", archive, "--jobs", "1").stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    assert len(lines) == told.joined + told.split + told.regrouped + 1
    assert Counts(*(lines[-1][name] for name in Counts._fields)) == told
    assert digested(archive) == before
    done = mailloom("rethread", "-a", archive, "--limit", "2")
    assert done.returncode == 0
    assert len([line for line in done.stdout.splitlines() if " → " in line]) == 2
    assert "now joined by" in done.stdout
    assert digested(archive) == digested(fresh)
    assert "none of them changes" in invoked("rethread", "-a", archive, "--jobs", "1").stdout
    assert "rethread" not in invoked("stats", "--archive", archive).stderr


def test_who_reads_only_the_beginning_of_the_report_gets_the_switch(archive: Path, fresh: Path) -> None:
    command = [sys.executable, "-m", "mailloom", "rethread", "--json", "--jobs", "1", "-a", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert digested(archive) == digested(fresh)


def test_there_is_nothing_to_rethread_where_no_archive_is(tmp_path: Path) -> None:
    done = mailloom("rethread", "-a", tmp_path / "none")
    assert done.returncode == 2
    assert "no archive" in done.stderr
    assert not (tmp_path / "none").exists()
