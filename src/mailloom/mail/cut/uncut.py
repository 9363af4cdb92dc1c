"""What looks like an introduction and was not cut: told, so that what no rule knows can be counted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailloom.mail.cut.attribution import has_date, plain_digits
from mailloom.mail.cut.heading import phrase
from mailloom.mail.model import OWN, Problem, Segment

MAX_BEHIND = 200
"""Characters from an "@" to the colon that ends its line: an address, a bracket and a verb."""

_LIKE_HEAD = re.compile(r"\n---(?!--(?:BEGIN|END) )[^\n]{1,200}+(?<=---)\n(?=[^\n:]{1,30}:[^\n]{0,200}\n[^\n:]{1,30}:)")
"""A drawn line with words above two labelled ones; PGP's armour has them, too."""


def uncut(text: str, segments: Sequence[Segment]) -> tuple[Problem, ...]:
    """The first line of the author's that looks like an introduction."""
    suspects = _like_attributions(text) if "@" in text else []
    if "\n---" in text:
        suspects += [(m.start() + 1, "head") for m in _LIKE_HEAD.finditer(text)]
    if not suspects:
        return ()
    at = 0
    for place, like in sorted(suspects):
        while segments[at].end <= place:
            at += 1
        if segments[at].kind not in OWN:
            continue
        line = text[text.rfind("\n", 0, place) + 1 : place + 300].partition("\n")[0]
        if has_date(plain_digits(line)) if like == "attribution" else phrase(line)[0] == "dashed":
            return (
                Problem("uncut quote", "body", f"a line like an {like}" if like[0] == "a" else f"a line like a {like}"),
            )
    return ()


def _like_attributions(text: str) -> list[tuple[int, str]]:
    """Places of the last "@" of the lines that end in a colon, where it is near that. Lines are found by their ends: most
    texts have an "@" in many lines and a colon at the end of few.
    """
    found: list[tuple[int, str]] = []
    text += "\n"
    for line_end in (":\n", "：\n"):
        end = text.find(line_end)
        while end >= 0:
            at = text.rfind("@", max(0, end - MAX_BEHIND), end)
            if at >= 0 and text.find("\n", at, end) < 0:
                found.append((at, "attribution"))
            end = text.find(line_end, end + 1)
    return found
