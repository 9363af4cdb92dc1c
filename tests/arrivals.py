"""Made-up mail as a runner hands it to commit()."""

from __future__ import annotations

from collections.abc import Sequence

from mailloom.flow.commit import Arrived
from mailloom.flow.transform import seal, transform
from mailloom.mail.model import Origin
from mailloom.synth import generate, shape_of

SHAPE = "again=0.2,lost=0.2,attached=0.2,late=0.3"


def arrivals(count: int, seed: int, shape: str = SHAPE) -> list[Arrived]:
    """So many deliveries, copies and late mail among them."""
    return [arrived(mail.raw, number) for number, mail in enumerate(generate(count, seed, shape_of(shape)))]


def arrived(raw: bytes, number: int) -> Arrived:
    origin = Origin("s3://raw", f"{number:05}.eml", 0, len(raw), len(raw), 0)
    return Arrived(seal(transform(raw, origin)), 0, 1_700_000_000_000 + number)


def batches(arriving: Sequence[Arrived], size: int) -> list[Sequence[Arrived]]:
    return [arriving[at : at + size] for at in range(0, len(arriving), size)]
