"""What doctor can mend, from what is still there: records from raw mail, everything else from records. Nothing is made up, and no
mail, delivery or raw byte is ever removed. Each step is one transaction, so a kill leaves the archive as before it or after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from mailloom.archive.doctor.files import unnamed
from mailloom.archive.doctor.ledger import UNFOUND, UNMEANT, named_by, sound
from mailloom.archive.rethread import rethread
from mailloom.flow.transform import Outcome, Sealed, seal, transform
from mailloom.mail.model import MessageId, Origin
from mailloom.schema import VERSION, load_record, unpack
from mailloom.stores.files import RawError
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import RULES
from mailloom.thread.settle import settle
from mailloom.wire import Embedded, open_for_writing

BATCH = 500  # messages made again in one transaction
_NOWHERE = Origin("", "", 0, 0, 0, 0)
_THREADS = frozenset({"nodes", "rules", "evidence", "conversations"})


def mend(folder: Path, faults: Collection[str], scope: str = "") -> Iterator[str]:
    """Mend what the checks named in `faults` found, as far as that can be done; a line for each step. Raises ArchiveError where
    somebody else is writing.
    """
    wrong = set(faults)
    with open_for_writing(folder, scope) as stores:
        if "records" in wrong and (count := _records(stores)):
            yield f"records: {count:,} made again from raw mail"
            wrong |= {"parquet", "words"}
        if "deliveries" in wrong and (count := _messages(stores)):
            yield f"messages: {count:,} made again from raw mail"
            wrong |= {"parquet", "words", "nodes"}
        if "records" in wrong and (count := _orphans(stores)):
            yield f"records: {count:,} removed whose messages have another"
        if "words" in wrong:
            yield _words(stores)
        if "sketches" in wrong:
            yield _sketches(stores)
        if wrong & _THREADS:
            yield _threads(stores)
        elif "marks" in wrong:
            yield f"settled: {settle(stores.threads).looked:,} messages looked at"
        if "parquet" in wrong:
            yield _parquet(stores)
        if "rests" in wrong:
            yield _rests(stores)


# ------------------------------------------------------------------------------------------------ from raw mail
def _records(stores: Embedded) -> int:
    """Put back records that are lost or damaged."""
    sql = "select seq, id, body from messages left join bodies using (seq) where scope = ?"
    bad = [
        (seq, MessageId(message))
        for seq, message, body in stores.connection.cursor().execute(sql, (stores.scope,))
        if body is None or not sound(message, body)
    ]
    made = [(seq, sealed.row.body) for seq, message in bad for sealed in _from_raw(stores, message) if sealed.row]
    with stores.threads.session():
        stores.connection.executemany("insert or replace into bodies values (?, ?)", made)
    return len(made)


def _orphans(stores: Embedded) -> int:
    """Remove records of no message, but for those that are the last that is left of one."""
    sql = "select seq, body from bodies where seq not in (select seq from messages)"
    orphans: list[tuple[int, bytes]] = stores.connection.cursor().execute(sql).fetchall()  # type: ignore[assignment]
    there = "select 1 from messages where id = ?"
    spare = [
        (seq,)
        for seq, body in orphans
        if (message := named_by(body)) is not None and stores.connection.execute(there, (message,)).get
    ]
    with stores.threads.session():
        stores.connection.executemany("delete from bodies where seq = ?", spare)
    return len(spare)


def _messages(stores: Embedded) -> int:
    """Put back messages that deliveries point to and that are lost."""
    sql = """select distinct message from deliveries d where scope = ? and state in ('stored', 'duplicate') and not exists (
      select 1 from messages m where m.scope = d.scope and m.id = d.message and m.finished)"""
    lost = [MessageId(row[0]) for row in stores.connection.execute(sql, (stores.scope,))]
    made = 0
    for start in range(0, len(lost), BATCH):
        found = [sealed for message in lost[start : start + BATCH] for sealed in _from_raw(stores, message)]
        with stores.threads.session():
            stores.messages.put(
                [(s.row, s.words, s.people) for s in found if s.row is not None and s.words is not None]
            )
            stores.messages.finish([s.row.id for s in found if s.row is not None])
        made += len(found)
    return made


def _from_raw(stores: Embedded, message: MessageId) -> list[Sealed]:
    """A message made again from the first of its copies whose bytes are there and still say the same; none, if none does."""
    sql = "select raw_sha256 from deliveries indexed by deliveries_message where scope = ? and message = ? order by 1"
    hashes: list[bytes] = [row[0] for row in stores.connection.cursor().execute(sql, (stores.scope, message))]
    for sha in hashes:
        where = stores.records.located([sha]).get(sha)
        try:
            sealed = seal(transform(stores.packs.read(sha, where), _NOWHERE)) if where else None
        except RawError:
            continue
        if sealed is not None and sealed.row is not None and sealed.row.id == message:
            return [sealed]
    return []


# ------------------------------------------------------------------------------------------------ from records
def _words(stores: Embedded) -> str:
    """Entries of the full-text index."""
    ask = stores.connection.execute
    unmeant = [row[0] for row in ask(f"select id from {UNMEANT}")]  # noqa: S608  constants only
    unfound = f"select seq, body from bodies where seq in (select seq from {UNFOUND}) order by seq"  # noqa: S608
    rows: list[tuple[int, bytes]] = stores.connection.cursor().execute(unfound).fetchall()  # type: ignore[assignment]
    made = 0
    with stores.threads.session():
        stores.connection.executemany("delete from words where rowid = ?", [(seq,) for seq in unmeant])
        for seq, body in rows:
            record = load_record(unpack(body))
            words = seal(Outcome(_NOWHERE, b"", 0, VERSION, record, evidence(record))).words
            if words is not None:
                ask(
                    "insert into words (rowid, subject, sender, recipients, new, old, names) values (?, ?, ?, ?, ?, ?, ?)",
                    (seq, *words),
                )
                made += 1
    return f"full text: {made:,} messages put in, {len(unmeant):,} entries of no message removed"


def _sketches(stores: Embedded) -> str:
    """All of them anew, of all scopes."""
    from mailloom.thread.near import sketch

    bodies = stores.connection.cursor().execute("select seq, body from messages join bodies using (seq) order by seq")
    made = 0
    with stores.threads.session():
        stores.connection.execute("delete from sketches; delete from sketch_packs")
        while chunk := list(islice(bodies, BATCH)):
            stores.records.sketches.put((seq, sketch(load_record(unpack(body)))) for seq, body in chunk)
            made += len(chunk)
        stores.records.sketches.pack()
    return f"sketches: {made:,} made anew"


def _parquet(stores: Embedded) -> str:
    """The whole copy is written anew: the names go, and then everything waits to be copied."""
    with stores.threads.session():
        stores.connection.execute("delete from files")
    waiting = stores.count()
    stores.copy()
    return f"Parquet: {waiting:,} messages copied anew"


def _rests(stores: Embedded) -> str:
    found = unnamed(stores)
    for path in found:
        path.unlink()
    return f"rests: {len(found):,} files removed"


def _threads(stores: Embedded) -> str:
    with stores.threads.session():
        stores.connection.execute("delete from edit_names where scope = ?", (stores.scope,))
        for edit in stores.threads.edits():
            stores.threads.put(edit)
    with rethread(stores) as changes:
        return f"threads: derived anew from {changes.counts.messages:,} records, by rules {RULES}"
