"""Which indented blocks of HTML are quotes.

Editors write an indent as a blockquote with margins and nothing else (Gmail, Outlook, Apple Mail, Evernote), and a few clients
quote so. What tells them apart is what introduces a quote: an attribution right above it, or a head inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailloom.mail.cut.attribution import attribution
from mailloom.mail.cut.heading import block
from mailloom.mail.text.marks import Mark

MAX_INDENTS = 100
"""Indented blocks of a mail that are looked at: more are a layout."""
ABOVE, INSIDE = 500, 1500
"""Characters above and inside a block that are looked at: a head is shorter."""
FIRST_LINES = 12


def settled(text: str, marks: Sequence[Mark]) -> Sequence[Mark]:
    """The marks with indents that are introduced as quotes, and without the others."""
    if not any(mark.kind == "indent" for mark in marks):
        return marks
    out: list[Mark] = []
    looked = 0
    for mark in marks:
        if mark.kind != "indent":
            out.append(mark)
        elif looked < MAX_INDENTS:
            looked += 1
            if _is_introduced(text, mark):
                out.append(replace(mark, kind="quote"))
    return out


def _is_introduced(text: str, mark: Mark) -> bool:
    above = text[max(0, mark.start - ABOVE) : mark.start].rstrip().split("\n")[-4:]
    if above[-1] and attribution(above, len(above), 0, near=True):
        return True
    inside = text[mark.start : min(mark.end, mark.start + INSIDE)].split("\n")[:FIRST_LINES]
    if block(inside, 0) is not None:
        return True
    for count in range(1, min(3, len(inside)) + 1):
        if not inside[count - 1].strip():
            break
        if attribution(inside, count, 0, near=False):
            return True
    return False
