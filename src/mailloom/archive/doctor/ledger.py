"""Checks of the books, of the copies, and of what SQLite holds of each message."""

from __future__ import annotations

from mailloom.archive.doctor.examination import DAMAGED, REPAIR, Examination, Verdict, named
from mailloom.schema import load_record, read_record, unpack

_FROM_RAW = f"{REPAIR} from the raw bytes, where they are kept"
_AGAIN = "`mailloom ingest` of the same sources again reads the places that the ledger lacks"


def database(x: Examination) -> Verdict:
    pragma = "integrity_check" if x.deep else "quick_check"
    lines = [str(line) for (line,) in x.rows(f"pragma {pragma}(5)")]
    return Verdict(lines == ["ok"], f"SQLite's {pragma}: {'; '.join(lines)}", DAMAGED)


def books(x: Examination) -> Verdict:
    """Received = stored + duplicate + rejected (+ what is not read yet), for each source and all of them."""
    by_state = "select state, count(*) from deliveries where scope = ?1 group by state order by state"
    states: dict[str, int] = dict(x.rows(by_state))
    foreign = states.pop("foreign", 0)
    stored, duplicate, rejected = (states.pop(state, 0) for state in ("stored", "duplicate", "rejected"))
    received = stored + duplicate + rejected + sum(states.values())
    line = f"received {received:,} = stored {stored:,} + duplicate {duplicate:,} + rejected {rejected:,}"
    if foreign:
        line += f"; not mail {foreign:,}"
    if pending := x.count("containers where scope = ?1 and not complete"):
        line += f"; {pending:,} containers are not read to their end: the same ingest again goes on there"
    wrong = [f"{count:,} deliveries are neither, but {state!r}" for state, count in states.items()]
    if stored != (messages := x.count("messages where scope = ?1")):
        wrong.append(f"{stored:,} deliveries were stored, but there are {messages:,} messages")
    sourceless = "deliveries where scope = ?1 and source not in (select id from sources where scope = ?1)"
    if lost := x.faults({"deliveries are of a source that is not there": sourceless}):
        wrong.append(lost)
    return Verdict(not wrong, "; ".join([line, *wrong]), f"the next checks tell what is missing; {_AGAIN}")


def deliveries(x: Examination) -> Verdict:
    found = "select 1 from messages m where m.scope = d.scope and m.id = d.message and m.finished"
    wrong = x.faults(
        {
            "point to a message that is not there": f"""deliveries d where scope = ?1 and state in ('stored', 'duplicate')
              and not exists ({found})""",
            "are rejected without a reason": "deliveries where scope = ?1 and state = 'rejected' and reason = ''",
        }
    )
    return Verdict(not wrong, wrong or "each has its message, or a reason why not", _FROM_RAW)


def copies(x: Examination) -> Verdict:
    alone = """messages m where scope = ?1 and not exists (
      select 1 from deliveries d indexed by deliveries_message where d.scope = m.scope and d.message = m.id and d.state in ('stored', 'duplicate'))"""
    wrong = x.faults({"messages have none": alone})
    return Verdict(not wrong, wrong or "each message has one", _AGAIN)


def records(x: Examination) -> Verdict:
    lost = x.faults(
        {
            "messages have none": "messages where seq not in (select seq from bodies)",
            "belong to no message": "bodies where seq not in (select seq from messages)",
        }
    )
    wrong, read = [], 0
    sql = f"select id, body from messages join bodies using (seq) where {x.sampled()} order by seq"  # noqa: S608
    for message, body in x.rows(sql):
        read += 1
        if not sound(message, body):
            wrong.append(message)
    if wrong:
        lost = ", ".join(filter(None, [lost, f"{len(wrong):,} of {read:,} read are damaged: {named(wrong)}"]))
    return Verdict(not lost, lost or f"each message has one; {read:,} read", _FROM_RAW)


def sound(message: bytes, body: bytes) -> bool:
    """Whether a sealed record can be read and is that of the message."""
    return named_by(body) == message


def named_by(body: bytes) -> bytes | None:
    """The message that a sealed record is of; None where it can't be read."""
    record = read_record(body)
    return record.id if record is not None else None


# words_docsize is FTS5's own table with one row an entry; a contentless index has no other list of them.
UNFOUND = "messages where seq not in (select id from words_docsize)"
UNMEANT = "words_docsize where id not in (select seq from messages)"


def words(x: Examination) -> Verdict:
    wrong = x.faults({"messages are not in it": UNFOUND, "entries are of no message": UNMEANT})
    return Verdict(not wrong, wrong or "each message is in the full-text index", REPAIR)


def sketches(x: Examination) -> Verdict:
    """By which near duplicates are found. An archive that is older than they are has none."""
    from mailloom.thread.near import sketch

    kept = x.archive.stores.records.sketches
    if not kept.kept:
        return Verdict(False, "there are none, as this archive was made before there were any", REPAIR)
    missing = sum(1 for _ in kept.missing())
    wrong, read = [], 0
    sql = f"select seq, id, body from messages join bodies using (seq) where {x.sampled()} order by seq"  # noqa: S608
    for seq, message, body in x.rows(sql):
        read += 1
        if sound(message, body) and kept.sketch(seq) != sketch(load_record(unpack(body))):
            wrong.append(message)
    found = [f"{missing:,} messages have none"] if missing else []
    found += [f"{len(wrong):,} of {read:,} read differ from the record: {named(wrong)}"] if wrong else []
    return Verdict(not found, ", ".join(found) or f"each message has one; {read:,} read", REPAIR)
