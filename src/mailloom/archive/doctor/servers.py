"""Does what the server profile holds agree? Its stores are compared with each other, one scope of them.

PostgreSQL is seen in one state, the others at the moment they are asked. Workers may be at work: what differs is looked at again
before it is called a fault, and what somebody is about to bring to its end is none. Memory is bounded, but for the check of threads that `deep` adds, which derives all of them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from mailloom.archive.doctor.examination import Finding, Verdict, named
from mailloom.archive.doctor.ledger import sound
from mailloom.archive.reading import Readable
from mailloom.flow.transform import Outcome, seal
from mailloom.mail.model import MessageId, Origin, Record
from mailloom.ports import Books, Node, NodeName, Row, Stated, Threads, Transient, Words
from mailloom.query import Query
from mailloom.schema import VERSION, read_record
from mailloom.thread.batch import derive
from mailloom.thread.encoding import load_stated
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import message_node
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

SOME = 500  # messages that are compared, or put again, at a time
LOOKS = 3  # at what differs, beside the first, before it is called a fault
SAMPLE = 200  # messages whose records and raw bytes are read where not all are
REPAIR = "`mailloom doctor --repair` mends it"
AGAIN = "put the objects that are named on the queue again: `mailloom ingest s3://BUCKET/PREFIX`"
_NOWHERE = Origin("", "", 0, 0, 0, 0)
Value = TypeVar("Value")


class Tables(Protocol):
    """Counts of rows: stores.postgres.checks.PostgresChecks."""

    def waiting(self) -> Mapping[str, int]: ...
    def wrong(self) -> Mapping[str, int]: ...
    def unfinished(self, messages: Collection[MessageId]) -> Collection[MessageId]: ...
    def moving(self, messages: Collection[MessageId]) -> Collection[MessageId]: ...


class Indexed(Protocol):
    """A search index that can be asked for its documents: stores.opensearch.index.Index."""

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None: ...
    def refresh(self) -> None: ...
    def held(self, messages: Collection[MessageId]) -> Collection[MessageId]: ...
    @property
    def whole(self) -> bool: ...
    def wanted(self, messages: Collection[MessageId]) -> list[MessageId]: ...


class Overdue(NamedTuple):
    """Deliveries that have been pending for more than a day, and messages among the dead letters, counted after them."""

    pending: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """One scope of the server profile. `index` is None where no index is kept, `overdue` scans the ledger, `pause` gives others time to get done
    with what they are at.
    """

    readable: Readable
    threads: Threads
    tables: Tables
    books: Callable[[], Mapping[str, Books]]
    index: Indexed | None
    overdue: Callable[[], Overdue] = Overdue
    pause: Callable[[], None] = lambda: None


class Examination:
    """The parts, what was found to be mended, and how thoroughly to look. `seed` says where samples begin."""

    def __init__(self, parts: Parts, *, deep: bool, seed: bytes) -> None:
        self.parts, self.deep, self.seed = parts, deep, seed
        self.whole, self.messages = parts.readable.reader.whole, parts.readable.reader.messages
        self.count = self.whole.count()

    def sample(self) -> Iterator[list[MessageId]]:
        """All of them, or some hundred all over the archive."""
        step = 1 if self.deep else max(1, self.count // SAMPLE)
        first = int.from_bytes(self.seed) % step
        return _some(one.id for number, one in enumerate(self.whole.listed()) if number % step == first)


def _some(values: Iterable[Value], size: int = SOME) -> Iterator[list[Value]]:
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


# ------------------------------------------------------------------------------------------------ deliveries, tables, records
def books(x: Examination) -> Verdict:
    """Received = stored + duplicate + rejected + pending, for each source."""
    lines, wrong, stored = [], [], 0
    for source, sums in x.parts.books().items():
        stored += sums.stored
        line = f"{source}: received {sums.received:,} = stored {sums.stored:,} + duplicate {sums.duplicate:,}"
        lines.append(f"{line} + rejected {sums.rejected:,} + pending {sums.pending:,}")
        if sums.received != sums.stored + sums.duplicate + sums.rejected + sums.pending:
            wrong.append(f"the books of {source} don't balance")
    if stored > x.count + SOME:  # deliveries that ended since the count are a batch or two
        wrong.append(f"{stored:,} deliveries were stored, but there are {x.count:,} messages")
    return Verdict(not wrong, "; ".join([*lines, *wrong]) or "nothing was delivered", AGAIN)


def overdue(x: Examination) -> Verdict:
    """A message is received five times within hours, so a delivery that is pending after a day is a dead letter, or has no message any more."""
    pending, dead = x.parts.overdue()
    found = f"{pending:,} deliveries are pending for more than a day, {dead:,} messages are dead letters"
    lost = f"{found}: the others have lost their messages, unless the queue is that far behind"
    return Verdict(pending <= dead, lost if pending > dead else found if pending else "nothing", AGAIN)


def tables(x: Examination) -> Verdict:
    wrong = x.parts.tables.wrong()
    found = ", ".join(f"{count:,} {what}" for what, count in wrong.items())
    return Verdict(not wrong, found or f"{x.count:,} messages, each with its copies, evidence and conversation", REPAIR)


def waiting(x: Examination) -> Verdict:
    """What is under way is a fault only if nobody works on it, which can't be known here: so it is told."""
    found = x.parts.tables.waiting()
    told = ", ".join(f"{count:,} {what}" for what, count in found.items())
    return Verdict(
        True, f"{told}: their worker, or the next settle, brings them to their end" if found else "nothing", ""
    )


def records(x: Examination) -> Verdict:
    read, bad = 0, []
    for some in x.sample():
        bodies = x.messages.bodies(some)
        read += len(some)
        bad += [message for message in some if message not in bodies or not sound(message, bodies[message])]
    found = f"{len(bad):,} of {read:,} records read are damaged: {named(bad)}" if bad else f"{read:,} records read"
    return Verdict(not bad, found, AGAIN)


def raw(x: Examination) -> Verdict:
    """Mails' bytes against their SHA-256, of one copy each."""
    read, lost = 0, []
    for some in x.sample():
        for message, copies in x.parts.readable.reader.deliveries.copies(some).items():
            read += 1
            if all(x.parts.readable.raw(copy) is None for copy in copies):
                lost.append(message)
    found = f"the bytes of {len(lost):,} of {read:,} messages are lost or changed: {named(lost)}"
    mend = "their objects were deleted or overwritten: put them back from a backup or an older version"
    return Verdict(not lost, found if lost else f"the bytes of {read:,} messages are as they came", mend)


# ------------------------------------------------------------------------------------------------ threads
def conversations(x: Examination) -> Verdict:
    """What readers see against what the nodes say."""
    differ = misplaced(x.parts)
    found = f"{len(differ):,} messages are not where their nodes say: {named(differ)}"
    return Verdict(
        not differ, found if differ else f"{x.count:,} messages are in the conversation that their nodes say", REPAIR
    )


def misplaced(parts: Parts) -> list[MessageId]:
    """Messages whose conversation is not the one that the nodes name, and which nobody is about to place. What differs is read again, a few times:
    a worker or settle may have been in the middle of it.
    """
    reader = parts.readable.reader
    suspects: list[MessageId] = []
    for members in _some(reader.whole.members()):
        suspects += _differ(parts, {one.message: one.conversation for one in members})
    for _ in range(LOOKS):
        if suspects:
            parts.pause()
        again = [reader.threads.conversations(some) for some in _some(suspects)]
        suspects = [message for seen in again for message in _differ(parts, seen)]
    return suspects


def _differ(parts: Parts, seen: Mapping[MessageId, MessageId]) -> list[MessageId]:
    """Those of `seen` (message -> conversation) of which the nodes say otherwise, but for what a worker has on its list (stores/postgres/conversations.py):
    an unfinished message comes again, and rows that name a root which gave way follow it.
    """
    with parts.threads.session():
        nodes = _nodes(parts.threads, {message_node(one) for some in seen.items() for one in some})
    differ = {
        message: conversation
        for message, conversation in seen.items()
        if _conversation(message_node(message), nodes) != message_node(conversation)
    }
    if not differ:
        return []
    gave_way = {one for some in differ.items() for one in some if nodes[message_node(one)].parent != message_node(one)}
    listed = set(parts.tables.moving(gave_way))
    late = set(parts.tables.unfinished(differ))
    return sorted(m for m, conversation in differ.items() if m not in late and not {m, conversation} & listed)


def _nodes(threads: Threads, names: Collection[NodeName]) -> dict[NodeName, Node]:
    """These nodes and all above them. Nothing is shortened on the way: who looks changes nothing."""
    nodes: dict[NodeName, Node] = {}
    above = set(names)
    while above:
        nodes |= {name: Node(name) for name in above} | dict(threads.nodes(above))
        above = {nodes[name].parent for name in above} - nodes.keys()
    return nodes


def _conversation(name: NodeName, nodes: Mapping[NodeName, Node]) -> NodeName:
    if (conv := nodes[name].conv) is not None:
        return conv
    while nodes[name].parent != name:
        name = nodes[name].parent
    return name


def threads(x: Examination) -> Verdict:
    """Conversations and soft links against all of them derived at once from the evidence and the hand edits."""
    if not x.deep:
        return Verdict(True, "not derived anew: --deep does it, in memory", "")
    if marks := x.parts.tables.waiting():
        return Verdict(True, f"not compared: {', '.join(f'{count:,} {what}' for what, count in marks.items())}", "")
    reader = x.parts.readable.reader
    with reader.snapshot():
        stated = [_light(load_stated(message, body)) for message, body in x.whole.evidence()]
        want, targets = derive(stated, edits=list(reader.threads.edits()))
        differ = [m for m, conversation, _ in x.whole.members() if conversation != want.get(m, m)]
        drawn = {(link.source, link.target, link.kind, link.weight) for link in x.whole.soft_links()}
    soft = {(m, t.target, t.kind, t.weight) for m, chosen in targets.items() for t in chosen} ^ drawn
    wrong = [f"{len(differ):,} messages are in another one than their evidence says: {named(differ)}"] if differ else []
    if soft:
        wrong.append(f"{len({one[0] for one in soft}):,} messages have other soft links")
    found = "; ".join(wrong) or f"{len(set(want.values())):,} conversations, each as its evidence says"
    return Verdict(not wrong, found, REPAIR)


def _light(stated: Stated) -> Stated:
    """Without the words that are for people, which take most of the memory."""
    return stated._replace(links=tuple(link._replace(detail="") for link in stated.links))


# ------------------------------------------------------------------------------------------------ the index
def index(x: Examination) -> Verdict:
    if x.parts.index is None:
        return Verdict(True, "no search index is kept", "")
    x.parts.index.refresh()
    found = x.parts.readable.finder.count(Query("", ()), lambda _: ())
    lost = list(_lost(x, x.parts.index, found))
    if lost:
        return Verdict(False, f"{len(lost):,} messages are not in the search index: {named(lost)}", REPAIR)
    if x.parts.index.whole and found < x.count:
        # They are held, so what was on its way before is there by now, and found.
        x.parts.index.refresh()
        found = x.parts.readable.finder.count(Query("", ()), lambda _: ())
        if found < x.count:
            under = f"the search index holds {x.count:,} messages, and only {found:,} are found"
            return Verdict(False, under, "`mailloom migrate` lets search read indices that it doesn't")
    if found > x.whole.count():
        over = f"the search index holds {found:,} messages, PostgreSQL {x.count:,}"
        return Verdict(False, over, "make the index anew: docs/opensearch.md")
    return Verdict(True, f"{found:,} messages are in the search index", "")


def _lost(x: Examination, held_by: Indexed, found: int) -> Iterator[MessageId]:
    """Where search holds some months only, there is no count to compare with, so a sample is asked for."""
    if not held_by.whole and not x.deep:
        for some in x.sample():
            yield from _not_held(held_by, some)
    elif x.deep or found < x.count:
        yield from unindexed(x.parts, held_by)


def unindexed(parts: Parts, held_by: Indexed) -> Iterator[MessageId]:
    """Messages that the index should hold and doesn't."""
    for listed in _some(parts.readable.reader.whole.listed()):
        yield from _not_held(held_by, [one.id for one in listed])


def _not_held(held_by: Indexed, messages: Collection[MessageId]) -> Iterator[MessageId]:
    wanted = held_by.wanted(messages)
    held = set(held_by.held(wanted))
    yield from (message for message in wanted if message not in held)


# ------------------------------------------------------------------------------------------------ all checks
CHECKS: dict[str, Callable[[Examination], Verdict]] = {
    "books": books,
    "overdue": overdue,
    "tables": tables,
    "records": records,
    "raw": raw,
    "waiting": waiting,
    "conversations": conversations,
    "threads": threads,
    "index": index,
}


def examine(parts: Parts, *, deep: bool = False, seed: bytes = b"") -> Iterator[Finding]:
    """Run every check. `deep` reads all records and raw mail, asks the index for each message, and derives all threads."""
    examination = Examination(parts, deep=deep, seed=seed)
    for name, check in CHECKS.items():
        try:
            verdict = check(examination)
        except Transient as error:
            yield Finding(name, False, f"can't be checked now: {error}", "run it again later")
        else:
            yield Finding(name, verdict.ok, verdict.found, "" if verdict.ok else verdict.mend)


# ------------------------------------------------------------------------------------------------ mending
def mend(parts: Parts, faults: Collection[str]) -> Iterator[str]:
    """Mend what the checks named in `faults` found, from what is still there; a line for each step. Each may be stopped and run again,
    while workers are at work. No mail, delivery or raw byte is ever removed.
    """
    wrong = set(faults)
    if wrong & {"tables", "threads"}:
        yield f"threads: {_stated_again(parts):,} messages stated again from their records"
    if wrong & {"tables", "threads"}:
        yield f"settled: {settle(parts.threads).looked:,} messages looked at"
    if wrong & {"tables", "threads", "conversations"}:
        messages = misplaced(parts)
        for some in _some(messages):
            with parts.threads.session():
                parts.threads.place(some)
        yield f"conversations: {len(messages):,} messages placed again"
    if "index" in wrong and parts.index is not None:
        yield f"search index: {_indexed_again(parts, parts.index):,} messages put in"


def _stated_again(parts: Parts) -> int:
    """Weaving twice is weaving once, so what is there already stays as it is."""
    count = 0
    for some in _records(parts.readable.reader.whole.bodies()):
        with parts.threads.session():
            weave(parts.threads, [evidence(record) for record in some])
            parts.threads.mark([record.id for record in some])
            parts.threads.place([record.id for record in some])
        count += len(some)
    return count


def _indexed_again(parts: Parts, into: Indexed) -> int:
    lost = list(unindexed(parts, into))
    for some in _some(lost):
        reader = parts.readable.reader
        copies = reader.deliveries.copies(some)
        for found in _records(reader.messages.bodies(some).items()):
            sealed = [
                seal(Outcome(_NOWHERE, b"", copies[record.id][0].length, VERSION, record, evidence(record)))
                for record in found
                if record.id in copies
            ]
            into.put([(s.row, s.words, s.people) for s in sealed if s.row is not None and s.words is not None])
    into.refresh()
    return len(lost)


def _records(bodies: Iterable[tuple[MessageId, bytes]]) -> Iterator[list[Record]]:
    """Those that can be read, SOME at a time."""
    read = ((message, read_record(body)) for message, body in bodies)
    return _some(record for message, record in read if record is not None and record.id == message)


__all__ = ["CHECKS", "Overdue", "Parts", "examine", "mend"]
