"""Traces and metrics as a real OTLP receiver gets them: one trace tells all of one mail, from its object's event to the last sink."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mailloom import obs
from mailloom.config import Obs
from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import seal, transform
from mailloom.mail.model import Origin
from mailloom.ports import Transient
from mailloom.stores.files import frames
from mailloom.synth import generate, shape_of
from mailloom.wire import Embedded, now_ms, open_for_writing
from otlp_receiver import Collector, Received, collector

COMMIT = {"keep", "finished", "put", "weave", "place", "finish", "deliver"}
SINKS = {"sink"}


@pytest.fixture
def received() -> Iterator[Collector]:
    obs.close()
    with collector() as kept:
        yield kept
        obs.close()


def configure(kept: Collector, sample: float = 1.0) -> None:
    obs.configure(Obs(otlp_endpoint=kept.url, sample=sample, service="test", log="info"), err=io.StringIO())


# ---------------------------------------------------------------- a run in small: what validator and worker do


def validate(keys: Sequence[str], event: int) -> list[dict[str, str]]:
    """The attributes of the queue messages; they really go as JSON."""
    sent = []
    for key in keys:
        with obs.span("validate", parent={}, start=event, source="s3://b", path=key) as span:
            span.set(size=1)
            sent.append(json.loads(json.dumps(obs.carrier())))
    return sent


class Sinks:
    """The stores of a folder, with what is put in written to two more places, as servers have it."""

    def __init__(self, stores: Embedded) -> None:
        self.threads, self.ledger, self.raws, self.messages = stores.threads, stores.ledger, stores.raws, self
        self._messages = stores.messages
        self.finished, self.finish = stores.messages.finished, stores.messages.finish

    def put(self, rows: Any) -> None:
        self._messages.put(rows)
        for name in ("opensearch", "firehose"):
            with obs.span("sink", store=name, mails=len(rows)):
                time.sleep(0.001)


def work(parents: Sequence[Mapping[str, str]], sent: int, mails: Sequence[bytes], stores: Embedded) -> list[str]:
    keys = []
    with obs.batch("work", parents, [sent] * len(parents)) as batch:

        def fetch(number: int) -> bytes:
            with batch.mail(number, "fetch", size=len(mails[number])):
                return mails[number]

        with ThreadPoolExecutor(4) as pool:
            raws = list(pool.map(fetch, range(len(mails))))
        sealed = []
        for number, raw in enumerate(raws):
            with batch.mail(number, "transform"):
                sealed.append(seal(transform(raw, Origin("s3://b", f"{number}.eml", 0, len(raw), len(raw), 0))))
            row = sealed[-1].row
            assert row is not None
            keys.append(row.id.hex())
            batch.about(number, message=row.id)
        with stores.unit(), obs.span("commit", mails=len(mails)):
            commit(
                [Arrived(one, 0, now_ms()) for one in sealed],
                list(frames([(r, s.raw_sha256) for r, s in zip(raws, sealed, strict=True)])),
                Sinks(stores),
            )
    return keys


def mails_of(number: int) -> list[bytes]:
    return [letter.raw for letter in generate(number, 5, shape_of("size=1KB"))]


def whole(trace: Sequence[Received]) -> Received:
    """The root; every other span's parent is in the trace, and lies around it in time as far as one process goes."""
    by_id = {span.id: span for span in trace}
    (root,) = [span for span in trace if not span.parent]
    assert len(by_id) == len(trace)
    for span in trace:
        assert span is root or span.parent in by_id
        assert span.end >= span.begin > 0
    return root


def test_one_trace_tells_all_of_one_mail(received: Collector, tmp_path: Path) -> None:
    configure(received)
    raws = mails_of(3)
    event = now_ms() - 5000
    parents = validate(["0.eml", "1.eml", "2.eml"], event)
    assert all(set(one) == {"traceparent", "AWSTraceHeader"} for one in parents)
    with open_for_writing(tmp_path / "a") as stores:
        keys = work(parents, now_ms() - 1000, raws, stores)
    obs.flush()
    traces = received.traces()
    batches = [t for t in traces.values() if any(s.name == "work batch" for s in t)]
    mails = [t for t in traces.values() if t not in batches]
    assert (len(batches), len(mails)) == (1, 3)
    for number, trace in enumerate(sorted(mails, key=lambda t: whole(t).attributes["path"])):
        root = whole(trace)
        assert (root.name, root.begin) == ("validate", event * 1_000_000)
        assert root.attributes == {"source": "s3://b", "path": f"{number}.eml", "size": 1}
        assert {s.name for s in trace} == {"validate", "queue", "work", "fetch", "transform", "commit"} | COMMIT | SINKS
        named = {span.name: span for span in trace}
        assert named["queue"].parent == named["work"].parent == root.id
        assert named["queue"].begin < named["work"].begin
        assert named["fetch"].parent == named["transform"].parent == named["commit"].parent == named["work"].id
        assert {named[name].parent for name in COMMIT} == {named["commit"].id}
        sinks = [span for span in trace if span.name == "sink"]
        assert [(s.attributes["store"], s.parent) for s in sinks] == [
            (n, named["put"].id) for n in ("opensearch", "firehose")
        ]
        assert named["work"].attributes["message"].replace("-", "") == keys[number]
        # X-Ray's form: the first 32 bits are the trace's second.
        assert abs(int(root.trace[:8], 16) - time.time()) < 60
        assert (
            parents[number]["AWSTraceHeader"] == f"Root=1-{root.trace[:8]}-{root.trace[8:]};Parent={root.id};Sampled=1"
        )
        # The batch's own trace links to each mail's span, and the copies of its steps back.
        batch = next(s for s in batches[0] if s.name == "work batch")
        assert (root.trace, named["work"].id) in batch.links
        assert named["put"].links == [(batch.trace, batch.id)]
    assert {s.name for s in batches[0]} == {"work batch", "commit"} | COMMIT | SINKS
    whole(batches[0])
    assert received.resources[0]["service.name"] == "test"


def test_no_span_holds_a_mails_text(received: Collector, tmp_path: Path) -> None:
    configure(received)
    raws = mails_of(20)
    with open_for_writing(tmp_path / "a") as stores:
        work(validate([f"{n}.eml" for n in range(20)], now_ms()), now_ms(), raws, stores)

    def fails() -> None:
        with obs.span("put", subject="a subject", note="x") as span:
            span.set(body="a body")
            raise ValueError("words of a mail")

    with pytest.raises(ValueError, match="words"):
        fails()
    obs.flush()
    sent = b"".join(received.bodies)
    failed = next(s for s in received.spans if s.failed)
    assert (failed.failed, failed.attributes) == ("ValueError", {"note": "x"})
    for words in (b"words of a mail", b"a subject", b"a body"):
        assert words not in sent
    for raw in raws:
        for line in raw.splitlines():
            if line.lower().startswith(b"subject:") and len(line) > 20:
                assert line[9:].strip() not in sent


def test_what_fails_is_marked_in_each_mails_trace(received: Collector) -> None:
    configure(received)
    parents = validate(["a", "b"], now_ms())

    def fails() -> None:
        with obs.batch("work", parents), obs.span("commit"):
            with obs.span("keep"):
                pass
            with obs.span("put"):
                raise Transient("PostgreSQL is away")

    with pytest.raises(Transient):
        fails()
    obs.flush()
    for trace in received.traces().values():
        failed = {span.name for span in trace if span.failed == "Transient"}
        assert failed in ({"work", "commit", "put"}, {"work batch", "commit", "put"})


def test_who_began_the_trace_decides_whether_it_is_recorded(received: Collector) -> None:
    configure(received, sample=0.0)
    parents = validate(["a", "b"], now_ms())
    assert all(one["traceparent"].endswith("-00") and one["AWSTraceHeader"].endswith("Sampled=0") for one in parents)
    configure(received, sample=1.0)
    with obs.batch("work", parents) as batch, batch.mail(0, "fetch"), obs.span("commit"):
        pass
    obs.flush()
    assert not received.spans
    # One of a batch is enough for the batch, and only that one's trace is written.
    configure(received, sample=0.0)
    traced = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    with obs.batch("work", [parents[0], traced, {}, {"traceparent": "no context"}]) as batch:
        for number in range(4):
            with batch.mail(number, "fetch"):
                pass
        with obs.span("commit"):
            pass
    obs.flush()
    assert sorted(s.name for s in received.traces()["ab" * 16]) == ["commit", "fetch", "work"]
    (other,) = [t for key, t in received.traces().items() if key != "ab" * 16]
    assert sorted(s.name for s in other) == ["commit", "work batch"]


@pytest.mark.parametrize("name", ["AWSTraceHeader", "X-Amzn-Trace-Id", "_X_AMZN_TRACE_ID"])
def test_xrays_context_is_gone_on_with(name: str, received: Collector) -> None:
    configure(received, sample=0.0)
    with obs.span(
        "validate", parent={name: "Root=1-65a0b1c2-0123456789abcdef01234567;Parent=53995c3f42cd8ad8;Sampled=1"}
    ):
        pass
    obs.flush()
    (span,) = received.spans
    assert (span.trace, span.parent) == ("65a0b1c20123456789abcdef01234567", "53995c3f42cd8ad8")


def test_a_log_line_leads_to_its_trace(received: Collector) -> None:
    err = io.StringIO()
    obs.configure(Obs(otlp_endpoint=received.url, sample=1.0, log="info"), err=err)
    with obs.span("validate", parent={}):
        obs.log.info("inside")
    obs.log.info("outside")
    obs.flush()
    inside, outside = (json.loads(line) for line in err.getvalue().splitlines())
    assert (inside["trace_id"], inside["span_id"]) == (received.spans[0].trace, received.spans[0].id)
    assert "trace_id" not in outside


# ---------------------------------------------------------------- metrics


def test_metrics_come_as_deltas_and_exponential_histograms(received: Collector) -> None:
    configure(received)
    for value in (0.0, 1.0, 2.0, 1000.0):
        obs.timing("commit_time", value)
    obs.count("mails", 2, state="stored")
    obs.count("mails", 3, state="rejected")
    obs.gauge("dirty", 7)
    obs.flush()
    obs.count("mails", 5, state="stored")
    obs.flush()
    first, second = received.metrics["mailloom.mails"]
    assert (first.unit, first.sum.aggregation_temporality, first.sum.is_monotonic) == ("1", 1, True)
    points = {p.attributes[0].value.string_value: p for p in first.sum.data_points}
    assert {state: p.as_double for state, p in points.items()} == {"stored": 2, "rejected": 3}
    (again,) = second.sum.data_points
    assert again.as_double == 5
    assert again.start_time_unix_nano == points["stored"].time_unix_nano
    assert received.metrics["mailloom.dirty"][0].gauge.data_points[0].as_double == 7
    (spread,) = received.metrics["mailloom.commit_time"][0].exponential_histogram.data_points
    assert (spread.count, spread.sum, spread.min, spread.max, spread.zero_count) == (4, 1003.0, 0.0, 1000.0, 1)
    counts = {spread.positive.offset + i: n for i, n in enumerate(spread.positive.bucket_counts) if n}
    assert sum(counts.values()) == 3
    for index, value in zip(sorted(counts), (1.0, 2.0, 1000.0), strict=True):
        assert 2 ** (index / 8) < value <= 2 ** ((index + 1) / 8) * (1 + 1e-12)


def test_a_collector_that_is_away_stops_nothing() -> None:
    with collector() as kept:
        pass  # nobody listens there any more
    err = io.StringIO()
    obs.configure(Obs(otlp_endpoint=kept.url, sample=1.0, log="warning"), err=err)
    began = time.monotonic()
    obs.count("bytes", 1)
    with obs.span("x", parent={}):
        pass
    assert time.monotonic() - began < 1.0
    obs.close()
    assert "Connection refused" in err.getvalue() or "Failed to" in err.getvalue() or "rror" in err.getvalue()
