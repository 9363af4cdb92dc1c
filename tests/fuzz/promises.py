"""What must hold of every input whatever: promises that fuzzing tries to break."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from mailloom.flow.transform import seal, transform
from mailloom.mail.cut.segment import cut
from mailloom.mail.forms import armour, cms, rtf, uuencode
from mailloom.mail.forms.tnef import SIGNATURE, tnef
from mailloom.mail.inside.nested import inline
from mailloom.mail.inside.stated import author, people
from mailloom.mail.inside.stated import stated as read_head
from mailloom.mail.inside.when import find, when
from mailloom.mail.model import Nested, Origin, Segment
from mailloom.mail.parse import parse, read
from mailloom.mail.parts.dates import date
from mailloom.mail.parts.header import all_ids, fields, params, words
from mailloom.mail.parts.mime import scan
from mailloom.mail.people.address import addresses, key
from mailloom.mail.people.mailbox import identities, valid
from mailloom.mail.text.body import body as body_of
from mailloom.mail.text.html import text_of
from mailloom.mail.text.source import source_spans
from mailloom.schema import dump_record, load_record

ORIGIN = Origin("fuzz", "", 0, 0, 0, 0)


def whole_mail(raw: bytes) -> None:
    """Any bytes are a mail: read without an exception, twice the same, stored and loaded without a change."""
    outcome = transform(raw, ORIGIN)
    assert not outcome.reason, outcome.reason
    record = outcome.record
    assert record is not None
    message = record.message
    assert parse(raw) == message
    leaves_are_accounted_for(raw)
    end_to_end(message.text, message.segments)
    paths_are_a_tree(message.nested)
    body = dump_record(record)
    assert dump_record(load_record(body)) == body
    seal(outcome)


def leaves_are_accounted_for(raw: bytes) -> None:
    """Each leaf is body, an alternative that was not read, or an attachment; parts know their place."""
    mime, message = read(raw)
    leaves = {part.index for part in mime.parts if not part.multipart}
    shown, listed = body_of(mime).parts, {file.part for file in message.attachments}
    assert shown | listed == leaves
    assert not shown & listed
    assert [part.index for part in mime.parts] == list(range(len(mime.parts)))
    assert all(part.parent < part.index and part.start <= part.body_start <= part.end for part in mime.parts)
    assert [bool(part.inside) for part in mime.parts] == sorted(bool(part.inside) for part in mime.parts)


def packed(raw: bytes) -> None:
    """Whatever claims to be packed gives what is in it, never more than its form allows."""
    for one in (raw, SIGNATURE + b"\0\0" + raw):
        assert sum(len(file.content) for file in tnef(one).files) <= len(one)
    inner = cms.content(raw)
    assert inner.inner is None or inner.kind == "compressed" or len(inner.inner) <= len(raw)
    head = b"\0" * 8 + b"LZFu" + b"\0" * 4
    assert len(rtf.inflate(head + raw)[0]) <= 9 * len(raw)
    rtf.read(raw)[0].encode()
    at = 0
    for block in uuencode.blocks(raw):
        assert at <= block.start < block.end <= len(raw)
        at = block.end
    at = 0
    for piece in armour.armoured(raw):
        assert at <= piece.start < piece.end <= len(raw)
        at = piece.end
    for kind in (b"application/ms-tnef", b"application/pkcs7-mime", b"text/enriched"):
        mail = b"Content-Type: " + kind + b"\n\n" + raw
        leaves_are_accounted_for(mail)
        scan(mail)


def text(raw: bytes) -> None:
    """Any text is cut end to end, and its nested messages lie inside it."""
    said = raw.decode("utf-8", "replace")
    segments, _ = cut(said)
    end_to_end(said, segments)
    nested = inline(said, segments)
    paths_are_a_tree(nested)
    for one in nested:
        if one.depth == 1:
            assert 0 <= one.start <= one.end <= len(said)


def html(raw: bytes) -> None:
    """Any HTML has a text, its marks lie in it, and its segments lead back to HTML that they cover."""
    source = raw.decode("utf-8", "replace")
    page = text_of(source)
    for mark in page.marks:
        assert 0 <= mark.start <= mark.end <= len(page.text)
    segments, _ = cut(page.text, page.marks)
    end_to_end(page.text, segments)
    places = source_spans(source, [(s.start, s.end) for s in segments])
    assert not places or "".join(source[start:end] for start, end in places) == source
    inline(page.text, segments)


def head(raw: bytes) -> None:
    """Any header block has fields of one line each; any value is read as whatever it might be."""
    for name, value in fields(raw):
        assert name == name.lower()
        assert "\n" not in value
        assert "\r" not in value
        assert "\n" not in words(value)
        all_ids(value)
        for one in addresses(value):
            assert "\n" not in one.address
    params(raw)


def stated(raw: bytes) -> None:
    """Any line may be a date or a head: a date that was read has a zone of this planet, an address its own key."""
    said = raw.decode("utf-8", "replace")
    for found in (date(said), when(said, said)):
        assert found.zone is None or (found.ms is not None and abs(found.zone) < 16 * 60)
    place = find(said)
    assert place is None or 0 <= place.outer <= place.start < place.end <= place.outer_end <= len(said)
    for one in (*read_head(said).from_, *people(said), *author(said)):
        assert one.key == key(one.address)
        valid(one.address)
        assert one.key not in {other.key for other in identities(one.address)}


def end_to_end(said: str, segments: Sequence[Segment]) -> None:
    assert bool(segments) == bool(said)
    if segments:
        assert segments[0].start == 0
        assert segments[-1].end == len(said)
        assert all(a.end == b.start for a, b in pairwise(segments))
        assert all(s.start < s.end for s in segments)
        assert all(s.rule and 0 < s.confidence <= 1000 for s in segments)


def paths_are_a_tree(nested: Sequence[Nested]) -> None:
    """Every path once, none without its parent, each as deep as it says."""
    paths = [n.path for n in nested]
    known = set(paths)
    assert len(paths) == len(known)
    for one in nested:
        parent = one.path.rpartition(".")[0]
        assert not parent or parent in known
        assert one.depth == one.path.count(".") + 1


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "mail": whole_mail,
    "text": text,
    "html": html,
    "head": head,
    "stated": stated,
    "packed": packed,
}
