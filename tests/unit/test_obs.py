"""What a run tells of itself: the table and the code name the same metrics, EMF lines keep the format, logs hold no text, off costs nothing."""

from __future__ import annotations

import ast
import io
import json
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emf_schema import checked
from mailloom import obs
from mailloom.config import Obs
from mailloom.obs import log
from mailloom.obs.emf import lines
from mailloom.obs.meter import EXACT, SERIES, Meter, Spread
from mailloom.obs.metrics import METRICS, TABLE
from mailloom.ports import Transient

SOURCES = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Off before and after."""
    obs.close()
    yield
    obs.close()


def told(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


# ---------------------------------------------------------------- the table is the set of metrics

KINDS = {"count": "counter", "gauge": "gauge", "timing": "distribution"}


def emitted() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """(kind, name, dimensions, place) of each call of obs.count, gauge, timing, or of a `count` that was handed in, under src/."""
    for path in SOURCES.rglob("*.py"):
        if "obs" in path.relative_to(SOURCES).parts[1:-1]:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            called, of = node.func, ""
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                of = called.value.id
            name = (called.attr if of else getattr(called, "id", "")).lstrip("_")
            handed = of in {"", "self"} and {"run", "stores", "wire"} & set(path.relative_to(SOURCES).parts)
            if name in KINDS and isinstance(node.args[0].value, str) and (of == "obs" or handed):
                dims = tuple(sorted(k.arg or "**" for k in node.keywords))
                yield KINDS[name], node.args[0].value, dims, f"{path}:{node.lineno}"


def test_what_is_emitted_is_in_the_table_with_its_kind_and_dimensions() -> None:
    wrong = [
        f"{place}: {kind} {name} {dims}"
        for kind, name, dims, place in emitted()
        if name not in TABLE or TABLE[name].kind != kind or tuple(sorted(TABLE[name].dimensions)) != dims
    ]
    assert not wrong, "\n".join(wrong)
    assert {name for _, name, _, _ in emitted()} == TABLE.keys()


def test_names_are_once_and_fit_for_every_reporter() -> None:
    assert len(TABLE) == len(METRICS)
    for metric in METRICS:
        assert metric.name.isidentifier()
        assert metric.name.islower()
        assert not {"service", "_aws", *TABLE} & set(metric.dimensions)  # they share a line
        assert metric.meaning
        for some in metric.also:  # none that is there already
            assert set(some) < set(metric.dimensions)
            assert some


# ---------------------------------------------------------------- EMF


def emf_lines(meter: Meter) -> list[dict[str, Any]]:
    return [checked(line) for line in lines(Obs(namespace="N", service="s"), 1_700_000_000_000, meter.drain())]


def test_a_report_holds_sums_amounts_and_values_each_under_its_dimensions() -> None:
    meter = Meter()
    for state in ("stored", "stored", "duplicate"):
        meter.add("mails", 2, {"state": state})
    meter.add("bytes", 500, {})
    meter.set("dead_letters", 7, {})
    meter.set("dead_letters", 5, {})
    for value in (3.5, 1.0, 2.0):
        meter.record("commit_time", value, {})
    meter.add("errors", 1, {"place": "postgres", "kind": "transient"})
    found = emf_lines(meter)
    assert [line.get("mails") for line in found if "mails" in line] == [2, 4]
    plain = next(line for line in found if "bytes" in line)
    assert (plain["bytes"], plain["dead_letters"], plain["commit_time"]) == (500, 5, [3.5, 1.0, 2.0])
    assert plain["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [[]]
    errors = next(line for line in found if "errors" in line)
    assert (errors["kind"], errors["place"]) == ("transient", "postgres")
    assert errors["_aws"]["CloudWatchMetrics"][0] == {
        "Namespace": "N",
        "Dimensions": [["kind", "place"], ["kind"], []],
        "Metrics": [{"Name": "errors", "Unit": "Count"}],
    }
    assert meter.drain() == []


def test_every_metric_of_the_table_makes_lines_that_keep_the_format() -> None:
    meter = Meter()
    for metric in METRICS:
        dims = dict.fromkeys(metric.dimensions, "x" * 3000)
        {"counter": meter.add, "gauge": meter.set, "distribution": meter.record}[metric.kind](metric.name, 1.5, dims)
    names = [m["Name"] for line in emf_lines(meter) for m in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert sorted(names) == sorted(TABLE)


def test_dimensions_without_a_value_and_without_an_end_are_bounded() -> None:
    meter = Meter()
    meter.add("mails", 1, {"state": ""})
    for number in range(3 * SERIES):
        meter.add("books", 1, {"source": f"s{number}", "state": "stored"})
    found = emf_lines(meter)
    books = {line["source"]: line["books"] for line in found if "books" in line}
    assert len(books) == SERIES + 1
    assert sum(books.values()) == 3 * SERIES
    assert books["other"] == 2 * SERIES
    assert next(line["state"] for line in found if "mails" in line) == "none"


@given(
    st.lists(st.one_of(st.floats(0, 1e12), st.integers(-5, 5), st.just(0.0)), min_size=1, max_size=600), st.randoms()
)
def test_a_spread_keeps_count_sum_ends_and_percentiles(values: list[float], dice: random.Random) -> None:
    spread = Spread()
    for value in values:
        spread.enter(value)
    given_, ordered = spread.values(), sorted(values)
    assert (spread.count, spread.least, spread.most) == (len(values), ordered[0], ordered[-1])
    assert spread.sum == pytest.approx(sum(values))
    assert sum(spread.buckets.values()) + spread.zeros == len(values)
    assert 1 <= len(given_) <= EXACT
    if len(values) <= EXACT:
        assert given_ == values
        return
    assert (given_[0], given_[-1]) == (ordered[0], ordered[-1])
    assert given_ == sorted(given_)
    rank = dice.randrange(1, EXACT - 1)
    true = ordered[rank * (len(values) - 1) // (EXACT - 1)]
    assert given_[rank] == pytest.approx(max(true, 0.0), rel=0.05, abs=5.0 if true <= 0 else 1e-9)


def test_a_bucket_is_where_opentelemetry_puts_the_value() -> None:
    from opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping import LogarithmMapping

    mapping = LogarithmMapping(3)
    dice = random.Random(3)
    for value in [dice.uniform(0, 10) ** dice.randrange(-6, 9) for _ in range(2000)]:
        spread = Spread()
        spread.enter(value)
        assert list(spread.buckets) == [mapping.map_to_index(value)]


def test_many_threads_lose_no_count() -> None:
    meter = Meter()

    def work() -> None:
        for _ in range(5000):
            meter.add("mails", 1, {"state": "stored"})
            meter.record("commit_time", 1.0, {})

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old)
    time, mails = meter.drain()
    assert mails.value == 40_000
    assert isinstance(time.value, Spread)
    assert time.value.count == 40_000


def test_reports_come_at_intervals_at_flush_and_at_the_end() -> None:
    out = io.StringIO()
    obs.configure(Obs(emf=True, interval=1.0), out=out, err=io.StringIO())
    obs.count("bytes", 3)
    obs.flush()
    assert [line["bytes"] for line in told(out)] == [3]
    obs.flush()
    assert len(told(out)) == 1  # nothing new, no line
    obs.count("bytes", 4)
    for _ in range(100):
        threading.Event().wait(0.1)
        if len(told(out)) == 2:
            break
    obs.count("bytes", 5)
    obs.close()
    obs.count("bytes", 6)
    obs.flush()
    assert [line["bytes"] for line in told(out)] == [3, 4, 5]
    for line in out.getvalue().splitlines():
        checked(line)


def test_a_process_that_ends_reports_first_and_a_closed_pipe_stops_nothing() -> None:
    code = "from mailloom import obs; from mailloom.config import Obs\nobs.configure(Obs(emf=True)); obs.count('bytes', 3)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert checked(done.stdout.strip())["bytes"] == 3
    out, err = io.StringIO(), io.StringIO()
    obs.configure(Obs(emf=True, log="error"), out=out, err=err)
    out.close()
    obs.count("bytes", 1)
    obs.flush()
    assert told(err)[0]["event"] == "metrics could not be written"


def test_a_forked_child_is_silent() -> None:
    out = io.StringIO()
    obs.configure(Obs(emf=True), out=out, err=io.StringIO())
    obs.count("bytes", 3)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        obs.count("bytes", 100)
        obs.flush()
        os.write(writer, f"{obs.on()} {out.getvalue()!r}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"False ''"
    obs.flush()
    assert [line["bytes"] for line in told(out)] == [3]
    assert multiprocessing.active_children() == []


def test_a_metric_that_is_not_in_the_table_is_told_once_and_stops_nothing() -> None:
    err = io.StringIO()
    obs.configure(Obs(emf=True, log="warning"), out=io.StringIO(), err=err)
    for _ in range(3):
        obs.count("mials", state="stored")
        obs.count("mails")
        obs.timing("bytes", 3)
    assert [(line["metric"], line["level"]) for line in told(err)] == [
        (n, "warning") for n in ("mials", "mails", "bytes")
    ]


# ---------------------------------------------------------------- off


def steps(call: Callable[[], object]) -> int:
    """How many functions a call calls, of Python and of C: what it costs, whatever the machine does besides."""
    seen = []
    sys.setprofile(lambda frame, event, _: seen.append(event) if event in {"call", "c_call"} else None)
    try:
        call()
    finally:
        sys.setprofile(None)
    return len(seen) - 1  # the last is setprofile itself


def test_off_is_free_and_imports_nothing() -> None:
    def spans() -> None:
        with obs.span("x", key="y"):
            pass

    calls = [
        partial(obs.count, "mails", 3, state="stored"),
        partial(obs.timing, "commit_time", 3.0),
        spans,
        partial(obs.log.info, "x", key="y"),
    ]
    for call in calls:
        assert steps(call) <= 5, call
    with obs.batch("work", [{}]) as batch, batch.mail(0, "fetch") as step:
        step.set(key="x")
        batch.about(0, key="x")
        assert obs.carrier() == {}
    code = (
        "import sys; from mailloom import obs\nobs.count('x'); obs.log.info('x')\nwith obs.span('x'): pass\n"
        "print([m for m in ('opentelemetry', 'structlog', 'logging', 'orjson', 'mailloom.config') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- logs


def logged(level: str = "info") -> io.StringIO:
    err = io.StringIO()
    obs.configure(Obs(log=level), err=err)
    return err


def test_a_line_has_time_level_event_and_the_mails_key() -> None:
    err = logged()
    log.info(
        "committed", source="s3://b", path="k/1.eml", message=bytes(range(16)), mails=3, ok=True, share=0.5, none=None
    )
    (line,) = told(err)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info", "event": "committed", "source": "s3://b", "path": "k/1.eml",
        "message": "00010203-0405-0607-0809-0a0b0c0d0e0f", "mails": 3, "ok": True, "share": 0.5, "none": None,
    }  # fmt: skip


def test_levels() -> None:
    for level, events in (("info", "iwe"), ("warning", "we"), ("error", "e"), ("off", ""), ("", "")):
        err = logged(level)
        log.info("i")
        log.warning("w")
        log.error("e")
        assert "".join(line["event"] for line in told(err)) == events


SECRET = "the words of a mail"


class Letter:
    subject = SECRET

    def __repr__(self) -> str:
        return SECRET


def test_text_is_dropped_whatever_way_it_comes() -> None:
    err = logged()
    for name in sorted(log.TEXTS):
        log.info("x", **{name: SECRET})
    log.info(
        "x",
        letter=Letter(),
        raws=SECRET.encode(),
        nested={"subject": SECRET, "deep": {"text": SECRET, "d": {"a": SECRET}}},
    )
    log.info("x", several=[Letter(), {"body": SECRET}], error=ValueError(SECRET))
    log.info("x", long="y" * 10_000, many=list(range(1000)))
    assert SECRET not in err.getvalue()
    *_, letter, several, long = told(err)
    assert (letter["letter"], letter["raws"]) == ("<Letter>", f"<{len(SECRET)} bytes>")
    assert letter["nested"] == {"deep": {"d": "<dict>"}}
    assert several["several"] == ["<Letter>", {}]
    assert len(json.dumps(long)) < 1200
    assert told(err)[0]["dropped"] == [min(log.TEXTS)]


def test_of_an_error_only_our_own_words_are_told() -> None:
    err = logged()

    def fails() -> None:
        subject = SECRET
        try:
            subject.encode("ascii")
            int(subject)
        except ValueError as error:
            raise RuntimeError(f"row failed: {SECRET}") from error

    for call in (fails, lambda: (_ for _ in ()).throw(Transient("PostgreSQL is restarting"))):
        try:
            call()
        except Exception as error:
            log.error("commit failed", error, place="commit")
    assert SECRET not in err.getvalue()
    theirs, ours = told(err)
    assert (theirs["error"], theirs["causes"]) == ("RuntimeError", ["ValueError"])
    assert theirs["frames"][-1].endswith(" fails")
    assert "why" not in theirs
    assert (ours["error"], ours["why"]) == ("Transient", "PostgreSQL is restarting")


def test_warnings_of_libraries_are_lines_too() -> None:
    err = logged("warning")
    logging.getLogger("some.library").warning("it is %s", "late")
    logging.getLogger("some.library").info("never mind")
    assert [(line["event"], line["logger"]) for line in told(err)] == [("it is late", "some.library")]
    obs.close()
    assert not [one for one in logging.getLogger().handlers if "mailloom" in repr(getattr(one, "emit", ""))]


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_stops_neither_who_logs_nor_the_reports() -> None:
    obs.configure(Obs(emf=True, log="info", interval=1), out=Full(), err=Full())
    obs.log.info("begun")
    obs.log.error("failed", ValueError("x"))
    logging.getLogger("library").warning("retrying")
    obs.count("bytes", 1)
    obs.flush()
    assert [thread for thread in threading.enumerate() if thread.name == "obs"]
    obs.close()


def test_a_report_that_finds_no_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obs, "PATIENCE", 0.2)
    free, looks = threading.Event(), []

    def look() -> None:
        looks.append(free.wait(20))

    obs.configure(Obs(emf=True, interval=3600), out=io.StringIO(), err=io.StringIO())
    obs.observe(look)
    obs.flush()
    obs.flush()
    obs.close()
    assert not looks, "somebody waited"
    free.set()
