"""Text as a reader saw it: in one form of Unicode, without characters that show nothing.

Texts are kept as they were decoded, since spans count their characters; this is for what is copied out of them: a reply to read,
words to search.
"""

from __future__ import annotations

import re
import unicodedata

# Soft hyphens, zero-width blanks, marks of direction, joiners of nothing, byte order marks, interlinear and tag characters.
# Newsletters fill the space behind their first line with them, and copies from web pages carry them inside words.
_NOTHING = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff"
)
# U+200C and U+200D shape letters and emoji; with nothing on one side they do nothing.
_INVISIBLE = re.compile(f"[{_NOTHING}]+")
_JOINERS = re.compile("[\u200c\u200d]+")


def visible(text: str) -> str:
    """The text in Unicode's form NFC (UAX 15), without invisible characters. Line breaks and blanks stay as they are."""
    if text.isascii():
        return text
    text = _JOINERS.sub(_shaping, _INVISIBLE.sub("", text))
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _shaping(run: re.Match[str]) -> str:
    text = run.string
    before, after = text[max(0, run.start() - 1) : run.start()], text[run.end() : run.end() + 1]
    return run[0] if before.strip() and after.strip() else ""
