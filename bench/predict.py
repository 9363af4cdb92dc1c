"""Read cases of a gold file (their `input` only) and write predictions, one JSON line a case.

    python bench/predict.py GOLD.jsonl [--half even|odd] > PRED.jsonl

With --half only every second case is predicted, so that rules can be tuned on one half and judged on the other.
Predicted: reply_text, reply_full, signature, quoted, segments, is_forward, nested (attached and forwarded messages).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from mailloom.mail.cut.segment import cut
from mailloom.mail.inside.nested import inline
from mailloom.mail.model import OWN, SIGNED, Address, Nested, Segment
from mailloom.mail.parse import parse
from mailloom.mail.text.html import text_of


def people(found: tuple[Address, ...]) -> list[dict[str, str]]:
    return [{"name": a.name, "address": a.address} for a in found]


def tree(nested: tuple[Nested, ...]) -> list[dict[str, Any]]:
    """Attached and forwarded messages as a tree by their paths; what hangs below a quoted one is left out with it."""
    by_path: dict[str, dict[str, Any]] = {}
    top: list[dict[str, Any]] = []
    for one in sorted(nested, key=lambda n: [int(x) for x in n.path.split(".")]):
        if one.kind == "quoted":
            continue
        row = {
            "from": (people(one.from_) or [None])[0],
            "to": people(one.to),
            "cc": people(one.cc),
            "date": one.date.text,
            "subject": one.subject,
            "body": own_text(one, nested),
            "nested": [],
        }
        by_path[one.path] = row
        parent, _, _ = one.path.rpartition(".")
        if not parent:
            top.append(row)
        elif parent in by_path:
            by_path[parent]["nested"].append(row)
    return top


def own_text(one: Nested, nested: tuple[Nested, ...]) -> str:
    """An attached message's text without the forwards that stand in it: they are messages of their own."""
    text, end = one.text, len(one.text)
    if one.kind != "attached":
        return text
    out: list[str] = []
    for child in sorted(nested, key=lambda n: -n.start):
        if child.part < 0 and child.kind == "forwarded" and child.path.rpartition(".")[0] == one.path:
            out.append(text[child.end : end])
            end = child.start
    return "".join([text[:end], *reversed(out)]).strip()


def predicted(case: dict[str, Any]) -> dict[str, Any]:
    given = case["input"]
    kind, text = given["kind"], given["body"]
    segments: tuple[Segment, ...]
    nested: tuple[Nested, ...]
    if kind == "eml":
        # Gold files hold mail as text in which each byte is one character, as far as that was possible.
        try:
            raw = text.encode("latin-1")
        except UnicodeEncodeError:
            raw = text.encode("utf-8")
        message = parse(raw)
        text, segments, nested = message.text, message.segments, message.nested
    else:
        marks = ()
        if kind == "html":
            page = text_of(text)
            text, marks = page.text, page.marks
        text = text.replace("\r\n", "\n")
        segments, _ = cut(text, marks, given.get("subject") or "", (given.get("sender") or "",))
        nested = inline(text, segments, subject=given.get("subject") or "")
    joined = lambda *kinds: "".join(text[s.start : s.end] for s in segments if s.kind in kinds).strip()  # noqa: E731
    return {
        "reply_text": joined(*OWN),
        "reply_full": joined(*SIGNED),
        "signature": joined("signature", "disclaimer"),
        "quoted": joined("attribution", "quote", "forward"),
        "segments": [{"kind": "reply" if s.kind in OWN else s.kind, "text": text[s.start : s.end]} for s in segments],
        "nested": tree(nested),
        "is_forward": any(n.kind != "quoted" for n in nested),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gold")
    parser.add_argument("--half", choices=["even", "odd"])
    args = parser.parse_args()
    with open(args.gold, encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip()]
    for number, case in enumerate(cases):
        if args.half and number % 2 != (args.half == "odd"):
            continue
        try:
            row = predicted(case)
        except Exception as error:  # a crash is a result, and scores nothing
            print(f"{case['id']}: {error!r}", file=sys.stderr)
            row = {"error": repr(error)}
        print(json.dumps({"id": case["id"], **row}, ensure_ascii=False))


if __name__ == "__main__":
    main()
