"""Mail as Outlook for Windows writes it: a block of From, Sent, To, Subject above the old text, and Thread-Index."""

from __future__ import annotations

from html import escape
from random import Random

from mailloom.synth.dates import stamp, stated
from mailloom.synth.letter import Draft, Letter, Sent, html_of, inside, named
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
        rows = head(letter, parent)
        own_text = parent.text if letter.whole else parent.said
        own_html = parent.html if letter.whole and parent.html else normal(own_text)
        plain = "".join([f"{label}{value}\n" for label, value in rows])
        rule = "" if letter.html else f"{letter.lang.outlook['original']}\n"
        text += f"\n\n{rule}{plain}\n{own_text}"
        shown = "<br>\n".join([f"<b>{escape(label)}</b>{escape(value)}" for label, value in rows])
        html += f'{BORDER}<p class="MsoNormal">{shown}<o:p></o:p></p>\n</div>\n</div>\n{normal("")}{own_html}'
        inline = inside(letter, inner(letter, parent))
    if author.disclaimer:
        text += f"\n\n{author.disclaimer}"
        html += normal(author.disclaimer)
    charset = author.charset
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        charset = "utf-8"
    prefix = {"new": "", "reply": letter.lang.outlook["reply"], "forward": letter.lang.outlook["forward"]}[letter.kind]
    return Draft(
        body="" if letter.html and letter.only_html else text,
        text=text,
        html=html,
        page=PAGE.format(charset=charset, lang=letter.lang.code, inner=html[:own] + logo + html[own:])
        if letter.html
        else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix=prefix,
        charset=charset,
        encoding=encoding(charset, letter),
        picture=picture if letter.html else "",
    )


def encoding(charset: str, letter: Letter) -> str:
    if charset == "iso-2022-jp":
        return "7bit"
    return "base64" if letter.lang.tight or letter.lang.code == "ru" else "quoted-printable"


def normal(text: str, blank: bool = True) -> str:
    """A Word paragraph, and an empty one after it."""
    shown = html_of(text) if text else "&nbsp;"
    after = '<p class="MsoNormal"><o:p>&nbsp;</o:p></p>\n' if blank and text else ""
    return f'<p class="MsoNormal">{shown}<o:p></o:p></p>\n{after}'


def head(letter: Letter, parent: Sent) -> list[tuple[str, str]]:
    """The lines that state the old message; Outlook words them in the writer's language, in the writer's zone."""
    lang = letter.lang
    date = lang.outlook["date"].format(**stamp(lang, parent.seconds, letter.author.zone))
    sender, sent, to, subject = lang.labels
    rows = [(sender, named((parent.author,), "")), (sent, date), (to, named(parent.to, "; "))]
    if parent.cc:
        rows.append((lang.outlook["cc"], named(parent.cc, "; ")))
    return [*rows, (subject, parent.prefix + parent.subject)]


def inner(letter: Letter, parent: Sent) -> Inner:
    return Inner(
        kind="forwarded" if letter.kind == "forward" else "quoted",
        name=parent.author.name,
        address=parent.author.address,
        date=stated(parent.seconds, letter.author.zone, with_zone=False),
        subject=parent.prefix + parent.subject,
        text=parent.said,
        depth=1,
    )


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
