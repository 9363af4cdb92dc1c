"""Which mails of a conversation must be read so that all of it has been read: e-discovery's inclusive mails.

A mail is *held* by a later one if everything that its author wrote, forwarded or attached stands in what the later one quotes,
forwards or carries. What it quotes itself must stand there too, or in mails above it, which are held or read themselves. So no word
is lost but those of signatures, notices and attributions. The rule is strict: a changed word, or one put into a line, ends it; when in
doubt a mail is read. The holder is a mail that is not held itself, so the mails to read are as few as this relation allows: none of
them could be left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from typing import NamedTuple

from mailloom.mail.model import OWN, Date, MessageId, Record
from mailloom.thread.speaker import names, same_time
from mailloom.thread.tree import Twig
from mailloom.thread.wording import RUN, Wording, lines, own_words, run_set, stands, wording

MAX_HOLDERS = 32  # later mails that one is held against, the latest first: what all of those cut, hardly any other has
MAX_ALIKE = 200  # mails that begin with the same words, of which one is looked for in a later mail: the rest are read
MAX_ABOVE = 12  # mails above one in which its quotes are looked for: mail/inside/nested.py reads no deeper
SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
"""Parts that say nothing, and are another in each mail."""
EMPTY = 5_000  # letters that a record's other fields weigh
KEPT = 4_000_000  # letters of texts that are kept: mails that lie near each other are needed again. A letter takes some 40 bytes


class Text(NamedTuple):
    """What a mail says, by whose words they are: `own`, `brought` (forwarded or attached), `quoted`; `old` is all but its own. `files`
    are hashes of what is attached, to mails inside as well.
    """

    own: tuple[Wording, ...]
    brought: tuple[Wording, ...]
    quoted: tuple[Wording, ...]
    old: tuple[Wording, ...]
    whole: tuple[Wording, ...]
    files: frozenset[str]


class Said(NamedTuple):
    """The own words of one message inside a mail, as lines, and whose they are."""

    people: frozenset[str]
    date: Date
    words: str


def held(roots: Sequence[Twig], load: Callable[[MessageId], Record]) -> dict[MessageId, MessageId]:
    """Each mail that need not be read -> the one that holds it; `roots` is the conversation's tree. All others are inclusive. Of
    twins (model.Record) the first stands for all.

    `load` is called a few times for each mail. Memory grows by a few ids for each.
    """
    return _Search(_above(roots), load).run()


class _Reading:
    """One mail's words, each kind of them made when first asked for."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.letters = EMPTY + len(record.message.text) + sum(len(one.text) for one in record.message.nested)

    @cached_property
    def text(self) -> Text:
        return _text(self.record)

    @cached_property
    def old(self) -> tuple[frozenset[str], str]:
        return _found(self.text.old)

    @cached_property
    def whole(self) -> tuple[frozenset[str], str]:
        return _found(self.text.whole)

    @cached_property
    def said(self) -> list[Said]:
        return _said(self.record)


class _Search:
    """`sought`: mails by the words that their holders must have; `holders`: later mails that are read and have them, the latest first."""

    def __init__(self, above: dict[MessageId, MessageId | None], load: Callable[[MessageId], Record]) -> None:
        self.above, self.load = above, load
        self.open: dict[MessageId, _Reading] = {}
        self.letters = 0
        self.sought: dict[str, list[tuple[MessageId, str]]] = defaultdict(list)
        self.holders: dict[MessageId, list[MessageId]] = defaultdict(list)
        self.held: dict[MessageId, MessageId] = {}
        self.files: set[str] = set()

    def run(self) -> dict[MessageId, MessageId]:
        first: dict[bytes, MessageId] = {}
        twins: dict[MessageId, MessageId] = {}
        for message in sorted(self.above):
            one = first.setdefault(self.read(message).record.twin, message)
            if one != message:
                twins[message] = one
            elif ends := _ends(self.read(message).text):
                self.sought[ends[0]].append((message, ends[1]))
        for message in sorted(first.values(), reverse=True):
            holder = self.holder(message)
            if holder is not None:
                self.held[message] = holder
            else:
                self.files |= self.read(message).text.files
                self.offer(message)
        return {**self.held, **{twin: self.held.get(one, one) for twin, one in twins.items()}}

    def read(self, message: MessageId) -> _Reading:
        """A mail's words, kept for a while; what was read last stays longest."""
        one = self.open.pop(message, None)
        if one is None:
            one = _Reading(self.load(message))
            self.letters += one.letters
            while self.letters > KEPT and self.open:
                self.letters -= self.open.pop(next(iter(self.open))).letters
        self.open[message] = one
        return one

    def offer(self, holder: MessageId) -> None:
        """A mail that is to be read may hold those whose first and last words stand in it."""
        found, _ = self.read(holder).old
        short = {line for one in self.read(holder).text.old for line in _short_lines(one)}
        for key in found | short if short else found:
            sought = self.sought.get(key, [])
            while sought and sought[-1][0] >= holder:
                sought.pop()  # the latest come first: nothing holds these any more
            for older, last in islice(reversed(sought), MAX_ALIKE):
                if len(self.holders[older]) < MAX_HOLDERS and (last in found or last in short):
                    self.holders[older].append(holder)

    def holder(self, message: MessageId) -> MessageId | None:
        candidates = self.holders.pop(message, ())
        if not self.read(message).text.files <= self.files:
            return None
        return next((one for one in candidates if self.holds(one, message)), None)

    def holds(self, holder: MessageId, message: MessageId) -> bool:
        text, old = self.read(message).text, self.read(holder).old
        pieces = (*text.own, *text.brought)
        if not all(stands(piece, *old) for piece in pieces):
            return False
        if all(len(piece.words) < RUN for piece in pieces) and not self.says(holder, message):
            return False
        return all(stands(piece, *old) or self.is_above(message, piece) for piece in text.quoted)

    def says(self, holder: MessageId, message: MessageId) -> bool:
        """A few words ("Yes, please.") stand in many mails: the holder must say that its author wrote them then, and nothing more."""
        mail = self.read(message).record.message
        people, words = names((*mail.from_, *mail.author)), "".join(map(lines, self.read(message).text.own))
        return any(
            one.words == words
            and not people.isdisjoint(one.people)
            and one.date.ms is not None
            and same_time(one.date, mail.date)
            for one in self.read(holder).said
        )

    def is_above(self, message: MessageId, piece: Wording) -> bool:
        """Does a quote stand in one of the mails above? There nothing is lost: each of those is read, or held in turn."""
        above = self.above[message]
        for _ in range(MAX_ABOVE):
            if above is None:
                return False
            if stands(piece, *self.read(above).whole):
                return True
            above = self.above[above]
        return False


def _above(roots: Sequence[Twig]) -> dict[MessageId, MessageId | None]:
    """Each message -> the nearest one above it that is here."""
    above: dict[MessageId, MessageId | None] = {}
    work: list[tuple[Twig, MessageId | None]] = [(twig, None) for twig in roots]
    while work:
        twig, parent = work.pop()
        if twig.message is not None:
            above[twig.message] = parent
            parent = twig.message
        work += [(child, parent) for child in twig.children]
    return above


# ------------------------------------------------------------------------------------------------ one mail
def _text(record: Record) -> Text:
    message = record.message
    pieces: dict[str, list[Wording]] = {"own": [], "brought": [], "quoted": [], "old": []}
    for kind, run in groupby(message.segments, lambda s: _WHOSE.get(s.kind, s.kind)):
        segments = list(run)
        words = wording(message.text[segments[0].start : segments[-1].end])
        if words.words and kind in pieces:
            pieces[kind].append(words)
        if words.words and kind in ("brought", "quoted", "attribution"):
            pieces["old"].append(words)
    attached = [wording(f"{one.subject}\n{one.text}") for one in message.nested if one.kind == "attached"]
    files = (*message.attachments, *(one for nested in message.nested for one in nested.attachments))
    return Text(
        own=tuple(pieces["own"]),
        brought=(*pieces["brought"], *attached),
        quoted=tuple(pieces["quoted"]),
        old=(*pieces["old"], *attached),
        whole=(wording(message.text), *attached),
        files=frozenset(one.sha256 for one in files if one.type not in SIGNATURES),
    )


_WHOSE = {**dict.fromkeys(OWN, "own"), "forward": "brought", "quote": "quoted"}


def _said(record: Record) -> list[Said]:
    message = record.message
    return [Said(names(one.from_), one.date, lines(wording(own_words(one, message.subject)))) for one in message.nested]


def _found(texts: Sequence[Wording]) -> tuple[frozenset[str], str]:
    return run_set(texts), "".join(map(lines, texts))


def _ends(text: Text) -> tuple[str, str] | None:
    """What each holder must have: first and last run of the longest piece, as no other run can cover its first and last word; or
    the first short line. None for a mail that says nothing: it is read.
    """
    longest = max((*text.own, *text.brought), key=lambda piece: len(piece.words), default=None)
    if longest is None or not longest.words:
        return None
    if len(longest.words) < RUN:
        first = next(_short_lines(longest))
        return first, first
    return " ".join(longest.words[:RUN]), " ".join(longest.words[-RUN:])


def _short_lines(text: Wording) -> Iterator[str]:
    """Lines of fewer words than a run, marked as lines."""
    return (f"\n{line}" for line in lines(text).split("\n") if line and line.count(" ") < RUN - 1)


__all__ = ["held"]
