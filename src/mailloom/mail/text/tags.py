"""One tag of mail HTML: its element, what its attributes say of quotes, lists and links, and whether it hides what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final
from urllib.parse import unquote

from mailloom.mail.text.marks import BY_ELEMENT, MarkKind, mark_of

MAX_LINK = 500
"""Characters of a link's target that are shown: longer ones are tracking tokens that say nothing to a reader."""
MAX_KNOWN = 200
"""Characters of a tag that is remembered from mail to mail: longer ones hold targets that do not come again."""
MAX_TAG = 8192
"""Characters of a tag that are looked at: what matters stands in the first few hundred."""
MAX_DECLARATIONS = 50
"""Declarations of a style that are looked at."""
MAX_ALT = 200
"""Characters of a picture's description."""

_LONG_NUMBER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{7,});?")


def decode(text: str) -> str:
    # int() of a huge number raises, and no character has one.
    return unescape(_LONG_NUMBER.sub("\ufffd", text) if "&#" in text else text)


BOGUS = frozenset("!?/")
_NAME = re.compile(r"/?([A-Za-z][^\s/]*)").match
_ATTRIBUTE = re.compile(r"""([A-Za-z][\w:.-]{0,40})\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"']+))""")
VOID = frozenset("area base br col embed hr img input link meta param source track wbr o:p".split())  # noqa: SIM905
IMPLIED = frozenset(["li", "p", "tr", "td", "th", "a"])
"""Elements that end one of the same name that is still open (HTML standard, 13.2.6.4.7)."""
PREFORMATTED = frozenset(("pre", "listing", "xmp", "plaintext"))
NESTING = frozenset(("ul", "ol", "li", "blockquote")) | PREFORMATTED
_BLOCK = frozenset(
    (  # noqa: SIM905
        "address article aside body caption center dd details dir div dl dt fieldset figcaption figure footer form "
        "header html li main nav ol optgroup option section select summary table tbody tfoot thead tr ul blockquote "
        "menu legend"
    ).split()
)
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6".split()) | PREFORMATTED  # noqa: SIM905
_CELLS = frozenset(("td", "th"))
_ALWAYS = NESTING | frozenset(("hr",))
"""Elements that do more than break a line."""
STOPS = _BLOCK | _SPACED | _CELLS
"""An inline element's end tag never closes one of these (HTML standard, 13.2.6.4.7, "any other end tag")."""

NOTHING: Final = 0
BLOCK: Final = 1
BREAK: Final = 2
PARAGRAPH: Final = 3
ROW: Final = 4
LINK: Final = 5
CELL: Final = 6
MORE: Final = 7
"""What a tag asks for, the frequent things first. MORE: its fields tell."""


@dataclass(slots=True)
class Tag:
    """`does` holds unless an element of that name is tracked (see page.py); `breaks` are line breaks before and after it."""

    name: str
    closing: bool
    open_quote: str = ""
    """The quote character that is still open at the end of what was taken for the tag."""
    does: int = NOTHING
    breaks: int = 0
    mark: tuple[MarkKind, str] | None = None
    hides: bool = False
    shrinks: bool = False
    """Its text has no size, but that of elements inside that state one."""
    sized: bool = False
    href: str = ""
    alt: str = ""
    preformatted: bool = False
    bullet: bool = False
    """What is in it is the bullet of a list that Word wrote as paragraphs."""
    numbering: str = ""
    """How a list's items are marked: "1", "a", "A", "i", "I", "-", or "" for no mark."""
    number: int | None = None


def _open_quote(raw: str) -> str:
    doubles = raw.count('"')
    if "=" not in raw or ("'" not in raw and doubles % 2 == 0):
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
    """The name is "" where this is no tag at all."""
    found = _NAME(raw)
    if not found:
        return Tag("", closing=False)
    name = found[1].lower()
    quote = _open_quote(raw)
    size = len(found[0])
    if size == len(raw) or (not quote and not _tells(raw)):
        if size < len(raw) or name != found[1]:
            return known_tag(raw[: size - len(found[1])] + name)  # "İ" becomes two characters
        tag = _bare_tag(name, raw[0] == "/")
    else:
        tag = _bare_tag(name, raw[0] == "/")
        tag.open_quote = quote
        if not tag.closing:
            _read_attributes(tag, raw)
    tag.does = _does(tag)
    return tag


def _bare_tag(name: str, closing: bool) -> Tag:
    tag = Tag(name, closing, breaks=1 if name in _BLOCK else 2 if name in _SPACED else 0)
    if not closing:
        tag.preformatted = name in PREFORMATTED
        if name in ("ul", "ol"):
            tag.numbering = "1" if name == "ol" else "-"
        tag.mark = ("quote", "blockquote") if name == "blockquote" else BY_ELEMENT.get(name)
    return tag


def _tells(raw: str) -> bool:
    """Most tags of layout mail have only sizes and colours."""
    low = raw.lower()
    return (
        "style" in low
        or "class" in low
        or "href" in low
        or "alt=" in low
        or "id=" in low.replace("width=", "")
        or "name" in low
        or "hidden" in low
        or "apple" in low
        or "marker" in low
        or "cite" in low
        or low[:2] in ("ol", "ul", "li", "bl")
    )


def _does(tag: Tag) -> int:
    name = tag.name
    if tag.mark or tag.hides or tag.shrinks or tag.href or tag.alt or tag.preformatted or tag.bullet:
        return MORE
    if name == "br":
        return BREAK
    if name == "p":
        return PARAGRAPH
    if name in ("tr", "table"):
        return ROW
    if tag.closing:
        return LINK if name == "a" else BLOCK if tag.breaks else NOTHING
    if name in _CELLS:
        return CELL
    return MORE if name in _ALWAYS else BLOCK if tag.breaks else NOTHING


def _read_attributes(tag: Tag, raw: str) -> None:
    name = tag.name
    if name == "a" and (link := _LINK(raw)):
        tag.href = _target(unescape(link[1])[: MAX_LINK + 1].strip())
        return
    values = {key.lower(): a or b or c for key, a, b, c in _ATTRIBUTE.findall(raw, 0, MAX_TAG)}
    style = "".join(values.get("style", "").lower().split())
    if style:
        _read_style(tag, style)
    tag.mark = mark_of(name, values, style)
    tag.hides = tag.hides or _is_hidden(raw, values)
    if (
        name == "p"
        and tag.breaks == 2
        and _has_no_margin(values.get("class", "").lower(), values.get("style", "").lower())
    ):
        tag.breaks = 1
    elif name == "a":
        tag.href = _target(unescape(values.get("href", ""))[: MAX_LINK + 1].strip())
    elif name == "img" and values.get("alt") and not _is_pixel(values, style):
        tag.alt = _shown_alt(values["alt"])
    elif name in ("ul", "ol", "li"):
        _read_list(tag, values, style)


# ---------------------------------------------------------------- style

_HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:hidden|mso-hide:all|opacity:0(?:\.0{1,9})?(?:!important)?(?:;|$))"
).search
_SHRINKING = re.compile(r"(?:^|;)font-size:0(?:\.0{1,9})?(?:px|pt|em|rem|%)?(?:!important)?(?:;|$)").search
_SIZED = re.compile(
    r"(?:^|;)font(?:-size)?:(?:[^;]{0,80}[ /a-z])?(?:0?\.\d{0,9}[1-9]|[1-9][\d.]{0,9})(?:px|pt|pc|in|cm|mm|rem|vw)"
    r"|(?:^|;)font-size:(?:xx?-)?(?:small|medium|large)"
).search
_NOTHING_HIGH = re.compile(r"0(?:\.0\d{0,9})?[a-z%]{0,3}(?:!|$)").match
_NO_HEIGHT = re.compile(r"(?:^|;)max-height:0(?:px)?(?:!important)?(?:;|$)").search


def _read_style(tag: Tag, style: str) -> None:
    if _HIDING(style) or ("overflow:hidden" in style and _NO_HEIGHT(style)):
        tag.hides = True
    if "font" in style:
        if _SHRINKING(style):
            tag.shrinks = True
        else:
            tag.sized = _SIZED(style) is not None
    if "white-space:" in style and ("white-space:pre" in style or "white-space:break" in style):
        tag.preformatted = True
    if "mso-list:ignore" in style:
        tag.bullet = True


def _is_hidden(raw: str, values: dict[str, str]) -> bool:
    return "hidden" in raw and "hidden" in raw.replace('"', " ").lower().split() and "hidden" not in values


def _has_no_margin(words: str, style: str) -> bool:
    """Of a paragraph: Word's have none by its style sheet."""
    if "msonormal" in words or "msoplaintext" in words:
        return True
    if "margin" not in style:
        return False
    edges: dict[str, str] = {}
    for declaration in style.split(";")[:MAX_DECLARATIONS]:
        name, _, value = declaration.partition(":")
        sizes = value.split()
        if name.strip() == "margin" and sizes:
            edges["margin-top"], edges["margin-bottom"] = sizes[0], sizes[2 if len(sizes) > 2 else 0]
        elif name.strip() in ("margin-top", "margin-bottom") and sizes:
            edges[name.strip()] = sizes[0]
    return len(edges) == 2 and all(_NOTHING_HIGH(size) for size in edges.values())


def _is_pixel(values: dict[str, str], style: str) -> bool:
    small = ("0", "1", "0px", "1px")
    return values.get("width", "") in small or values.get("height", "") in small or "display:none" in style


def _shown_alt(alt: str) -> str:
    """[a description], or the character itself that a smiley stands for."""
    text = " ".join(decode(alt[:MAX_ALT]).split())
    if not text.isascii() and len(text) <= 8 and not any(c.isalnum() for c in text):
        return text
    return f" [{text}] " if text else ""


_TYPES = {
    "decimal": "1",
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
    "none": "",
}
_LIST_STYLE = re.compile(r"(?:^|;)list-style(?:-type)?:([a-z-]{1,20})").search


def _read_list(tag: Tag, values: dict[str, str], style: str) -> None:
    if tag.name != "li":
        if values.get("type", "") in ("1", "a", "A", "i", "I") and tag.name == "ol":
            tag.numbering = values["type"]
        if found := _LIST_STYLE(style):
            tag.numbering = _TYPES.get(found[1], tag.numbering)
    number = values.get("value" if tag.name == "li" else "start", "")
    if number.isascii() and number.isdigit() and len(number) < 7:
        tag.number = int(number)


# ---------------------------------------------------------------- links


_LINK = re.compile(r"""[aA]\s[hH][rR][eE][fF]="([^"]*)"(?:\starget="?_[a-z]{1,9}"?)?""").fullmatch
"""How most links are written."""
_UNFIT = frozenset(" <>\n\t")


def _target(target: str) -> str:
    """What a link leads to: http, ftp, or the address of a mailto. Else ""."""
    scheme, colon, rest = target.partition(":")
    scheme = scheme.lower()
    if not colon or len(target) > MAX_LINK or scheme not in ("http", "https", "ftp", "mailto"):
        return ""
    if scheme == "mailto":
        target = rest.partition("?")[0]
        if "@" not in target:
            return ""
    elif "safelinks.protection.outlook.com/?" in target:
        # Outlook sends readers through a gate; where to is its first argument.
        behind = unquote(target.partition("?url=")[2].partition("&")[0])
        if behind.startswith(("http://", "https://")):
            target = behind
    return target if _UNFIT.isdisjoint(target) else ""
