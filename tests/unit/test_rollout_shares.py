"""Which mail goes which way is a function of the object alone, shares only grow, and none says anything of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.config import REPORTS, Rollout, load
from mailloom.ports import Parcel, Pointer, Stat, Transient, UserError
from mailloom.run.pointers import LARGE_BYTES, copy_to_shadow, dispatch, read_pointer
from mailloom.run.rollout import Routes, routes_of, within
from mailloom.run.validate import Event, Validator

NAMES = ("accept", "next", "shadow")
POINTERS = st.builds(
    Pointer,
    st.text("abc-.", min_size=1, max_size=8),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["", "v1", "v2"]),
    st.sampled_from(["0" * 32, "1" * 32]),
    st.sampled_from([0, 100, LARGE_BYTES, LARGE_BYTES + 1]),
    st.integers(0, 1 << 40),
)


def pointer(number: int, size: int = 100) -> Pointer:
    return Pointer("mail", f"raw/{number}", "", f"{number:032x}", size, 1)


class Sink:
    """A queue that keeps what it is sent."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails, self.bodies = fails, []

    def send(self, parcels: Sequence[Parcel]) -> None:
        if self.fails is not None:
            raise self.fails
        self.bodies += [parcel.body for parcel in parcels]

    @property
    def keys(self) -> list[str]:
        return [read_pointer(body).key for body in self.bodies]


# ------------------------------------------------------------------------------------------------ the choice
@given(POINTERS, st.sampled_from(NAMES), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=400, deadline=None)
def test_who_is_in_at_a_share_is_in_at_any_larger_one(one: Pointer, name: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert within(one, name, high) or not within(one, name, low)
    assert within(one, name, 1.0)
    assert not within(one, name, 0.0)


@given(POINTERS, st.sampled_from(NAMES), st.floats(0, 1), st.integers(0, 1 << 40), st.integers(0, 1 << 30))
@settings(max_examples=200, deadline=None)
def test_only_the_object_counts(one: Pointer, name: str, share: float, at: int, size: int) -> None:
    """An event that comes a day late, or with another time, is of the same object."""
    again = one._replace(at=at, size=size)
    if one.version:
        again = again._replace(etag="another")
    assert within(again, name, share) == within(one, name, share)


def test_shares_are_as_large_as_they_say_and_none_tells_of_another() -> None:
    many = [pointer(n) for n in range(20_000)]
    found = {name: {one for one in many if within(one, name, 0.1)} for name in NAMES}
    for some in found.values():
        assert 0.09 < len(some) / len(many) < 0.11  # 0.1 by five standard deviations
    for a, b in (("accept", "next"), ("accept", "shadow"), ("next", "shadow")):
        assert 0.006 < len(found[a] & found[b]) / len(many) < 0.014


def test_bucket_key_and_version_all_count() -> None:
    one = pointer(1)
    others = [one._replace(bucket=f"b{n}") for n in range(200)]
    others += [one._replace(key=f"k{n}") for n in range(200)] + [one._replace(version=f"v{n}") for n in range(200)]
    for some in (others[:200], others[200:400], others[400:]):
        assert 60 < sum(within(other, "next", 0.5) for other in some) < 140


# ------------------------------------------------------------------------------------------------ sending
@given(st.lists(POINTERS, unique=True, max_size=30), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_each_pointer_goes_to_one_queue_and_copies_are_beside(some: list[Pointer], next_: float, shadow: float) -> None:
    some = [one._replace(bucket="mail", key="raw/x", etag=f"{n:032x}", version="") for n, one in enumerate(some)]
    work, large, new, copies = Sink(), Sink(), Sink(), Sink()
    routes: Any = Routes(Rollout(1.0, next_, shadow), new, copies)  # type: ignore[arg-type]
    sent = dispatch([(one, {}) for one in some], work, large, routes)  # type: ignore[arg-type]
    copy_to_shadow([(one, {}) for one in some], routes)
    assert Counter(work.bodies + large.bodies + new.bodies) == Counter(dict.fromkeys(_bodies(some), 1))
    assert sent == (len(work.bodies), len(large.bodies), len(new.bodies))
    assert all(read_pointer(body).size > LARGE_BYTES for body in large.bodies)
    assert all(read_pointer(body).size <= LARGE_BYTES for body in work.bodies + new.bodies + copies.bodies)
    little = [one for one in some if one.size <= LARGE_BYTES]
    assert Counter(new.bodies) == Counter(_bodies([one for one in little if within(one, "next", next_)]))
    assert Counter(copies.bodies) == Counter(_bodies([one for one in little if within(one, "shadow", shadow)]))


def _bodies(some: Sequence[Pointer]) -> list[str]:
    from mailloom.run.pointers import pointer_body

    return [pointer_body(one) for one in some]


@pytest.mark.parametrize("error", [Transient("away"), UserError("no such queue")])
def test_no_mail_waits_for_the_shadow(error: Exception) -> None:
    copy_to_shadow([(pointer(1), {})], Routes(Rollout(shadow=1.0), None, Sink(error)))  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        dispatch([(pointer(1), {})], Sink(), None, Routes(Rollout(next=1.0), Sink(error)))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ settings
def test_a_share_needs_its_queue() -> None:
    def queue(name: str) -> Any:
        raise UserError(f"aws.queues.{name} is not set")

    assert routes_of(Rollout(accept=0.5), queue).next is None
    for name in ("next", "shadow"):
        with pytest.raises(UserError, match=f"aws.queues.{name} is not set"):
            routes_of(Rollout(**{name: 0.001}), queue)


@pytest.mark.parametrize("text", ["1.01", "-0.1", "ten", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="MAILLOOM_ROLLOUT_NEXT must be a number from 0 to 1"):
        load("aws", None, {"MAILLOOM_ROLLOUT_NEXT": text})


def test_raw_mail_does_not_lie_where_reports_do() -> None:
    with pytest.raises(UserError, match="reports, which are no mail"):
        load("aws", None, {"MAILLOOM_AWS_RAW": REPORTS})


# ------------------------------------------------------------------------------------------------ the validator
class Books:
    """Receipts and ledger: what was entered."""

    def __init__(self) -> None:
        self.entered: set[str] = set()

    def received(self, pointers: Sequence[Pointer]) -> set[Pointer]:
        self.entered |= {one.key for one in pointers}
        return set()

    def failed(self, failures: Mapping[Pointer, Any]) -> None:
        raise AssertionError(failures)

    def deliver(self, deliveries: Sequence[Any]) -> None:
        self.entered |= {one.origin.path for one in deliveries}


def event(one: Pointer) -> Event:
    thing = f'"key":"{one.key}","eTag":"{one.etag}","size":{one.size}'
    record = f'"eventName":"ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z","s3":{{"bucket":{{"name":"mail"}},"object":{{{thing}}}}}'
    return Event(f'{{"Records":[{{{record}}}]}}')


HEAD = b"From: ann@example.org\nSubject: tulips\n\nhi\n"


def validated(
    shares: Rollout, some: Sequence[Pointer], head: bytes = HEAD, *, admit: bool = False
) -> tuple[Any, Books, dict[str, Sink]]:
    sinks = {name: Sink() for name in ("work", "large", "next", "shadow")}
    blobs = SimpleNamespace(
        beginning=lambda key, length, version="": (head, Stat(key, 100, f"{int(key[4:]):032x}")),
        copy=lambda *_, **__: True,
    )
    books = Books()
    routes = Routes(shares, sinks["next"], sinks["shadow"])  # type: ignore[arg-type]
    validator = Validator(lambda _: blobs, books, books, sinks["work"], large=sinks["large"], routes=routes)  # type: ignore[arg-type]
    done = validator.admit(some) if admit else validator.validate([event(one) for one in some])
    return done, books, sinks


def test_what_is_held_is_in_no_books_and_comes_in_as_the_share_grows() -> None:
    some = [pointer(n) for n in range(60)] + [pointer(n, LARGE_BYTES + 1) for n in range(60, 70)]
    before: set[str] = set()
    for share in (0.0, 0.1, 0.5, 1.0):
        done, books, sinks = validated(Rollout(share, 0.3, 0.5), some)
        assert done.held + done.queued == len(some)
        assert done.held == len(some) - len(books.entered)
        queued = sinks["work"].keys + sinks["next"].keys + sinks["large"].keys
        assert sorted(queued) == sorted(books.entered)
        assert before <= books.entered
        before = books.entered
        # Copies are of all that arrives: a first rollout begins with a share of 0.
        assert sorted(sinks["shadow"].keys) == sorted(one.key for one in some[:60] if within(one, "shadow", 0.5))
    assert before == {one.key for one in some}


def test_who_brings_mail_in_wants_all_of_it_and_no_copies() -> None:
    some = [pointer(n) for n in range(60)]
    done, books, sinks = validated(Rollout(0.1, 0.3, 1.0), some, admit=True)
    assert (done.queued, done.held, len(books.entered)) == (60, 0, 60)
    assert sorted(sinks["next"].keys) == sorted(one.key for one in some if within(one, "next", 0.3))
    assert not sinks["shadow"].bodies


def test_reports_are_no_mail() -> None:
    one = pointer(1)._replace(key=f"{REPORTS}2026-01-01/1.jsonl")
    done, books, sinks = validated(Rollout(1.0, 1.0, 1.0), [one])
    assert (done.ignored, done.queued, done.held) == (1, 0, 0)
    assert not books.entered
    assert not any(sink.bodies for sink in sinks.values())


def test_what_is_no_mail_is_copied_nowhere() -> None:
    done, books, sinks = validated(
        Rollout(1.0, 1.0, 1.0), [pointer(n) for n in range(3)], b"\x89PNG\r\n\x1a\n" + bytes(99)
    )
    assert (done.rejected, len(books.entered)) == (3, 3)
    assert not any(sink.bodies for sink in sinks.values())


def test_the_function_of_lambda_takes_the_same_shares() -> None:
    from mailloom.run import aws_lambda

    some = [pointer(n) for n in range(80)]
    shares = Rollout(0.5, 0.4, 0.3)
    _, books, sinks = validated(shares, some)
    twins, others = {name: Sink() for name in sinks}, Books()
    blobs = SimpleNamespace(beginning=lambda key, n, version="": (HEAD, Stat(key, 100, f"{int(key[4:]):032x}")))
    routes: Any = Routes(shares, twins["next"], twins["shadow"])  # type: ignore[arg-type]
    parts: Any = (lambda: None, lambda _: blobs, others, others, None, twins["work"], twins["large"])
    aws_lambda.provide(lambda: aws_lambda.Parts(*parts, routes=routes))
    records = [{"messageId": str(n), "body": event(one).body} for n, one in enumerate(some)]
    try:
        assert aws_lambda.validate({"Records": records}) == {"batchItemFailures": []}
    finally:  # as it was before any event
        aws_lambda._make.clear()
        aws_lambda._parts.cache_clear()
    assert others.entered == books.entered
    for name, sink in sinks.items():
        assert sorted(sink.bodies) == sorted(twins[name].bodies)
    assert all(sinks[name].bodies for name in ("work", "next", "shadow"))
