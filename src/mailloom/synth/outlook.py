"""Mail as Outlook for Windows and for the Mac writes it: a block of From, Sent, To, Subject above the old text, and Thread-Index."""

from __future__ import annotations

from html import escape
from random import Random

from mailloom.synth.letter import (
    Draft,
    Letter,
    Sent,
    date_of,
    fitting,
    html_of,
    inside,
    named,
    old,
    shown,
    strong,
    told,
)
from mailloom.synth.truth import Inner

PAGE = """<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" \
xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">
<head>
<meta http-equiv="Content-Type" content="text/html; charset={charset}">
<meta name="Generator" content="Microsoft Word 15 (filtered medium)">
<style><!--
/* Font Definitions */
@font-face {{font-family:Calibri; panose-1:2 15 5 2 2 2 4 3 2 4;}}
/* Style Definitions */
p.MsoNormal, li.MsoNormal, div.MsoNormal {{margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;}}
a:link, span.MsoHyperlink {{mso-style-priority:99; color:#0563C1; text-decoration:underline;}}
div.WordSection1 {{page:WordSection1;}}
--></style>
</head>
<body lang="{lang}" link="#0563C1" vlink="#954F72" style="word-wrap:break-word">
<div class="WordSection1">
{inner}</div>
</body>
</html>
"""
BORDER = '<div>\n<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">\n'


def outlook(letter: Letter) -> Draft:
    """New text on top, signature without dashes, the block, the old text without marks; a disclaimer at the very end."""
    author, parent = letter.author, letter.parent
    said = "\n\n".join(letter.blocks)
    signature = "\n".join(author.signature)
    text = f"{said}\n\n{signature}" if signature else said
    html = "".join([normal(block) for block in letter.blocks])
    if signature:
        html += "".join([normal(line, blank=False) for line in author.signature])
    picture = (
        f"image001.png@01DA{letter.seconds & 0xFFFF:04X}.{author.style:08X}"
        if signature and author.style % 5 == 0
        else ""
    )
    logo = (
        f'<p class="MsoNormal"><img width="1" height="1" src="cid:{picture}" alt="Logo"><o:p></o:p></p>\n'
        if picture
        else ""
    )
    own = len(html)
    inline: tuple[Inner, ...] = ()
    if parent is not None:
        rows, inner = head(letter, parent, author.client)
        kept, kept_html = old(letter)
        plain = "".join([f"{strong(label)}{value}\n" for label, value in rows])
        windows = author.client == "outlook"
        if windows and not letter.html and author.style % 2:
            # Versions up to 2013 wrote the address like this into plain text.
            plain = plain.replace(f"<{parent.author.address}>", f"[mailto:{parent.author.address}]", 1)
        # On the Mac the block stands alone, and says Date instead of Sent.
        rule = "" if letter.html or not windows else f"{letter.ui.clients['outlook'].words['original']}\n"
        text += f"\n\n{rule}{plain}\n{kept}"
        block = "<br>\n".join([f"<b>{escape(label)}</b>{escape(value)}" for label, value in rows])
        html += f'{BORDER}<p class="MsoNormal">{block}<o:p></o:p></p>\n</div>\n</div>\n{normal("")}{kept_html}'
        inline = inside(letter, inner)
    if author.notice:
        text += f"\n\n{author.notice}"
        html += normal(author.notice)
    charset = fitting(text, author.charset)
    return Draft(
        body="" if letter.html and letter.only_html else shown(text),
        text=text,
        html=html,
        page=PAGE.format(charset=charset, lang=letter.lang.code, inner=html[:own] + logo + html[own:])
        if letter.html
        else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix=prefix(letter),
        charset=charset,
        encoding=encoding(charset, letter),
        notice=author.notice,
        placed="new" if parent is None else "forward" if letter.kind == "forward" else "top",
        picture=picture if letter.html else "",
    )


def prefix(letter: Letter) -> str:
    """AW:, RV:, SV: and so on: Outlook translates what it puts before a subject."""
    return "" if letter.kind == "new" else letter.ui.clients["outlook"].words[letter.kind]


def encoding(charset: str, letter: Letter) -> str:
    if charset == "iso-2022-jp":
        return "7bit"
    return "base64" if letter.lang.wide else "quoted-printable"


def normal(text: str, blank: bool = True) -> str:
    """A Word paragraph, and an empty one after it."""
    shown = html_of(text) if text else "&nbsp;"
    after = '<p class="MsoNormal"><o:p>&nbsp;</o:p></p>\n' if blank and text else ""
    return f'<p class="MsoNormal">{shown}<o:p></o:p></p>\n{after}'


def head(letter: Letter, parent: Sent, client: str) -> tuple[list[tuple[str, str]], Inner]:
    """The lines that state the old message, worded in the writer's language, in the writer's zone; and what they say."""
    date, template = date_of(letter, parent, client)
    sender, sent, to, cc, subject = letter.ui.clients[client].labels
    rows = [(sender, named((parent.author,), "")), (sent, date), (to, named(parent.to, "; "))]
    if parent.cc:
        rows.append((cc, named(parent.cc, "; ")))
    return [*rows, (subject, parent.prefix + parent.subject)], told(letter, parent, template, block=True)


EPOCH = 11_644_473_600
"""Seconds from 1601, where FILETIME begins, to 1970."""


def first_index(seconds: int, rng: Random) -> bytes:
    """Thread-Index of a new conversation, [MS-OXOMSG] 2.2.1.3: the six high bytes of the FILETIME, of which the first is 1
    from 1829 to 2057, and a GUID. 22 bytes.
    """
    return (((seconds + EPOCH) * 10_000_000) >> 16).to_bytes(6, "big") + rng.randbytes(16)


def next_index(index: bytes, seconds: int, rng: Random) -> bytes:
    """Thread-Index of an answer: its parent's and five bytes, of which 31 bits tell the time since the head."""
    began = int.from_bytes(index[:6], "big") << 16
    passed = max(0, (seconds + EPOCH) * 10_000_000 - began)
    # Below 1.7 years bits 18 to 48 of the difference are kept, else, with the code bit set, bits 23 to 53.
    near = passed < 1 << 49
    since = (passed >> 18 if near else passed >> 23) & 0x7FFFFFFF
    return index + ((0 if near else 1 << 31) | since).to_bytes(4, "big") + bytes((int(rng.random() * 16) << 4,))
