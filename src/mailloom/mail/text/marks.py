"""What mail clients write into their HTML to say "this is quoted", "this is my signature".

All of it is known from the clients' own output. Clients that show or quote others' mail put a prefix before its classes and
ids ("x_gmail_quote" Outlook on the web, "m_-123divRplyFwdMsg" Gmail, "yiv123" and "ydp12ab" Yahoo): the name behind it counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

MarkKind = Literal["quote", "indent", "attribution", "head", "forward", "region", "signature"]
"""quote: somebody else's words, maybe with what introduces them; indent: a quote only if something introduces it (see
mail/cut/quote.py); attribution: what introduces; head: the same, if it reads like one; region: bounds what a client put there when
replying or forwarding, without saying which lines are what; signature."""


@dataclass(frozen=True, slots=True)
class Mark:
    """text[start:end] came from an element that says what it is. `level` counts quotes around it, itself included."""

    start: int
    end: int
    kind: MarkKind
    level: int
    rule: str


def _table(**kinds: str) -> dict[str, tuple[MarkKind, str]]:
    table: dict[str, tuple[MarkKind, str]] = {}
    for kind, names in kinds.items():
        for name in names.split():
            table[name.lower()] = (kind, name)  # type: ignore[assignment]  # the keywords are kinds
    return table


_BY_CLASS = _table(
    # Gmail and those that write like it; HubSpot; Alibaba
    region="gmail_quote hs_reply __aliyun_previous_wrap",
    quote=(
        "yahoo_quoted protonmail_quote zmail_extra tutanota_quote gmx_quote front-blockquote missive_quote spark_quote "
        # Mailbird, Newton, Freshdesk, NetEase, Feishu, Geary, Airmail, Outlook for phones
        "history_container cm_quote freshdesk_quote ntes-mailmaster-quote history-quote-wrapper geary-quote clean_bq "
        "ms-outlook-mobile-reference-message"
    ),
    attribution=(
        "gmail_attr gmail_quote_attribution moz-cite-prefix moz-email-headers-table airmail_on __pbConvHr "
        # Outlook 2003
        "OutlookMessageHeader"
    ),
    forward="moz-forward-container",
    signature=(
        "gmail_signature moz-signature moz-txt-sig protonmail_signature_block AppleMailSignature front-signature "
        "missive_signature sh-signature bloop_sign mb_sig cm_signature io-ox-signature __aliyun_signature_wrap "
        "geary-signature -x-evo-signature tutanota_signature ms-outlook-mobile-signature signature"
    ),
)
_BY_ID = _table(
    region="AppleOriginalContents",
    quote=(
        "OLK_SRC_BODY_SECTION mail-editor-reference-message-container ms-outlook-mobile-reference-message yahoo_quoted "
        # Zoho, NetEase, QQ, BlackBerry
        "zmail_extra blockquote_zmail isReplyContent isForwardContent ntes-mailmaster-quote original-content "
        "_originalContent"
    ),
    attribution="divRplyFwdMsg reply-intro stopSpelling zwchr _persistentHeader",
    signature=(
        "AppleMailSignature Signature ms-outlook-mobile-signature composer_signature _signaturePlaceholder _rc_sig sig "
        "bloop_sign geary-signature ymail_android_signature lineBreakAtBeginningOfSignature"
    ),
)
_BY_NAME = _table(region="messageReplySection", quote="quote", signature="messageSignatureSection")
"""The name of a div: Spark; GMX and web.de."""
_BY_ANCHOR = _table(attribution="_MailOriginal _____replyseparator")
"""Word's bookmarks in what it replies to."""
_BY_MARKER = _table(quote="__QUOTED_TEXT__", attribution="__HEADERS__", signature="__SIG_POST__ __SIG_PRE__")
"""Zimbra's data-marker."""
BY_ELEMENT = _table(signature="signature sign", region="includetail")
"""Mailspring; QQ."""

_PREFIX = re.compile(r"(?:x_|m_-?[0-9]{1,25}|yiv[0-9]{1,25}|ydp[0-9a-f]{6,9}){1,8}")

_TOP_BORDER = re.compile(
    r"border-top[^;]{0,60}(?:#e1e1e1|#b5c4df|#e5e5e5|rgb\((?:225,225,225|181,196,223|229,229,229)\))"
).search
"""Word, which Outlook writes with, parts reply and quote by a block with only a top border, in one of few colours; so does
Windows Mail. Others draw such lines too, so only what reads like a head below one is taken for one."""

_BAR = re.compile(r"border-(?:left|inline-start|right)[^;:]{0,12}:(?!none|0|mediumnone)").search
"""The bar beside a quote; on the right where text runs to the left."""


def bare_name(written: str) -> str:
    """A class or an id without what clients put before and after it: containers are numbered, and say so."""
    name = written.lower()
    if name[:1] in _FIRST and (found := _PREFIX.match(name)):
        name = name[found.end() :]
    return name.removesuffix("_container")


_FIRST = frozenset("xmy")


def mark_of(name: str, values: dict[str, str], style: str) -> tuple[MarkKind, str] | None:
    """(kind, rule) of an element by its attributes; `style` in small letters without blanks."""
    found = BY_ELEMENT.get(name)
    for word in values.get("class", "").split(None, 8)[:8]:
        found = found or _BY_CLASS.get(bare_name(word))
    if "id" in values and not found:
        bare = bare_name(values["id"])
        found = _BY_ID.get(bare) or _BY_ID.get(bare.rstrip("0123456789").rstrip("_-"))
    if "name" in values and not found:
        found = (_BY_NAME if name == "div" else _BY_ANCHOR if name == "a" else {}).get(values["name"].lower())
    if "data-marker" in values and not found:
        found = _BY_MARKER.get(values["data-marker"].lower())
    if name == "blockquote":
        return ("quote", found[1]) if found and found[0] in ("quote", "region") else _blockquote(values, style)
    if found:
        return found
    if "apple-content-edited" in values:
        return ("signature", "apple-content-edited")
    if name == "div" and "border-top" in style and _TOP_BORDER(style.replace("windowtext", "")):
        return ("head", "outlook-border")
    return None


def _blockquote(values: dict[str, str], style: str) -> tuple[MarkKind, str]:
    """Editors indent with a blockquote that has margins and nothing else (Gmail, Outlook, Apple Mail, Evernote)."""
    if "cite" in values or values.get("type", "").lower() == "cite" or _BAR(style):
        return ("quote", "blockquote")
    indented = "margin" in style or "padding" in style or "indent" in values.get("class", "").lower()
    return ("indent", "blockquote-indent") if indented else ("quote", "blockquote")
