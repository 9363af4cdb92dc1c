"""text/enriched (RFC 1896) and its forerunner text/richtext (RFC 1341 section 7.1.3) -> plain text.

Both write <command> as HTML does, few of them: line breaks and excerpts are kept, looks are dropped.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"<<|</?([A-Za-z0-9\-]{1,60})>|\n+")
_BREAKS = {"nl": "\n", "paragraph": "\n\n", "np": "\n\n"}


def readable(text: str, *, rich: bool) -> str:
    """The text as a reader saw it. Outside <nofill>, one line break is a blank and n are n-1 (RFC 1896 section 3); in richtext
    (`rich`) all are blanks, and <nl> breaks the line.
    """
    out: list[str] = []
    at = unfilled = hidden = 0
    for token in _TOKEN.finditer(text):
        if not hidden:
            out.append(text[at : token.start()])
        at = token.end()
        written, name = token[0], (token[1] or "").lower()
        closing = written.startswith("</")
        if name in ("param", "comment"):
            hidden = max(0, hidden + (-1 if closing else 1))
        elif hidden:
            continue
        elif written[0] == "\n":
            out.append(_break(len(written), kept=unfilled > 0, rich=rich))
        elif written == "<<":
            out.append("<" if not rich else "<<")
        elif name == "nofill":
            unfilled = max(0, unfilled + (-1 if closing else 1))
        elif rich and name == "lt":
            out.append("<")
        elif rich and name in _BREAKS and not (closing and name != "paragraph"):
            out.append(_BREAKS[name] if not closing else "\n\n")
    if not hidden:
        out.append(text[at:])
    return "".join(out)


def _break(count: int, *, kept: bool, rich: bool) -> str:
    if kept:
        return "\n" * count
    return " " if rich or count == 1 else "\n" * (count - 1)
