"""One tag of mail HTML: its element, what its attributes say of quotes, and whether it hides what is in it.

What the marks mean is known from the clients' own output:
blockquote type=cite (Apple Mail, Thunderbird, webmails), gmail_quote / gmail_attr / gmail_signature (Gmail),
divRplyFwdMsg and OLK_SRC_BODY_SECTION (Outlook on the web, for Mac), a div with only a top border (Outlook's
Word editor), yahoo_quoted (Yahoo), moz-cite-prefix / moz-forward-container / moz-signature (Thunderbird),
protonmail_quote, protonmail_signature_block (Proton), zmail_extra (Zoho), tutanota_quote, AppleMailSignature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Literal

MarkKind = Literal["quote", "attribution", "forward", "region", "signature"]

MAX_LINK = 500
"""Characters of a link's target that are shown: longer ones are tracking tokens that say nothing to a reader."""
MAX_KNOWN = 200
"""Characters of a tag that is remembered from mail to mail: longer ones hold targets that do not come again."""

_LONG_NUMBER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{7,});?")


def decode(text: str) -> str:
    # int() of a huge number raises, and no character has one.
    return unescape(_LONG_NUMBER.sub("\ufffd", text) if "&#" in text else text)


IS_TAG = re.compile(r"/?[A-Za-z]").match
BOGUS = frozenset("!?/")
_NAME = re.compile(r"/?([A-Za-z][^\s/]*)").match
_ATTRIBUTE = re.compile(r"""([A-Za-z][\w:.-]{0,40})\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"']+))""")
VOID = frozenset("area base br col embed hr img input link meta param source track wbr o:p".split())  # noqa: SIM905
IMPLIED = frozenset(["li", "p", "tr", "td", "th", "a"])
"""Elements that end one of the same name that is still open (HTML standard, 13.2.6.4.7)."""
NESTING = frozenset(["ul", "ol", "li", "pre", "blockquote"])
_BLOCK = frozenset(
    (  # noqa: SIM905
        "address article aside body caption center dd details dir div dl dt fieldset figcaption figure footer form "
        "header html li main nav ol section summary table tbody tfoot thead tr ul blockquote menu legend"
    ).split()
)
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 pre".split())  # noqa: SIM905
CELL = frozenset(("td", "th"))
ALWAYS = frozenset("br hr img ul ol li pre blockquote td th".split())  # noqa: SIM905
"""Elements that do more than break a line."""
STOPS = _BLOCK | _SPACED | CELL
"""An inline element's end tag never closes one of these (HTML standard, 13.2.6.4.7, "any other end tag")."""


@dataclass(slots=True)
class Tag:
    name: str
    closing: bool
    breaks: int = 0
    plain: bool = True
    """Nothing but its breaks matters, unless an element of that name is tracked."""
    mark: tuple[MarkKind, str] | None = None
    hidden: bool = False
    href: str = ""
    alt: str = ""


def open_quote(raw: str) -> str:
    """The quote character that is still open at the end of a tag's text, "" if none is."""
    if "=" not in raw or ('"' not in raw and "'" not in raw):
        return ""
    at = 0
    while True:
        one, two = raw.find('="', at), raw.find("='", at)
        if one < 0 and two < 0:
            return ""
        start = two if one < 0 else one if two < 0 else min(one, two)
        end = raw.find(raw[start + 1], start + 2)
        if end < 0:
            return raw[start + 1]
        at = end + 1


@lru_cache(maxsize=4096)
def known_tag(raw: str) -> Tag:
    """Clients write the same few hundred tags into every mail."""
    return read_tag(raw)


def read_tag(raw: str) -> Tag:
    found = _NAME(raw)
    name = found[1].lower() if found else ""
    closing = raw[0] == "/"
    if name in _BLOCK:
        breaks = 1
    elif name in _SPACED:
        breaks = 2
    else:
        breaks = 0
    if closing or len(raw) == len(name):
        mark: tuple[MarkKind, str] | None = ("quote", "blockquote") if name == "blockquote" and not closing else None
        return Tag(name, closing, breaks, closing or name not in ALWAYS, mark)
    values = {key.lower(): a or b or c for key, a, b, c in _ATTRIBUTE.findall(raw, 0, 8192)}
    style = values.get("style", "").lower().replace(" ", "")
    words = values.get("class", "")
    if name == "p" and ("msonormal" in words.lower() or "msoplaintext" in words.lower() or _NO_MARGIN(style)):
        breaks = 1
    tag = Tag(name, closing, breaks, False, _mark_of(name, values, words, style), _is_hidden(raw, style, values))
    if name == "a":
        tag.href = unescape(values.get("href", ""))[: MAX_LINK + 1].strip()
    elif name == "img" and values.get("alt") and not _is_pixel(values, style):
        tag.alt = " ".join(decode(values["alt"][:200]).split())
    tag.plain = not (tag.mark or tag.hidden or tag.href or name in ALWAYS)
    return tag


_NO_MARGIN = re.compile(r"(?:^|;)margin:0[a-z]*(?:0[a-z]*)*(?:;|$)").search
_HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:hidden|mso-hide:all|font-size:0(?:px|pt|em|%)?(?:!important)?(?:;|$)"
    r"|opacity:0(?:\.0+)?(?:;|$))"
).search
_NO_HEIGHT = re.compile(r"max-height:0(?:px)?(?:;|$)").search


def _is_hidden(raw: str, style: str, values: dict[str, str]) -> bool:
    if style and (_HIDING(style) or ("overflow:hidden" in style and _NO_HEIGHT(style))):
        return True
    return "hidden" in raw and "hidden" in raw.replace('"', " ").lower().split() and "hidden" not in values


def _is_pixel(values: dict[str, str], style: str) -> bool:
    small = ("0", "1", "0px", "1px")
    return values.get("width", "") in small or values.get("height", "") in small or "display:none" in style


_BY_CLASS: dict[str, tuple[MarkKind, str]] = {
    "gmail_quote": ("region", "gmail_quote"),
    "gmail_attr": ("attribution", "gmail_attr"),
    "gmail_signature": ("signature", "gmail_signature"),
    "yahoo_quoted": ("quote", "yahoo_quoted"),
    "moz-cite-prefix": ("attribution", "moz-cite-prefix"),
    "moz-forward-container": ("forward", "moz-forward-container"),
    "moz-signature": ("signature", "moz-signature"),
    "protonmail_quote": ("quote", "protonmail_quote"),
    "protonmail_signature_block": ("signature", "protonmail_signature_block"),
    "zmail_extra": ("quote", "zmail_extra"),
    "tutanota_quote": ("quote", "tutanota_quote"),
    "gmx_quote": ("quote", "gmx_quote"),
    "front-blockquote": ("quote", "front-blockquote"),
    "moz-email-headers-table": ("attribution", "moz-email-headers-table"),
}
_BY_ID: dict[str, tuple[MarkKind, str]] = {
    "divrplyfwdmsg": ("attribution", "divRplyFwdMsg"),
    "olk_src_body_section": ("quote", "OLK_SRC_BODY_SECTION"),
    "mail-editor-reference-message-container": ("quote", "mail-editor-reference-message-container"),
    "yahoo_quoted": ("quote", "yahoo_quoted"),
    "applemailsignature": ("signature", "AppleMailSignature"),
    "signature": ("signature", "id-signature"),
    "zmail_extra": ("quote", "zmail_extra"),
    "reply-intro": ("attribution", "reply-intro"),
}
_TOP_BORDER = re.compile(
    r"border-top:(?:solid#(?:e1e1e1|b5c4df)1\.0pt|1px?solid#(?:e1e1e1|b5c4df)|#b5c4df1ptsolid|#e1e1e11ptsolid)"
).search


def _mark_of(name: str, values: dict[str, str], words: str, style: str) -> tuple[MarkKind, str] | None:
    if name == "blockquote":
        first = words.split(None, 1)[:1]
        return ("quote", first[0] if first and first[0] in _BY_CLASS else "blockquote")
    if words:
        for word in words.split()[:8]:
            # Clients that show others' mail prefix its classes ("x_gmail_quote"); containers are numbered.
            bare = word.removeprefix("x_").removesuffix("_container")
            if bare in _BY_CLASS:
                return _BY_CLASS[bare]
    if "id" in values:
        bare = values["id"].lower().removeprefix("x_").rstrip("0123456789").removesuffix("_")
        if bare in _BY_ID:
            return _BY_ID[bare]
    # Word, which Outlook writes with, parts reply and quote by a block with only a top border, in one of two colours.
    if name == "div" and "border-top" in style and _TOP_BORDER(style.replace("windowtext", "").replace("0in", "")):
        return ("attribution", "outlook-border")
    return None
