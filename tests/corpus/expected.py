"""What other parsers' test suites say of their mails, beside what this one says: (field, theirs, ours) for each thing compared.

Only what both state is compared. Texts are compared with line ends folded and blank lines at their end dropped, as the line
break before a boundary belongs to the boundary (RFC 2046 section 5.1.1) and suites differ in whether they print it.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from mailloom.mail.charset import decode
from mailloom.mail.model import Message
from mailloom.mail.parse import message
from mailloom.mail.parts import header
from mailloom.mail.parts.mime import Mime, scan
from mailloom.mail.people.address import addresses

Compared = tuple[str, object, object]


def folded(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")).strip("\n")


# ---------------------------------------------------------------- stalwart mail-parser: .eml beside .json


def stalwart(raw: bytes, expected: dict[str, Any]) -> Iterator[Compared]:
    """A mail and, the same way, each message attached to it."""
    work = [("", raw, expected)]
    while work:
        where, data, said = work.pop()
        mime = scan(data)
        one = message(mime)
        yield from _stalwart_fields(where, said["parts"][0]["headers"], one)
        yield from _stalwart_parts(where, said, mime, one)
        for index, part in enumerate(said["parts"]):
            body = part["body"]
            if isinstance(body, dict) and "Message" in body and index < len(mime.parts):
                work.append((f"{where}{index}/", mime.payload(index), body["Message"]))


def _stalwart_fields(where: str, headers: list[dict[str, Any]], one: Message) -> Iterator[Compared]:
    last: dict[str, Any] = {h["name"]: h["value"] for h in headers if isinstance(h["name"], str)}
    count = {name: sum(h["name"] == name for h in headers) for name in last}
    people = {"from": one.from_, "to": one.to, "cc": one.cc, "reply_to": one.reply_to, "sender": one.sender}
    for name, ours in people.items():
        if name in last and count[name] == 1:
            mine = [(_joined(a.name), a.address, a.group) for a in ours if a.name or a.address]
            yield f"{where}{name}", _boxes(last[name]), mine
    if "subject" in last and count["subject"] == 1:
        yield f"{where}subject", _joined(_plain(last["subject"])), _joined(one.subject)
    if "date" in last and count["date"] == 1:
        yield f"{where}date", _instant(last["date"]), (one.date.ms, one.date.zone)
    if "message_id" in last and count["message_id"] == 1:
        yield f"{where}message_id", _plain(last["message_id"]), one.message_id
    for name, ids in (("references", one.references), ("in_reply_to", one.in_reply_to)):
        if name in last:
            value = last[name]
            yield f"{where}{name}", value.get("TextList", [value.get("Text")]), list(ids)


def _joined(text: str) -> str:
    return " ".join(text.split())


def _plain(value: Any) -> str:
    return value.get("Text", "") if isinstance(value, dict) else ""


def _boxes(value: Any) -> list[tuple[str, str, str]]:
    stated = value.get("Address", {}) if isinstance(value, dict) else {}
    found = [(one, "") for one in stated.get("List") or []]
    for group in stated.get("Group") or []:
        found += [(one, group["name"] or "") for one in group["addresses"]]
    return [(_joined(one.get("name") or ""), one.get("address") or "", group) for one, group in found]


def _instant(value: Any) -> tuple[int | None, int | None]:
    if not isinstance(value, dict) or "DateTime" not in value:
        return None, None
    d = value["DateTime"]
    zone = (d["tz_hour"] * 60 + d["tz_minute"]) * (-1 if d["tz_before_gmt"] else 1)
    try:
        when = datetime(
            d["year"],
            d["month"],
            d["day"],
            d["hour"],
            d["minute"],
            d["second"],
            tzinfo=timezone(timedelta(minutes=zone)),
        )
    except ValueError:
        return None, None
    return int(when.timestamp()) * 1000, zone


def _stalwart_parts(where: str, said: dict[str, Any], mime: Mime, one: Message) -> Iterator[Compared]:
    parts = said["parts"]
    parent = {0: -1}
    for index, part in enumerate(parts):
        if isinstance(part["body"], dict) and "Multipart" in part["body"]:
            parent |= dict.fromkeys(part["body"]["Multipart"], index)
    theirs = [(parent.get(i, -1), _shape(p["body"])) for i, p in enumerate(parts)]
    own = [part for part in mime.parts if not part.inside]
    yield f"{where}parts", theirs, [(p.parent, _own_shape(p.type)) for p in own]
    if len(parts) != len(own):
        return
    for index, (part, mine) in enumerate(zip(parts, own, strict=True)):
        body = part["body"]
        kind = next(iter(body))
        if kind in ("Text", "Html") and mine.type.startswith("text/"):
            yield f"{where}{index} text", folded(body[kind]), folded(decode(mime.payload(index), mine.charset)[0])
        elif kind in ("Binary", "InlineBinary"):
            theirs_bytes = bytes(body[kind])
            ours = mime.payload(index)
            if mine.encoding not in ("base64", "binary"):
                theirs_bytes, ours = (b.replace(b"\r\n", b"\n").rstrip(b"\n") for b in (theirs_bytes, ours))
            yield f"{where}{index} bytes", theirs_bytes, ours
        name = _name(part["headers"])
        if name is not None:
            yield f"{where}{index} name", name, mine.name
        ids = [h["value"]["Text"] for h in part["headers"] if h["name"] == "content_id" and "Text" in h["value"]]
        if ids:
            yield f"{where}{index} content-id", ids[-1], mine.content_id
    # They list a picture between texts as body; all leaves that are not read as text are attachments here.
    read = {i for i in (*said["text_body"], *said["html_body"]) if next(iter(parts[i]["body"])) in ("Text", "Html")}
    files = [i for i, p in enumerate(parts) if "Multipart" not in p["body"] and i not in read]
    yield f"{where}attachments", files, sorted({a.part for a in one.attachments if not a.inside})


def _shape(body: Any) -> str:
    kind = next(iter(body))
    return {"Multipart": "multipart", "Message": "message"}.get(kind, "leaf")


def _own_shape(kind: str) -> str:
    if kind.startswith("multipart/"):
        return "multipart"
    return "message" if kind in ("message/rfc822", "message/global") else "leaf"


def _name(headers: list[dict[str, Any]]) -> str | None:
    for wanted, attribute in (
        ("content_disposition", "filename"),
        ("content_type", "name"),
        ("content_disposition", "name"),
    ):
        for h in headers:
            if h["name"] == wanted and isinstance(h["value"], dict):
                for one in (h["value"].get("ContentType") or {}).get("attributes") or []:
                    if one["name"] == attribute:
                        return str(one["value"])
    return None


def stalwart_tables(folder: Path) -> Iterator[tuple[str, Compared]]:
    """Their tables of single header fields: one case each."""
    for kind in ("address", "content_type", "date", "id", "unstructured"):
        for number, case in enumerate(json.loads((folder / f"{kind}.json").read_text("utf-8"))):
            written, said = case["header"], case["expected"]
            block = b"X:" + written.encode("utf-8", "surrogateescape")
            fields = header.raw_fields(block)
            value = fields[0][1] if fields else b""
            text = header.unfolded(value)
            name = f"{kind}.json {number}"
            if kind == "address":
                boxes = [(_joined(a.name), a.address, a.group) for a in addresses(text) if a.name or a.address]
                yield name, ("address", _boxes({"Address": said or {}}), boxes)
            elif kind == "content_type" and said:
                main, params = header.params(value)
                theirs = said["c_type"] + (f"/{said['c_subtype']}" if said["c_subtype"] else "")
                listed = dict(reversed([tuple(pair) for pair in said.get("attributes") or []]))
                yield name, ("content_type", (theirs, listed), (main, dict(params)))
            elif kind == "date":
                when = header.date(text)
                yield name, ("date", _instant({"DateTime": said} if said else None), (when.ms, when.zone))
            elif kind == "id":
                listed_ids = [said] if isinstance(said, str) else list(said or [])
                yield name, ("id", listed_ids, list(header.ids(text)))
            elif kind == "unstructured":
                yield name, ("text", _joined(said or ""), _joined(header.decode(value)))


# ---------------------------------------------------------------- mime4j: .msg beside .xml and decoded parts


def mime4j(path: Path) -> Iterator[Compared]:
    """The tree of parts with each leaf's decoded bytes, messages inside included."""
    mime = scan(path.read_bytes())
    decoded = path.with_name(path.stem + "_decoded.xml")
    tree = ET.fromstring(decoded.read_bytes())
    theirs: list[tuple[str, str, bytes | None]] = []
    _mime4j_tree(tree, "", theirs, path.parent)
    ours: list[tuple[str, str, bytes | None]] = []
    _own_tree(mime, "", ours)
    yield "parts", [(p, k) for p, k, _ in theirs], [(p, k) for p, k, _ in ours]
    mine = {p: (k, b) for p, k, b in ours}
    for place, kind, data in theirs:
        if place in mine and mine[place][0] == kind == "leaf":
            got = mine[place][1] or b""
            yield f"{place or 'root'} bytes", _lines(data or b""), _lines(got)
    said = [_field("".join(f.itertext())) for f in tree.findall("./header/field")]
    stated = header.raw_fields(mime.head(0))
    yield "fields", said, [_field(f"{name.decode()}:{value.decode('utf-8', 'replace')}") for name, value in stated]


def _field(text: str) -> str:
    name, _, value = text.partition(":")
    return f"{name.strip()}: {' '.join(value.split())}"


def _lines(data: bytes) -> bytes:
    return b"\n".join(line.rstrip() for line in data.replace(b"\r\n", b"\n").split(b"\n")).strip(b"\n")


def _mime4j_tree(node: ET.Element, place: str, out: list[tuple[str, str, bytes | None]], folder: Path) -> None:
    for child in node:
        if child.tag == "multipart":
            out.append((place, "multipart", None))
            for number, part in enumerate(child.findall("body-part"), 1):
                _mime4j_tree(part, f"{place}.{number}" if place else str(number), out, folder)
        elif child.tag == "message":
            out.append((place, "message", None))
            _mime4j_tree(child, f"{place}/", out, folder)
        elif child.tag in ("text-body", "binary-body"):
            out.append((place, "leaf", (folder / child.attrib["name"]).read_bytes()))


def _own_tree(mime: Mime, prefix: str, out: list[tuple[str, str, bytes | None]]) -> None:
    places: dict[int, str] = {0: prefix}
    count: dict[int, int] = {}
    for part in mime.parts:
        if part.inside:
            break
        if part.index:
            count[part.parent] = count.get(part.parent, 0) + 1
            above = places[part.parent]
            places[part.index] = f"{above}.{count[part.parent]}" if above else str(count[part.parent])
        place, kind = places[part.index], _own_shape(part.type)
        out.append((place, kind, mime.payload(part.index) if kind == "leaf" else None))
        if kind == "message":
            _own_tree(scan(mime.payload(part.index)), f"{place}/", out)
