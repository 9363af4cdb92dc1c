"""Why a mail is in its thread: each link that it states, what became of it, and what was looked for beyond, as values and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailloom.archive import Archive
from mailloom.cli import draw
from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, KeyItem, Link, NodeName, Place, Soft, Stated
from mailloom.schema import text_id
from mailloom.thread.decide import is_asking
from mailloom.thread.edits import HAND, JOIN, Hand
from mailloom.thread.keys import MAX_CITERS, is_common, is_dead, nodes_of
from mailloom.thread.tree import topics

LOOKED_AT = 1000  # messages of one key that are told apart into those that have it and those that cite it
NAMED = 3  # others that a line names


def facts(archive: Archive, message: MessageId) -> dict[str, Any]:
    """Everything `explain --json` prints. A link's `state` is joins, alone, dead or apart; `why` says why a dead one
    or one that a hand edit keeps apart isn't used.
    """
    threads = archive.stores.threads
    conversation = archive.conversation(message)
    members = archive.members(conversation)
    stated = archive.stated([message])[0]
    names = {link.key for link in stated.links}
    items, nodes = dict(threads.keys(names)), threads.nodes(names)
    linked = threads.linked(names)
    asking = is_asking(stated, items)
    clues = threads.clues({ask.clue for ask in stated.asks})
    hand = archive.by_hand([stated])
    walled = hand.walled(stated)
    links = []
    for link in stated.links:
        item = items.get(link.key, KeyItem())
        others = [other for other in linked.get(link.key, ()) if other != message]
        if link.key in hand.at:
            others = _used(archive, link.key, others[:LOOKED_AT])
        settled = link.key not in nodes or nodes[link.key].dead == is_dead(item)
        links.append(_link(archive, link, item, others, settled, walled.get(link.key)))
    return {
        "id": text_id(message),
        "message_id": archive.summary(message).message_id,
        "thread": text_id(conversation),
        "messages": len(members),
        "topic": text_id(_topic(archive, members, message)),
        "links": links,
        "soft": [_soft(row, message) for row in _drawn(archive, message)],
        "edits": [_edit(stated, place) for place in _places(hand, stated)],
        "asking": asking,
        "asks": [_ask(stated, clues, number) for number in range(len(stated.asks))],
    }


def _topic(archive: Archive, members: Sequence[MessageId], message: MessageId) -> MessageId:
    sql = "select id, base_subject from messages where scope = ? and id = ?"
    rows = archive.connection.executemany(sql, [(archive.scope, member) for member in members])
    return topics((MessageId(member), subject.encode()) for member, subject in rows).get(message, message)


def _places(hand: Hand, stated: Stated) -> list[Place]:
    """One place of each edit that names a message or, where none does, its keys."""
    by_number: dict[int, Place] = {}
    for name in reversed(nodes_of(stated)):
        by_number.update((place.number, place) for place in hand.at.get(name, ()))
    return [place for _, place in sorted(by_number.items())]


def _edit(stated: Stated, place: Place) -> dict[str, Any]:
    other = place.message if place.message != stated.message else place.target
    return {"number": place.number, "kind": place.kind, "inside": place.inside, "other": text_id(other)}


def _used(archive: Archive, key: NodeName, others: Sequence[MessageId]) -> list[MessageId]:
    """Those for whom a key counts that a hand edit names."""
    stated = archive.stated(others)
    hand = archive.by_hand(stated)
    return [s.message for s in stated if key not in hand.walled(s)]


def _link(
    archive: Archive, link: Link, item: KeyItem, others: Sequence[MessageId], settled: bool, wall: int | None
) -> dict[str, Any]:
    having = _having(archive, link.key, others[:LOOKED_AT])
    citing = [other for other in others if other not in having]
    why = ""
    if is_dead(item):
        more = " or more" if len(item.senders) >= MAX_CITERS else ""
        if item.owners:
            why = "it was given to mails with different subjects"
        else:
            why = (
                f"{len(item.senders)}{more} senders with {len(item.subjects)}{more} subjects cite it and nobody has it"
            )
    return {
        "kind": link.kind,
        "relation": "has" if link.owns else "cites",
        "value": link.detail,
        "weight": link.weight,
        "state": "dead" if why else "apart" if wall else "joins" if others else "alone",
        "why": why or (f"kept apart by hand (edit {wall})" if wall else ""),
        "settled": settled,
        "had_by": [text_id(other) for other in sorted(having)],
        "cited_by": [text_id(other) for other in sorted(citing)],
    }


def _having(archive: Archive, key: NodeName, others: Sequence[MessageId]) -> set[MessageId]:
    return {s.message for s in archive.stated(others) if any(link.owns and link.key == key for link in s.links)}


def _drawn(archive: Archive, message: MessageId) -> list[Soft]:
    return sorted(archive.stores.threads.drawn([message]))


def _soft(row: Soft, message: MessageId) -> dict[str, Any]:
    outward = row.source == message
    return {
        "direction": "to" if outward else "from",
        "other": text_id(row.target if outward else row.source),
        "kind": row.kind,
        "weight": row.weight,
        "detail": row.detail,
        "live": row.live,
    }


def _ask(stated: Stated, clues: Mapping[bytes, ClueItem], number: int) -> dict[str, Any]:
    ask = stated.asks[number]
    item = clues.get(ask.clue, ClueItem())
    return {
        "kind": ask.kind,
        "value": ask.detail,
        "weight": ask.weight,
        "candidates": [text_id(owner) for owner in sorted(item.owners)],
        "common": is_common(item),
    }


# ------------------------------------------------------------------------------------------------ in words
_SAYS = {
    "message-id": "its Message-ID",
    "in-reply-to": "it answers",
    "references": "it refers to",
    "alias": "it was also sent as",
    "thread-index": "its Thread-Index",
    "twin": "the same content under another id",
}


def lines(archive: Archive, known: dict[str, Any], *, room: int) -> Iterator[str]:
    """The facts, told."""
    summary = archive.summary(archive.find(known["id"]))
    yield from draw.title(summary.subject, room)
    thread, topic = archive.find(known["thread"]), archive.find(known["topic"])
    yield (
        f"is in thread {draw.name_of(archive.short(thread))}, {draw.several(known['messages'], 'message')}, the oldest of which names it"
        + ("" if topic == thread else f"; its topic began with {draw.name_of(archive.short(topic))}")
    )
    links = _together(known["links"])
    used = [link for link in links if link["state"] == "joins"]
    unused = [link for link in links if link["state"] != "joins" and link["kind"] != "twin"]
    if used:
        yield from ("", draw.bold("Joined by"))
        for link in used:
            yield from _told(archive, link, room)
    if known["edits"]:
        yield from ("", draw.bold("Edited by hand"))
        for edit in known["edits"]:
            yield from _indented(_edit_told(archive, edit, known["id"]), room)
    likely = [row for row in known["soft"] if row["kind"] != HAND]
    if likely:
        yield from (
            "",
            draw.bold("Joined by what is likely" if any(row["live"] for row in likely) else "No longer joined by"),
        )
        for row in likely:
            yield from _soft_told(archive, row, room)
    if unused:
        yield from ("", draw.bold("Stated, and joins nothing"))
        for link in unused:
            yield from _told(archive, link, room)
    yield ""
    yield from draw.wrap(_asking(known), room)


def _together(links: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """In-Reply-To and References mostly name the same id: told once, with both kinds."""
    told: dict[tuple[str, str, str], dict[str, Any]] = {}
    for link in links:
        same = told.setdefault(("id", link["relation"], link["value"]), {**link, "kinds": []})
        same["kinds"].append(link["kind"])
    return list(told.values())


def _told(archive: Archive, link: dict[str, Any], room: int) -> Iterator[str]:
    value = "" if link["kind"] == "twin" else f" {draw.safe(link['value'])}"
    kinds = " and ".join(link["kinds"])
    says = _SAYS.get(link["kind"], link["kind"])
    yield f"  {draw.clip(says + value, room - len(kinds) - 20)} {draw.dim(_weight(kinds, link))}"
    if link["why"]:
        yield f"    not used: {link['why']}"
    having, citing = link["had_by"], link["cited_by"]
    if having:
        one, many = ("which is", "which are") if link["relation"] == "cites" else ("shared by", "shared by")
        yield from _indented(_others(archive, having, one, many), room)
    elif link["relation"] == "cites":
        yield "    nobody here has it"
    if citing:
        yield from _indented(_others(archive, citing, "cited by", "cited by"), room)
    elif link["relation"] == "has" and link["kind"] != "twin" and not having:
        yield "    nobody cites it"
    if not link["settled"]:
        yield "    its state changed since threads were last settled: the next ingest does that"


def _indented(text: str, room: int) -> Iterator[str]:
    yield from (f"    {line}" for line in draw.wrap(text, room - 4))


def _weight(kinds: str, link: dict[str, Any]) -> str:
    return f"({kinds}, weight {link['weight'] / 1000:.2f})"


def _others(archive: Archive, ids: Sequence[str], one: str, many: str) -> str:
    named = []
    for text in ids[:NAMED]:
        other = archive.find(text)
        summary = archive.summary(other)
        named.append(
            f"{draw.name_of(archive.short(other))} ({draw.safe(summary.sender)}, {draw.moment(summary.date).strip()})"
        )
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return f"{one if len(ids) == 1 else many} {', '.join(named)}{more}"


def _soft_told(archive: Archive, row: dict[str, Any], room: int) -> Iterator[str]:
    other = _others(archive, [row["other"]], "it follows" if row["direction"] == "to" else "it is followed by", "")
    yield from (f"  {line}" for line in draw.wrap(other, room - 2))
    weight = _weight(row["kind"], row)
    state = "" if row["live"] else ", no longer used: better evidence came"
    same = draw.clip(draw.safe(f"same {row['kind']}: {row['detail']}"), room - len(weight) - len(state) - 5)
    yield f"    {same} {draw.dim(weight)}{state}"


def _edit_told(archive: Archive, edit: dict[str, Any], own: str) -> str:
    number = f" (edit {edit['number']})"
    if edit["kind"] == JOIN:
        return _others(archive, [edit["other"]], "joined by hand with", "") + number
    if edit["other"] == own:
        return f"split off by hand, with what answers it{number}"
    side = "kept by hand with" if edit["inside"] else "kept apart by hand from"
    return _others(archive, [edit["other"]], side, "") + ", which was split off" + number


def _asking(known: dict[str, Any]) -> str:
    if not known["asks"]:
        return "It looks for nothing beyond its ids."
    sought = ", ".join(f"{ask['kind']} {draw.safe(ask['value'])!r}" for ask in known["asks"])
    if not known["asking"]:
        return f"It has a parent by its ids, so likely ones are not looked for ({sought})."
    common = any(ask["common"] for ask in known["asks"])
    found = sum(len(ask["candidates"]) for ask in known["asks"])
    end = ", which is too common to tell threads apart" if common else f": {draw.several(found, 'candidate')}"
    return f"No parent is known by its ids, so a likely one is looked for by {sought}{end}."
