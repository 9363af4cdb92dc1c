"""What the shadow worker says of two versions of a mail: the very fields that differ, with sizes and never with words; and reports that add up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Thread
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrivals import arrived
from mailloom.config import REPORTS, Worker
from mailloom.flow.commit import Arrived
from mailloom.flow.transform import refuse, seal, transform
from mailloom.mail.model import Date, Origin
from mailloom.ports import Copy, Parcel, Pointer, Received, Stat, Transient, UserError
from mailloom.run.differences import REJECTED, Said, _middles, differences
from mailloom.run.pointers import pointer_body
from mailloom.run.shadow import LATER, Shadow, Stored, judge, said_of, without_words
from mailloom.run.shadow_reports import Finding, name_of, summed_up, written
from mailloom.schema import VERSION, dump_record, text_id
from mailloom.synth import generate, shape_of
from mailloom.thread.evidence import evidence

RAW = b"""From: Ann <ann@example.org>
To: bo@example.org
Date: Tue, 5 Mar 2024 10:00:00 +0000
Subject: Re: tulips
Message-ID: <2@example.org>
In-Reply-To: <1@example.org>

Yes, the red ones.

On Mon, 4 Mar 2024 at 09:00, Bo <bo@example.org> wrote:
> Which tulips do you want? There are red ones and white ones.
"""
POINTER = Pointer("mail", "raw/2.eml", "", "0" * 32, len(RAW), 1)


def record_of(raw: bytes = RAW) -> Any:
    outcome = transform(raw, Origin("s3://mail", "raw/2.eml", 0, len(raw), len(raw), 0))
    assert outcome.record is not None
    return outcome.record


def said(record: Any) -> Said:
    return Said(dump_record(record), evidence(record))


def with_message(**changes: Any) -> Any:
    record = record_of()
    return replace(record, message=replace(record.message, **changes))


# ------------------------------------------------------------------------------------------------ what differs
def paths(was: Said, now: Said) -> list[str]:
    return [one.path for one in differences(was, now)]


def test_the_same_mail_by_the_same_version_is_the_same() -> None:
    for mail in generate(60, 3, shape_of("attached=0.3,again=0.2")):
        made = arrived(mail.raw, 1)
        assert differences(said_of(made), said(transform(mail.raw, Origin("", "", 0, 1, 1, 0)).record)) == []


def test_just_the_fields_that_differ_are_named() -> None:
    old, message = said(record_of()), record_of().message
    (inside,) = message.nested
    plain = old.stated  # evidence that goes along is told too, so it is kept out where a record's own fields are meant

    def of(**changes: Any) -> list[str]:
        return paths(old, Said(dump_record(with_message(**changes)), plain))

    assert of(subject="Re: roses") == ["subject"]
    assert of(segments=message.segments[:-1]) == ["segments"]
    assert of(nested=(inside._replace(date=Date(None, None, "")),)) == [
        f"nested[0].{name}" for name in ("date", "date_text")
    ]
    assert of(nested=(inside._replace(text="Which?"),), text=message.text + "!") == ["text", "nested[0].text"]
    assert of(nested=()) == ["nested"]
    assert of(nested=(inside, inside._replace(path="2"))) == ["nested"]
    assert of(nested=(inside._replace(from_=()),)) == ["nested[0].from"]


def test_evidence_is_named_by_its_kind() -> None:
    old = said(record_of())
    assert old.stated is not None
    links = [link for link in old.stated.links if link.owns]
    assert len(links) < len(old.stated.links)
    gone = {link.kind for link in old.stated.links if not link.owns}
    now = Said(old.record, old.stated._replace(links=tuple(links)))
    assert set(paths(old, now)) == {f"evidence.links.{kind}" for kind in gone}
    assert {one.field for one in differences(old, now)} == {"evidence"}
    assert paths(old, Said(old.record, old.stated._replace(owns=(b"x" * 16,), own=b"y"))) == [
        "evidence.owns",
        "evidence.own",
    ]
    assert "evidence.subject" in paths(old, Said(old.record, None))


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
@settings(max_examples=400, deadline=None)
def test_sizes_are_what_is_left_without_a_common_beginning_and_end(
    start: bytes, a: bytes, b: bytes, end: bytes
) -> None:
    was, now = start + a + end, start + b + end
    removed, added = _middles(was, now)
    assert 0 <= removed <= len(a)
    assert 0 <= added <= len(b)
    assert len(was) - removed == len(now) - added
    assert (removed == added == 0) == (was == now)
    # No byte more could be left out.
    kept = len(was) - removed
    least = min(len(was), len(now))
    common = next((n for n in range(least) if was[n] != now[n]), least)
    behind = next((n for n in range(least - common) if was[-1 - n] != now[-1 - n]), least - common)
    assert kept == common + behind


@given(st.lists(st.sampled_from(["subject", "text", "list_id", "auto_submitted"]), unique=True))
def test_no_word_of_the_mail_is_in_a_report(names: list[str]) -> None:
    now = Said(dump_record(with_message(**{name: f"secret {name}" for name in names})), said(record_of()).stated)
    found = Finding("changed", POINTER, "1", "2", tuple(differences(said(record_of()), now)))
    assert sorted(one.path for one in found.differences) == sorted(names)
    report = written([found], 1).decode()
    for word in ("secret", "tulips", "red ones", "ann"):
        assert word not in report


# ------------------------------------------------------------------------------------------------ outcomes
MADE = arrived(RAW, 2)
STORED = Stored("1", said_of(MADE))


def refused(reason: str) -> Arrived:
    return Arrived(seal(refuse(Origin("s3://mail", "raw/2.eml", 0, 1, 1, 0), reason, RAW)), 0, 1)


OTHER = Stored("1", Said(dump_record(with_message(subject="Re: roses")), said_of(MADE).stated))
BUG = "bug: KeyError: 'words of the mail\nat night' at read:7"


@pytest.mark.parametrize(
    ("made", "stored", "early", "late"),
    [
        (MADE, STORED, "same", "same"),
        (MADE, OTHER, "changed", "changed"),
        (MADE, None, None, "absent"),
        (MADE, Stored("1", None), "changed", "changed"),
        (MADE, Stored("1", Said(b"", None), damaged=True), "failed", "failed"),
        (refused(BUG), STORED, "failed", "failed"),
        (refused(BUG), None, None, "failed"),
        (refused(BUG), Stored("1", None), "same", "same"),
        (refused("deleted before it was read"), STORED, "absent", "absent"),
        (refused("overwritten before it was read"), None, "absent", "absent"),
    ],
)
def test_outcomes(made: Arrived, stored: Stored | None, early: str | None, late: str) -> None:
    first, last = (judge(POINTER, made, stored, last=last) for last in (False, True))
    assert (first and first.outcome, last and last.outcome) == (early, late)
    assert last is not None
    assert (last.was, last.now) == (stored.version if stored else "", VERSION)
    assert "words of the mail" not in last.reason
    if stored is not None and stored.said is None and late == "changed":
        assert [one.path for one in last.differences] == [REJECTED]


@pytest.mark.parametrize(
    "record", [b"{", b"[]", b"7", b"\xff", b'{"nested":7}', b'{"nested":[7]}', b'{"nested":{"a":1}}']
)
def test_a_stored_record_that_is_none_is_that_mails_failure(record: bytes) -> None:
    finding = judge(POINTER, MADE, Stored("1", Said(record, None)), last=True)
    assert finding is not None
    assert (finding.outcome, finding.differences) == ("failed", ())
    assert finding.reason == "the stored record can't be read: `mailloom doctor`"


def test_reasons_lose_the_words_of_libraries_only() -> None:
    assert without_words(BUG) == "bug: KeyError at read:7"
    assert without_words("not mail: looks like PNG") == "not mail: looks like PNG"
    assert without_words("bug: a: b at c:1 at d:2") == "bug: a at d:2"
    assert without_words("bug: KeyError: " + "secret words " * 40) == "bug: KeyError"  # they pushed the place out


# ------------------------------------------------------------------------------------------------ reports
class Bucket:
    """Implements the part of ports.Blobs that reports need."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        return self.objects.get(key)

    def list(self, prefix: str, after: str = "") -> Iterator[Stat]:
        return (Stat(key, 1, "") for key in sorted(self.objects) if key.startswith(prefix))


DAY = 86_400_000
FINDINGS = st.builds(
    Finding,
    st.sampled_from(["same", "changed", "failed", "absent"]),
    st.builds(
        Pointer, st.just("mail"), st.text(min_size=1, max_size=9), st.just(""), st.just("e"), st.just(1), st.just(1)
    ),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["2", "3"]),
    st.just(()),
    st.just("why"),
)


@given(st.lists(st.tuples(st.integers(0, 4 * DAY), st.lists(FINDINGS, min_size=1, max_size=6)), max_size=8))
@settings(max_examples=100, deadline=None)
def test_reports_of_a_time_add_up(batches: Sequence[tuple[int, list[Finding]]]) -> None:
    bucket: Any = Bucket()
    for number, (at, findings) in enumerate(batches):
        assert bucket.put(name_of(at, [str(number)]), written(findings, at))
    for since, until in ((0, 4 * DAY), (DAY, 2 * DAY), (DAY + 1, DAY + 1)):
        expected = [one for at, findings in batches if since <= at <= until for one in findings]
        summary = summed_up(bucket, since, until)
        assert summary.counts == Counter((one.outcome, one.was, one.now) for one in expected)
        assert summary.unreadable == 0
        changed = sum(one.outcome in {"changed", "failed"} for one in expected)
        compared = changed + sum(one.outcome == "same" for one in expected)
        assert summary.compared == compared
        assert summary.share == (pytest.approx(changed / compared) if compared else None)
        assert sum(one.mails for one in summary.reasons.values()) == sum(one.outcome == "failed" for one in expected)


def test_fields_are_counted_once_a_mail_and_have_examples() -> None:
    differs = differences(said(record_of()), Said(dump_record(with_message(text="")), said(record_of()).stated))
    twice = [one._replace(path=f"nested[{n}].text") for n in range(2) for one in differs]
    findings = [Finding("changed", POINTER._replace(key=f"raw/{n}"), "1", "2", tuple(twice)) for n in range(5)]
    bucket: Any = Bucket()
    bucket.put(name_of(5, ["a"]), written(findings, 5))
    (path, field), *rest = summed_up(bucket, 0, 9).fields.items()
    assert (path, rest) == ("nested.text", [])
    assert (field.mails, field.examples) == (5, ["raw/0", "raw/1", "raw/2"])
    assert field.removed == 10 * differs[0].removed > 0


def test_lines_that_cant_be_read_are_told() -> None:
    bucket: Any = Bucket()
    good = written([Finding("same", POINTER, "1", "2")], 1)
    bucket.put(name_of(1, ["a"]), good + b'{"v":9}\nno JSON\n[]\n{"v":1,"line":"counts"}\n')
    summary = summed_up(bucket, 0, 2)
    assert (summary.mails("same"), summary.unreadable) == (1, 4)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda some: st.lists(some, max_size=2) | st.dictionaries(st.text(max_size=3), some, max_size=2),
    max_leaves=4,
)


def or_any(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(usual, usual, usual, VALUES)


def objects(**usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of these members, each of which may be anything or missing."""
    return or_any(st.fixed_dictionaries({}, optional={name: or_any(one) for name, one in usual.items()}))


TEXTS = st.sampled_from(["same", "changed", "failed", "2", "text", "nested[1].date", "a[", "]"])
COUNTED = objects(outcome=TEXTS, was=TEXTS, now=TEXTS, mails=st.integers(0, 9))
CHANGED = objects(path=TEXTS, removed=st.integers(0, 9), added=st.integers(0, 9))
WRITTEN = objects(
    v=st.just(1),
    line=st.sampled_from(["mail", "counts"]),
    counts=st.lists(COUNTED, max_size=2),
    outcome=TEXTS,
    key=TEXTS,
    reason=TEXTS,
    fields=st.lists(CHANGED, max_size=2),
)


@given(st.lists(WRITTEN, max_size=6), st.binary(max_size=9))
@settings(max_examples=300, deadline=None)
def test_whatever_lies_below_shadow_is_summed_up_and_drawn(written_by_others: list[Any], rest: bytes) -> None:
    from mailloom.cli.shadow import _summary, _told

    bucket: Any = Bucket()
    bucket.put(name_of(1, ["a"]), b"".join(orjson.dumps(one) + b"\n" for one in written_by_others) + rest)
    bucket.put(name_of(1, ["b"]), written([Finding("same", POINTER, "1", "2")], 1))
    summary = summed_up(bucket, 0, 2)
    assert summary.mails("same") >= 1
    assert 0 <= (summary.share or 0) <= 1
    assert orjson.dumps(_summary(summary))
    assert "compared" in "\n".join(_told(summary))


def test_a_line_that_is_not_whole_counts_for_nothing() -> None:
    bucket: Any = Bucket()
    mail = {"v": 1, "line": "mail", "outcome": "failed", "key": "k", "reason": "bug: KeyError", "fields": [{"path": 3}]}
    row = {"outcome": "same", "was": "1", "now": "2", "mails": 5}
    counts = {"v": 1, "line": "counts", "counts": [row, row | {"mails": "5"}]}
    bucket.put(name_of(1, ["a"]), orjson.dumps(mail) + b"\n" + orjson.dumps(counts))
    summary = summed_up(bucket, 0, 2)
    assert (summary.counts, summary.fields, summary.reasons, summary.unreadable) == (Counter(), {}, {}, 2)


# ------------------------------------------------------------------------------------------------ the process
class Line:
    """A queue in memory that tells what was done to it; what is hidden comes again at once."""

    def __init__(self, bodies: Sequence[str]) -> None:
        self.waiting = {str(n): (body, 1) for n, body in enumerate(bodies)}
        self.out: dict[str, tuple[str, int]] = {}
        self.deleted: list[str] = []
        self.delays: list[float] = []

    def depth(self) -> tuple[int, int]:
        return len(self.waiting), len(self.out)

    def receive(self, most: int, wait: float) -> list[Received]:
        names = list(self.waiting)[:most]
        self.out |= {name: self.waiting.pop(name) for name in names}
        return [Received(name, name, self.out[name][0], {}, self.out[name][1], 0) for name in names]

    def extend(self, messages: Mapping[str, float]) -> None:
        for name, seconds in messages.items():
            self.delays.append(seconds)
            body, came = self.out.pop(name)
            self.waiting[name] = body, came + 1

    def delete(self, receipts: Sequence[str]) -> None:
        self.deleted += receipts
        for name in receipts:
            del self.out[name]

    def send(self, parcels: Sequence[Parcel]) -> None:
        raise AssertionError(parcels)


def reader_of(known: Mapping[str, tuple[Any, Arrived]]) -> Any:
    """A store that has these messages: key -> (state, what was stored)."""
    rows = {a.sealed.row.id: a for state, a in known.values() if state == "stored" and a.sealed.row}

    def delivered(places: Any) -> list[Copy]:
        return [copy_of(key, *known[key]) for source, key in places if key in known and source == "s3://mail"]

    def copy_of(key: str, state: str, a: Arrived) -> Copy:
        message = a.sealed.row.id if state == "stored" and a.sealed.row else None
        return Copy("s3://mail", key, 0, 0, 1, state, message, b"", "", "", "", None, b"{}", "", "1", 0, 0, "0" * 32)

    messages = SimpleNamespace(bodies=lambda ids: {i: rows[i].sealed.row.body for i in ids if i in rows})
    threads = SimpleNamespace(stated=lambda ids: {i: rows[i].sealed.stated for i in ids if i in rows})
    copies = lambda ids: {
        i: [replace(copy_of("x", "duplicate", rows[i]), version="9"), copy_of("y", "stored", rows[i])] for i in ids
    }
    return SimpleNamespace(
        messages=messages, threads=threads, deliveries=SimpleNamespace(delivered=delivered, copies=copies)
    )


def shadow_of(line: Line, objects: Mapping[str, bytes], known: Mapping[str, tuple[Any, Arrived]], **how: Any) -> Any:
    def get(key: str, version: str = "", etag: str = "") -> bytes | None:
        if key == "raw/denied":
            raise UserError("the bucket refuses that")
        return objects.get(key)

    def buckets(name: str) -> Any:
        if name == "other":
            raise UserError("no bucket other")
        return SimpleNamespace(get=get, beginning=lambda key, n, v="": None)

    reports = how.pop("reports", Bucket())
    given = Worker(batch=how.pop("batch", 256), batch_seconds=0.01)
    return Shadow(line, buckets, reader_of(known), reports, "mail", given, clock=lambda: 5, **how)  # type: ignore[arg-type]


def body(key: str, bucket: str = "mail") -> str:
    return pointer_body(POINTER._replace(key=key, bucket=bucket))


def lines(shadow: Any) -> list[Any]:
    return [orjson.loads(line) for data in shadow.reports.objects.values() for line in data.splitlines()]


def mail(number: int) -> bytes:
    return RAW.replace(b"<2@", f"<{number}@".encode())


def test_each_outcome_is_reported_and_deleted_and_what_is_not_stored_comes_again() -> None:
    same, gone, late = arrived(mail(3), 3), arrived(mail(4), 4), arrived(mail(5), 5)
    renamed = arrived(mail(6), 6)  # stored under another id than this version's
    objects = {"raw/same": mail(3), "raw/late": mail(5), "raw/renamed": mail(7), "raw/rejected": mail(8)}
    known = {"raw/same": ("stored", same), "raw/renamed": ("stored", renamed), "raw/rejected": ("rejected", late)}
    line = Line(
        [body(key) for key in ("raw/same", "raw/late", "raw/gone", "raw/renamed", "raw/rejected")] + ["no pointer"]
    )
    shadow = shadow_of(line, objects, known)
    assert shadow.run(wait=0, drain=True) == Counter(same=1, absent=2, changed=2)
    assert line.depth() == (0, 0)
    assert sorted(line.deleted) == [str(n) for n in range(6)]
    assert line.delays == list(LATER)
    found = {one["key"]: one for one in lines(shadow) if one["line"] == "mail"}
    assert set(found) == {"raw/renamed", "raw/rejected"}
    assert {"id", "content_hash", "message_id"} <= {one["path"] for one in found["raw/renamed"]["fields"]}
    assert [one["path"] for one in found["raw/rejected"]["fields"]] == [REJECTED]
    counts = [row for one in lines(shadow) if one["line"] == "counts" for row in one["counts"]]
    assert {(row["outcome"], row["was"]) for row in counts} == {("same", "1"), ("changed", "1"), ("absent", "")}
    assert gone.sealed.row is not None
    assert text_id(gone.sealed.row.id) not in str(lines(shadow))


def test_a_bucket_that_is_not_ours_is_that_mails_failure_and_our_own_ends_it() -> None:
    line = Line([body("raw/x", "other")])
    shadow = shadow_of(line, {}, {})
    assert shadow.run(wait=0, drain=True) == Counter(failed=1)
    assert [one["reason"].partition(" at ")[0] for one in lines(shadow) if one["line"] == "mail"] == [
        "not read: UserError"
    ]
    line = Line([body("raw/denied")])
    with pytest.raises(UserError, match="refuses"):
        shadow_of(line, {}, {}).run(wait=0, drain=True)
    assert line.depth() == (1, 0)  # given back


def test_nothing_is_deleted_before_its_report_was_put(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailloom.flow.retry import Backoff
    from mailloom.run import following

    class Failing(Bucket):
        def put(self, key: str, data: bytes) -> bool:
            assert not line.deleted
            self.tries = getattr(self, "tries", 0) + 1
            if self.tries < 3:
                raise Transient("away")
            return super().put(key, data)

    monkeypatch.setattr(following, "DRAINING", Backoff(0.001, 0.002, 5))
    line = Line([body("raw/same")])
    line.extend = lambda messages: None  # type: ignore[method-assign]  # held meanwhile, not given back
    shadow = shadow_of(line, {"raw/same": mail(3)}, {"raw/same": ("stored", arrived(mail(3), 3))}, reports=Failing())
    assert shadow.run(wait=0, drain=True) == Counter(same=1)
    assert (shadow.reports.tries, line.deleted) == (3, ["0"])


def test_what_cant_be_deleted_is_not_reported_again_at_once() -> None:
    line = Line([body("raw/same")])
    delete, tries = line.delete, []

    def failing(receipts: Sequence[str]) -> None:
        tries.append(list(receipts))
        if len(tries) == 1:
            line.extend(dict.fromkeys(receipts, 0))  # its visibility ends
            raise Transient("away")
        delete(receipts)

    line.delete = failing  # type: ignore[method-assign]
    shadow = shadow_of(line, {"raw/same": mail(3)}, {"raw/same": ("stored", arrived(mail(3), 3))})
    assert shadow.run(wait=0, drain=True) == Counter(same=2)
    assert tries == [["0"], ["0"]]


def test_little_mail_is_in_memory_at_a_time() -> None:
    """A batch by number may be of gigabytes; it is read in parts, and is one report all the same."""
    read: list[list[str]] = []
    line = Line([body(f"raw/{n}") for n in range(7)])
    objects = {f"raw/{n}": mail(n) for n in range(7)}
    shadow = shadow_of(line, objects, {f"raw/{n}": ("stored", arrived(mail(n), n)) for n in range(7)})
    shadow.settings = replace(shadow.settings, batch_bytes=2 * POINTER.size)
    bodies = shadow.reader.messages.bodies
    shadow.reader.messages.bodies = lambda ids: (read.append(list(ids)), bodies(ids))[1]
    assert shadow.run(wait=0, drain=True) == Counter(same=7)
    assert max(len(some) for some in read) == 2
    assert sum(len(some) for some in read) == 7
    assert len(shadow.reports.objects) == 1


def test_it_ends_when_it_is_told_and_gives_back_what_it_holds() -> None:
    line = Line([body("raw/same")] * 30)
    shadow = shadow_of(line, {"raw/same": mail(3)}, {"raw/same": ("stored", arrived(mail(3), 3))}, batch=1)
    put = shadow.reports.put

    def stop(key: str, data: bytes) -> bool:
        shadow.stopping.set()
        return bool(put(key, data))

    shadow.reports.put = stop
    thread = Thread(target=shadow.run, kwargs={"wait": 0}, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert (len(line.deleted), line.depth()) == (1, (29, 0))


def test_a_process_that_hangs_is_told() -> None:
    shadow = shadow_of(Line([]), {}, {})
    assert shadow.health().live
    shadow.moved = time.monotonic() - 301
    assert not shadow.health().live
    shadow.run(wait=0, drain=True)  # nothing came, and it looked
    assert shadow.health().live


def test_keys_of_reports_are_in_the_order_of_time() -> None:
    keys = [name_of(at, ["x"]) for at in (0, 999, 1000, DAY - 1, DAY, 400 * DAY)]
    assert keys == sorted(keys)
    assert keys[0].startswith(f"{REPORTS}1970-01-01/000000.000-")
