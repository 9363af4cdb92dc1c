"""What a message states, as the bytes that every store keeps: equal evidence is equal bytes, which `digest` and `doctor` rely on."""

from __future__ import annotations

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, Link, Stated

FORMER_FIELDS = 6
"""Of evidence by the first rules: it asks for nothing until `rethread` derives it anew."""


def dump_stated(stated: Stated) -> bytes:
    """Stated evidence as a line of compact JSON, bytes in hex, and the two sketches behind it. Asks for the same are one entry."""
    links = [(link.kind, link.key.hex(), link.owns, link.detail, link.weight) for link in stated.links]
    asks: dict[tuple[str, str, int, int], list[str]] = {}
    for kind, clue, detail, weight, value in stated.asks:
        asks.setdefault((kind, detail, weight, value), []).append(clue.hex())
    head = (
        stated.subject.hex(),
        b"".join(stated.people).hex(),
        stated.when,
        links,
        [clue.hex() for clue in stated.owns],
        [(*what, *names) for what, names in asks.items()],
        stated.zone,
        stated.reply,
        len(stated.own),
    )
    return orjson.dumps(head) + b"\n" + stated.own + stated.quoted


def load_stated(message: MessageId, body: bytes) -> Stated:
    head, _, sketches = body.partition(b"\n")
    fields = orjson.loads(head)
    if len(fields) == FORMER_FIELDS:
        fields = [*fields[:5], [], None, False, 0]
    subject, people, when, links, owns, asks, zone, reply, own = fields
    each = bytes.fromhex(people)
    unhex = bytes.fromhex
    return Stated(
        message=message,
        subject=unhex(subject),
        people=tuple(each[i : i + 8] for i in range(0, len(each), 8)),
        when=when,
        links=tuple(Link(kind, unhex(key), owns_it, detail, weight) for kind, key, owns_it, detail, weight in links),
        owns=tuple(map(unhex, owns)),
        asks=tuple(
            Ask(kind, unhex(name), detail, weight, value)
            for kind, detail, weight, value, *names in asks
            for name in names
        ),
        zone=zone,
        reply=reply,
        own=sketches[:own],
        quoted=sketches[own:],
    )
