"""What is missing, recovered from its quotes: who wrote it, when, and as much of its text as anybody quoted.

A reply's first inline message is what it answers, so it says what the mail above it in the tree was; the message inside that one
says it of the mail before, and so on up a chain of ghosts. A mail that is here speaks for itself and for what is above it. Mail that
lost its headers and quotes something that is not here hangs below a ghost without an id, together with all others that quote the same.
Whatever turns out to be a mail that is here is no ghost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from mailloom.mail.model import Address, Date, MessageId, Nested, Record
from mailloom.ports import NodeName, Soft, Stated
from mailloom.thread.keys import clean_id, key_name, message_node
from mailloom.thread.patchwork import patched
from mailloom.thread.speaker import MINUTE_MS, QUARTER_MS, ZONE_MS, names, same_person, same_time
from mailloom.thread.tree import Ghost, Quote, Twig, edges, hang, parents, twigs_of
from mailloom.thread.wording import own_words, run_set, wording

Load = Callable[[MessageId], Record]

MAX_LEVELS = 12  # messages inside messages: mail/inside/nested.py reads no deeper
MAX_COPIES = 32
"""Of one ghost, from its oldest carriers: the text of a mail that a thousand people answered is in the first few."""
MAX_ALIKE = 20
"""Ghosts without an id, of one person in one minute of the quarter hour, that a further quote is held against."""


class Copy(NamedTuple):
    """What one quote says. `twin` is its carrier's: copies of one mail are one witness."""

    quote: Quote
    twin: bytes
    from_: tuple[Address, ...]
    date: Date
    subject: str
    text: str
    exact: bool = False


def recover(stated: Sequence[Stated], soft: Iterable[Soft], load: Load) -> list[Twig]:
    """The forest of a conversation as tree() makes it, its ghosts filled. `load` gives the records of those whose parent is not
    here, and of few others; it is called about once for each.
    """
    return _Recovery(stated, soft, load).run()


class _Recovery:
    """`copies` of each ghost, `fuller` those that got more since they were `known`; `alias` of those that are mails here; `alike` finds ghosts by who wrote them, and when."""

    def __init__(self, stated: Sequence[Stated], soft: Iterable[Soft], load: Load) -> None:
        self.stated, self.load = sorted(stated, key=lambda s: s.message), load
        self.hard, self.soft, self.labels = edges(stated, soft)
        self.above = parents(self.hard)
        self.copies: dict[NodeName, list[Copy]] = defaultdict(list)
        self.known: dict[NodeName, Ghost] = {}
        self.fuller: set[NodeName] = set()
        self.alias: dict[NodeName, NodeName] = {}
        self.alike: dict[tuple[int, str], list[NodeName]] = defaultdict(list)
        self.when = {message_node(s.message): s.when for s in self.stated}
        self.minutes: dict[int, list[MessageId]] = defaultdict(list)
        for s in self.stated:
            if s.when is not None:
                self.minutes[s.when // MINUTE_MS].append(s.message)

    def run(self) -> list[Twig]:
        self.of_cited()
        for node in sorted(self.copies):
            self.fill(node)
        told = self.of_lost()
        hard = [(self.alias.get(a, a), self.alias.get(b, b)) for a, b in self.hard]
        parent = parents([*(edge for edge in hard if edge[0] != edge[1]), *told, *self.soft])
        labels = {node: label for node, label in self.labels.items() if node not in self.alias}
        twigs = twigs_of(self.stated, labels)
        for node, ghost in self.known.items():
            if node not in self.alias:
                twigs[node].known = ghost
        return hang(twigs, parent)

    # -------------------------------------------------------------------------------------------- ghosts with an id
    def of_cited(self) -> None:
        """The copies of each ghost, from the mails below it with nothing but ghosts between."""
        for s in self.stated:
            missing: list[NodeName] = []
            at = self.above.get(message_node(s.message))
            while at is not None and at[0] == 1 and len(missing) < MAX_LEVELS:
                missing.append(at)
                at = self.above.get(at)
            if all(len(self.copies[node]) >= MAX_COPIES for node in missing):
                continue
            record = self.load(s.message)
            inline = _inline(record)
            for level, node in enumerate(missing):
                exact = _named(record, self.labels[node])
                if exact is not None:
                    self.add(node, exact)
                elif level < len(inline):
                    self.add(node, inline[level])

    def add(self, node: NodeName, copy: Copy) -> bool:
        known = self.copies[node]
        if len(known) >= MAX_COPIES or any(one.twin == copy.twin for one in known):
            return False
        known.append(copy)
        return True

    def fill(self, node: NodeName) -> None:
        """What the copies make of a ghost: a mail that is here, where that is not one of its answers; else what they say."""
        copies = [copy for copy in self.copies[node] if copy.text or copy.from_]
        if not copies:
            return
        ghost = merged(copies)
        real = self.here(ghost)
        if real is None:
            self.known[node] = ghost
            self.register(node, ghost)
        elif not self.is_below(message_node(real), node):
            self.alias[node] = message_node(real)

    def is_below(self, node: NodeName, ghost: NodeName) -> bool:
        """Does a mail cite a ghost, as near as quotes reach? Then it is not that mail."""
        for _ in range(MAX_LEVELS):
            above = self.above.get(node)
            if above is None or above == ghost:
                return above == ghost
            node = above
        return False

    # -------------------------------------------------------------------------------------------- ghosts without an id
    def of_lost(self) -> list[tuple[NodeName, NodeName]]:
        """Edges for mails that cite nothing: each below what it quotes, that below what it quotes in turn, up to a mail that is
        here. What they hang on by softer evidence is then above the last of these, if it is older.
        """
        told: list[tuple[NodeName, NodeName]] = []
        softly = dict(self.soft)
        for s in self.stated:
            node = message_node(s.message)
            if node in self.above:
                continue
            at = node
            record = self.load(s.message)
            if not any(one.kind == "quoted" and one.depth == 1 for one in record.message.nested):
                continue  # what is forwarded may come from anywhere
            for copy in _inline(record):
                if not (copy.from_ and copy.date.ms is not None and copy.quote.path):
                    break
                ghost = merged([copy])
                real = self.here(ghost)
                if real is not None:
                    if at != node and real != s.message:
                        told.append((at, message_node(real)))
                    at = node
                    break
                place = self.place(copy, ghost)
                told.append((at, place))
                at = place
            above = softly.get(node)
            if at != node and above is not None:
                when, asked = self.when[above], self.known[at].date.ms
                if when is not None and asked is not None and when < asked:
                    told.append((at, above))
        for node in self.fuller:
            self.known[node] = merged([copy for copy in self.copies[node] if copy.text or copy.from_])
        return told

    def place(self, copy: Copy, ghost: Ghost) -> NodeName:
        """The ghost that a copy is of: one known already, where who, when and (of dates without a zone) words agree, or a new one."""
        for key in _likeness(ghost):
            for node in islice(reversed(self.alike[key]), MAX_ALIKE):
                known = self.known[node]
                if _same_mail(known, ghost):
                    if self.add(node, copy):
                        self.fuller.add(node)
                    return node
        node = key_name("quoted", copy.quote.carrier + copy.quote.path.encode())
        self.labels[node] = ""
        self.copies[node] = [copy]
        self.known[node] = ghost
        self.register(node, ghost)
        return node

    def register(self, node: NodeName, ghost: Ghost) -> None:
        for key in _likeness(ghost):
            self.alike[key].append(node)

    def here(self, ghost: Ghost) -> MessageId | None:
        """The mail of this conversation that a ghost is, if any: same sender and minute. Without a zone, or sent a minute before what the
        quote says (as Outlook rounds), words in common as well.
        """
        ms = ghost.date.ms
        if ms is None or not ghost.from_:
            return None
        zoned = ghost.date.zone is not None
        offsets = [0] if zoned else range(-ZONE_MS, ZONE_MS + 1, QUARTER_MS)
        minutes = [((ms + offset) // MINUTE_MS - late, late) for late in (0, 1) for offset in offsets]
        near = ((message, late) for minute, late in minutes for message in self.minutes.get(minute, ()))
        for message, late in islice(near, MAX_ALIKE):
            mail = self.load(message).message
            if same_person(ghost.from_, (*mail.from_, *mail.author)) and (
                (zoned and not late) or _share_words(ghost.text, mail.text)
            ):
                return message
        return None


# ------------------------------------------------------------------------------------------------ the copies in one mail
def _inline(record: Record) -> list[Copy]:
    """What a mail answers, what that answered, ...: the first inline message of each level. Where there is none, what it quotes
    without a word of who wrote it.
    """
    message = record.message
    found: list[Copy] = []
    trail = ""
    for one in message.nested:
        if one.kind == "attached" or not one.path.startswith(trail):
            continue
        copy = _copy(record, one)
        if one.date.ms is not None and message.date.ms is not None and one.date.ms > message.date.ms + ZONE_MS:
            copy = copy._replace(date=Date(None, None, one.date.text))  # nobody answers what was not written yet
        found.append(copy)
        trail = one.path + "."
    if not found and (quoted := [s for s in message.segments if s.kind == "quote"]):
        lines = "\n\n".join(message.text[s.start : s.end].strip("\n") for s in quoted)
        bare = "\n".join(line.lstrip("> \t") for line in lines.split("\n"))
        found.append(
            Copy(Quote(record.id, "", quoted[0].start, quoted[-1].end), record.twin, (), Date(None, None, ""), "", bare)
        )
    return found


def _named(record: Record, cited: str) -> Copy | None:
    """The message inside a mail that states the missing id itself."""
    for one in record.message.nested:
        if clean_id(one.message_id) == cited:
            return _copy(record, one)._replace(exact=True)
    return None


def _copy(record: Record, one: Nested) -> Copy:
    text = own_words(one, record.message.subject)
    return Copy(Quote(record.id, one.path, one.start, one.end), record.twin, one.from_, one.date, one.subject, text)


# ------------------------------------------------------------------------------------------------ do two say the same?
def merged(copies: Sequence[Copy]) -> Ghost:
    """One ghost of some copies. Those that came with the id are believed first, then the greater number, then the longest."""
    ranked = sorted(copies, key=lambda c: (not c.exact, -len(c.text), c.quote))
    groups: list[list[Copy]] = []
    for copy in ranked:
        for group in groups:
            if all(_agree(copy, one) for one in group):
                group.append(copy)
                break
        else:
            groups.append([copy])
    best = max(groups, key=lambda group: (group[0].exact, len(group)))
    text, pieces = patched([copy.text for copy in best])
    return Ghost(
        from_=max((c.from_ for c in best), key=_fullness),
        date=max((c.date for c in best), key=lambda d: (d.zone is not None, d.ms is not None)),
        subject=next((c.subject for c in best if c.subject), ""),
        text=text,
        pieces=pieces,
        quotes=tuple(c.quote for c in best),
        others=tuple(c.quote for c in ranked if c not in best),
        exact=best[0].exact,
    )


def _fullness(people: tuple[Address, ...]) -> int:
    return sum(1 for a in people[:1] for part in (a.name, a.key) if part)


def _agree(a: Copy, b: Copy) -> bool:
    """No contradiction on who and when."""
    return (not a.from_ or not b.from_ or same_person(a.from_, b.from_)) and same_time(a.date, b.date)


def _same_mail(a: Ghost, b: Ghost) -> bool:
    if not (same_person(a.from_, b.from_) and same_time(a.date, b.date)):
        return False
    if a.date.zone is not None and b.date.zone is not None:
        return True
    return _share_words(a.text, b.text) or (a.date.text == b.date.text and not (a.text and b.text))


def _share_words(a: str, b: str) -> bool:
    """A run of words in common; texts shorter than a run have all their words in common."""
    one, other = wording(a), wording(b)
    if not run_set([one]).isdisjoint(run_set([other])):
        return True
    short, long = sorted((" ".join(one.words), " ".join(other.words)), key=len)
    return bool(short) and f" {short} " in f" {long} "


def _likeness(ghost: Ghost) -> list[tuple[int, str]]:
    """Under what a ghost is looked up: minute of the quarter hour (zones differ by quarters), and each name of its author."""
    minute = (ghost.date.ms or 0) % QUARTER_MS // MINUTE_MS
    return [(minute, part) for part in sorted(names(ghost.from_))]


__all__ = ["recover"]
