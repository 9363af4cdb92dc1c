"""Checks of threads: the union-find as it lies there, the evidence, and whether both say the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from mailloom.archive.analyse import CHUNK
from mailloom.archive.doctor.examination import REPAIR, Examination, Verdict, named
from mailloom.archive.doctor.ledger import sound
from mailloom.mail.model import MessageId
from mailloom.ports import KeyItem, Link, Stated, Target
from mailloom.schema import load_record, unpack
from mailloom.thread.batch import derive, key_items
from mailloom.thread.components import topics
from mailloom.thread.decide import is_asking
from mailloom.thread.encoding import dump_stated, load_stated
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import MAX_OWNERS, is_dead
from mailloom.thread.weave import keyed

_ANEW = f"{REPAIR}: threads are derived anew from the evidence"


def nodes(x: Examination) -> Verdict:
    there = "select 1 from nodes p where p.scope = ?2 and p.name ="
    wrong = x.faults(
        {
            "messages have none": f"messages n where scope = ?1 and not exists ({there} cast(x'00' || n.id as blob))",
            "are of a message that is not there": """nodes n where scope = ?2 and name < x'01' and not exists (
              select 1 from messages m where m.scope = ?1 and m.id = substr(n.name, 2))""",
            "hang on a node that is not there": f"nodes n where scope = ?2 and not exists ({there} n.parent)",
            "hang on a larger one, so in a cycle": "nodes where scope = ?2 and parent > name",
            "name a conversation that is not there": f"""nodes n where scope = ?2 and conv is not null
              and not exists ({there} n.conv)""",
            "keys that messages state have none": f"""(select distinct key from links where scope = ?2) n
              where not exists ({there} n.key)""",  # noqa: S608  constants only
            "hand edits are not found by all their names": """edits left join (select number, count(*) as known
              from edit_names where scope = ?1 group by number) using (number)
              where scope = ?1 and coalesce(known, 0) <> (length(inside) + length(outside)) / 17""",
        }
    )
    return Verdict(not wrong, wrong or f"{x.count('nodes where scope = ?2'):,} nodes, all on the way to a root", _ANEW)


def rules(x: Examination) -> Verdict:
    outdated = x.archive.stores.outdated()
    mend = "`mailloom rethread --dry-run` tells what the new ones would change, `mailloom rethread` changes it"
    return Verdict(not outdated, outdated or "threads were derived by the rules of this version", mend)


def stated(x: Examination) -> Verdict:
    """The evidence of each message is there, is what its record says, and can be found by its keys."""
    wrong = x.faults(
        {
            "messages state nothing": """messages m where scope = ?1
              and not exists (select 1 from stated s where s.scope = ?2 and s.message = m.id)""",
            "are of a message that is not there": """stated s where scope = ?2
              and not exists (select 1 from messages m where m.scope = ?1 and m.id = s.message)""",
        }
    )
    sql = f"""select m.id, s.body, b.body from messages m join bodies b using (seq)
      join stated s on s.scope = ?2 and s.message = m.id where m.scope = ?1 and {x.sampled()}"""  # noqa: S608
    other, read = [], 0
    for message, body, record in x.rows(sql) if not x.archive.stores.outdated() else ():
        read += 1
        if sound(message, record) and dump_stated(evidence(load_record(unpack(record)))) != body:
            other.append(message)
    if other:
        wrong = ", ".join(
            filter(None, [wrong, f"{len(other):,} of {read:,} read differ from the record: {named(other)}"])
        )
    if not wrong and _pairs(x) != 0:
        wrong = "the index of keys differs from what the messages state"
    return Verdict(not wrong, wrong or f"each message states what its record says; {read:,} read", REPAIR)


def _pairs(x: Examination) -> int:
    """0 if the links table holds exactly the (key, message) pairs that are stated: all of both, hashed and xored together."""
    both = 0
    for message, body in x.rows("select message, body from stated where scope = ?2"):
        for key in {link.key for link in load_stated(message, body).links}:
            both ^= _hash(key, message)
    for key, message in x.rows("select key, message from links where scope = ?2"):
        both ^= _hash(key, message)
    return both


def _hash(key: bytes, message: bytes) -> int:
    return int.from_bytes(blake2b(key + message, digest_size=16).digest())


def conversations(x: Examination) -> Verdict:
    """Conversations, topics, soft links, dead keys and clues against all of them derived at once from the evidence
    and the hand edits.
    """
    evidence_of = [
        _light(load_stated(m, body)) for m, body in x.rows("select message, body from stated where scope = ?2")
    ]
    if x.archive.stores.outdated():
        return Verdict(True, "not compared: they were derived by other rules than this version's", "")
    if marks := x.count("marks where scope = ?2"):
        return Verdict(False, f"not compared: {marks:,} messages wait for settling", REPAIR)
    want, targets = derive(evidence_of, edits=x.archive.edits())
    wrong = []
    differ, total = _memberships(x, want)
    if differ:
        wrong.append(
            f"{len(differ):,} of {total:,} messages are in another one than their evidence says: {named(differ)}"
        )
    if soft := _soft(x, targets):
        wrong.append(f"{len(soft):,} messages have other soft links: {named(soft)}")
    items = key_items(evidence_of)
    dead = {key for key, item in items.items() if is_dead(item)}
    if flips := dead ^ {key for (key,) in x.rows("select name from nodes where scope = ?2 and dead")}:
        wrong.append(f"{len(flips):,} keys are dead and should not be, or the other way round")
    if odd := sum(1 for key, live in _lives(x) if live != _life(items.get(key, KeyItem()))):
        wrong.append(f"{odd:,} keys are said to be owned or dead, and their messages say otherwise")
    if lost := _clues(x, evidence_of, items):
        wrong.append(
            f"{len(lost):,} messages would not be found by mail that looks for them, or not find it: {named(lost)}"
        )
    count = len(set(want.values()))
    return Verdict(not wrong, "; ".join(wrong) or f"{count:,} conversations, each as its evidence says", _ANEW)


def _light(s: Stated) -> Stated:
    """Without the words that are for people, which take most of the memory."""
    links = tuple(Link(link.kind, link.key, link.owns, "", link.weight) for link in s.links)
    return s._replace(links=links)


def _memberships(x: Examination, want: dict[MessageId, MessageId]) -> tuple[list[bytes], int]:
    """Messages whose conversation or topic is not the one that is wanted."""
    x.analysis.load(["threads"])
    result = x.analysis.duck.execute("select message, thread, topic from _threads order by message")
    groups: dict[MessageId, list[tuple[MessageId, bytes]]] = defaultdict(list)
    for message, subject in x.rows("select id, base_subject from messages where scope = ?1"):
        groups[want.get(message, message)].append((message, subject.encode()))
    topic = {message: first for members in groups.values() for message, first in topics(members).items()}
    differ, total = [], 0
    while rows := result.fetchmany(CHUNK):
        total += len(rows)
        differ += [m for m, thread, of in rows if (thread, of) != (want.get(m), topic.get(m))]
    return differ, total


def _soft(x: Examination, targets: dict[MessageId, tuple[Target, ...]]) -> list[bytes]:
    want = {(m, t.target, t.kind, t.weight) for m, chosen in targets.items() for t in chosen}
    live = set(x.rows("select source, target, kind, weight from soft where scope = ?2 and live"))
    return sorted({source for source, *_ in want ^ live})


def _lives(x: Examination) -> Iterable[tuple[bytes, tuple[bool, bool]]]:
    """(key, (owned, dead)) as the items say that are stored. Which citers an item kept depends on order; these two don't."""
    rows: Iterator[tuple[bytes, bytes, bytes, bytes]] = x.rows(
        "select name, owners, senders, subjects from nodes where scope = ?2 and name >= x'01'"
    )
    for name, *joined in rows:
        owners, senders, subjects = (frozenset(j[i : i + 8] for i in range(0, len(j), 8)) for j in joined)
        yield name, _life(KeyItem(owners, senders, subjects))


def _life(item: KeyItem) -> tuple[bool, bool]:
    return bool(item.owners), is_dead(item)


def _clues(x: Examination, evidence_of: Sequence[Stated], items: Mapping[bytes, KeyItem]) -> list[bytes]:
    """Messages whose clues have lost them as owners (unless so many own one that it is common), or that ask and are not
    written down as asking: mail that comes later would not be joined with them.
    """
    clues = {
        clue: (frozenset(owners[i : i + 16] for i in range(0, len(owners), 16)), asked)
        for clue, owners, asked in x.rows("select name, owners, asked from clues where scope = ?2")
    }
    asks = set(x.rows("select clue, message from asks where scope = ?2"))
    asked_keys = {key for (key,) in x.rows("select name from nodes where scope = ?2 and asked")}
    nobody: tuple[frozenset[bytes], int] = (frozenset(), 0)
    lost: list[bytes] = []
    for s in evidence_of:
        found = all(
            s.message in owners or len(owners) >= MAX_OWNERS
            for owners, _ in (clues.get(clue, nobody) for clue in s.owns)
        )
        if found and is_asking(s, items):
            found = all((ask.clue, s.message) in asks and clues.get(ask.clue, nobody)[1] for ask in s.asks)
            found = found and all(link.key in asked_keys for link in keyed(s) if not link.owns)
        if not found:
            lost.append(s.message)
    return lost


def marks(x: Examination) -> Verdict:
    waiting = x.count("marks where scope = ?2")
    found = f"{waiting:,} messages wait for settling, as an ingest was stopped or is running"
    return Verdict(
        not waiting, found if waiting else "nothing waits for settling", f"{REPAIR}, so does the next ingest"
    )
