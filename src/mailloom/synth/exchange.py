"""Mail as Outlook writes it in a browser and on phones: a rule, then the block, with divRplyFwdMsg in the html.

The plain part is made from the html by Exchange, which says each link twice: the text, and its target in angle brackets.
"""

from __future__ import annotations

from html import escape

from mailloom.synth.letter import Draft, Letter, Sent, fitting, html_of, inside, old, paragraphs, shown
from mailloom.synth.outlook import encoding, head, prefix
from mailloom.synth.truth import Inner

PAGE = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html; charset={charset}">
<style type="text/css" style="display:none;"> P {{margin-top:0;margin-bottom:0;}} </style>
</head>
<body dir="ltr">
{inner}</body>
</html>
"""
FONT = 'class="elementToProof" style="font-family: Aptos, Calibri, Helvetica, sans-serif; font-size: 12pt; color: rgb(0, 0, 0);"'
RULE = '<hr style="display:inline-block;width:98%" tabindex="-1">\n'
UNDERSCORES = "_" * 32
STORE = "https://aka.example.com/o0ukef"


def outlook_web(letter: Letter) -> Draft:
    """In a browser: the signature in a div of its own, without dashes."""
    signature = "\n".join(letter.author.signature)
    html = "".join([f"<div {FONT}>{html_of(block)}</div>\n<div {FONT}><br>\n</div>\n" for block in letter.blocks])
    if signature:
        html += f'<div id="Signature">\n<div>{html_of(signature)}</div>\n</div>\n'
    if letter.parent is not None:
        html += '<div id="appendonsend"></div>\n'
    return written(letter, html, signature, signature)


def outlook_app(letter: Letter) -> Draft:
    """On a phone: an advertisement where the signature is."""
    name = letter.ui.clients["outlook-web"].words["app"]
    html = f'<div dir="ltr">{paragraphs(letter)}</div>\n'
    if letter.style % 4 == 0:
        return written(letter, html, "", "")
    html += f'<div id="ms-outlook-mobile-signature" dir="ltr"><div></div>\n{link(name)}</div>\n'
    return written(letter, html, f"{name}<{STORE}>", name)


def link(name: str) -> str:
    at = name.find("Outlook")
    return f'{escape(name[:at])}<a href="{STORE}">{escape(name[at:])}</a>'


def written(letter: Letter, html: str, shown_signature: str, signature: str) -> Draft:
    parent = letter.parent
    said = "\n\n".join(letter.blocks)
    text = f"{said}\n\n{shown_signature}" if shown_signature else said
    inline: tuple[Inner, ...] = ()
    if parent is not None:
        plain, block, inner = stating(letter, parent)
        kept, kept_html = old(letter)
        # The rule follows a signature at once, and the empty line at the end of what is said.
        text += f"{'' if shown_signature else chr(10)}\n{plain}\n{kept}"
        html += f"{RULE}{block}{kept_html}"
        inline = inside(letter, inner)
    if letter.author.notice:
        text += f"\n\n{letter.author.notice}"
        html += f"<p>{escape(letter.author.notice)}</p>\n"
    charset = fitting(text, letter.author.charset)
    return Draft(
        body="" if letter.html and letter.only_html else shown(text),
        text=text,
        html=html,
        page=PAGE.format(charset=charset, inner=html) if letter.html else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix=prefix(letter),
        charset=charset,
        encoding=encoding(charset, letter),
        notice=letter.author.notice,
        placed="new" if parent is None else "forward" if letter.kind == "forward" else "top",
    )


def stating(letter: Letter, parent: Sent) -> tuple[str, str, Inner]:
    """The block as Exchange puts it into the plain part and as it stands in the page."""
    rows, inner = head(letter, parent, "outlook-web")
    plain = "".join([f"{label}{value}\n" for label, value in rows])
    if letter.html and letter.style % 3 == 0:
        # Where the html links addresses, the plain part has them twice.
        for one in (parent.author, *parent.to):
            plain = plain.replace(f"<{one.address}>", f"<{one.address}<mailto:{one.address}>>", 1)
    lines = "<br>\n".join([f"<b>{escape(label.rstrip())}</b> {escape(value)}" for label, value in rows])
    block = (
        '<div id="divRplyFwdMsg" dir="ltr"><font face="Calibri, sans-serif" style="font-size:11pt" color="#000000">'
        f"{lines}</font>\n<div>&nbsp;</div>\n</div>\n"
    )
    return f"{UNDERSCORES}\n{plain}", block, inner
