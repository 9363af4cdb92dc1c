"""The stream of deliveries: in the order of arrival, which is not quite that of dates, with some mails arriving twice."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

from mailloom.synth import post
from mailloom.synth.cast import cast
from mailloom.synth.shape import DEFAULT, Shape, check
from mailloom.synth.talk import Posted, Traffic, again, traffic
from mailloom.synth.truth import Mail
from mailloom.synth.words import pick


def generate(mails: int, seed: int, shape: Shape = DEFAULT) -> Iterator[Mail]:
    """So many deliveries, copies counted. Deterministic by its arguments; memory depends on shape.concurrency and shape.delay, not
    on `mails`. Every parent and conversation named in the truth is delivered too (unless shape.missing says otherwise), if
    perhaps later. ShapeError, at once, if the shape makes no sense.
    """
    check(shape)
    return deliveries(mails, seed, shape)


def deliveries(mails: int, seed: int, shape: Shape) -> Iterator[Mail]:
    rng = Random(f"mailloom {seed}")  # noqa: S311  # repeatable on purpose
    state = traffic(shape, cast(shape, rng), rng)
    # (when it is due, counted in mails; order of making; mail): the second breaks ties, so that mails are never compared.
    held: list[tuple[int, int, Mail]] = []
    made = 0
    while made < mails:
        posted = state.step()
        if rng.random() < shape.missing:
            continue
        for copy in range(2 if rng.random() < shape.again and made + 1 < mails else 1):
            late = rng.random() < shape.late or copy > 0
            due = state.number + (1 + int(rng.random() * shape.delay) if late else 0)
            heappush(held, (due, made, deliver(again(posted) if copy else posted, bool(copy), late, state)))
            made += 1
        while held and held[0][0] <= state.number:
            yield heappop(held)[2]
    while held:
        yield heappop(held)[2]


def deliver(posted: Posted, copy: bool, late: bool, state: Traffic) -> Mail:
    """One delivery: the trace on top, to one of its readers (a copy: to anybody who speaks the language)."""
    letter, rng = posted.letter, state.rng
    reader = pick(rng, state.cast.people[letter.lang.code] if copy else letter.to)
    delivered = letter.seconds + int(rng.random() * (40_000 if late else 60))
    raw = post.trace(letter, reader, delivered, rng, copy) + posted.core
    if rng.random() < state.shape.crlf:
        raw = raw.replace(b"\n", b"\r\n")
    return Mail(raw, delivered, letter.author.address, posted.truth)
