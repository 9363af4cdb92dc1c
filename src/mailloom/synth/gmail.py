"""Mail as Gmail's web client writes it: alternatives, gmail_quote, an attribution line in the writer's language and zone."""

from __future__ import annotations

from html import escape

from mailloom.synth.dates import stamp, stated
from mailloom.synth.letter import Draft, Letter, Sent, html_of, inside, lines_of, named, quoted
from mailloom.synth.truth import Inner

BLOCKQUOTE = '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex">'
# Gmail's forward line was never translated, and has nine dashes on its right.
FORWARDED = "---------- Forwarded message ---------"


def gmail(letter: Letter) -> Draft:
    """New text on top, the signature below it, then the quote. Plain lines are broken at 76 columns, not within CJK text."""
    lang, author, parent = letter.lang, letter.author, letter.parent
    said = "\n\n".join([block if lang.tight else lines_of(block, 76) for block in letter.blocks])
    text = said
    html = "".join([f"<div>{html_of(block)}</div><div><br></div>\n" for block in letter.blocks])
    signature = "\n".join(author.signature)
    if signature:
        text += f"\n\n-- \n{signature}"
        html += f'<span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature">{html_of(signature)}</div>'
    html = f'<div dir="ltr">{html}</div>\n'
    inline: tuple[Inner, ...] = ()
    if parent is not None:
        own_text = parent.text if letter.whole else parent.said
        own_html = parent.html if letter.whole and parent.html else html_of(own_text)
        line = attribution(letter, parent)
        if letter.kind == "forward":
            head, head_html = forward_head(letter, parent)
            text += f"\n\n{head}\n\n\n{own_text}"
            html += f'<br><div class="gmail_quote gmail_quote_container">{head_html}<br><br>{own_html}</div>\n'
        else:
            text += f"\n\n{lines_of(line, 76)}\n\n{quoted(own_text)}"
            html += (
                f'<br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{linked(line, parent)}<br></div>'
                f"{BLOCKQUOTE}{own_html}</blockquote></div>\n"
            )
        inline = inside(letter, inner(letter, parent))
    encoding = "base64" if lang.tight or lang.code == "ru" else "quoted-printable"
    return Draft(
        body="" if letter.html and letter.only_html else text,
        text=text,
        html=html,
        page=html if letter.html else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix={"new": "", "reply": "Re: ", "forward": "Fwd: "}[letter.kind],
        charset="us-ascii" if text.isascii() else "utf-8",
        encoding="7bit" if text.isascii() else encoding,
    )


def attribution(letter: Letter, parent: Sent) -> str:
    fields = stamp(letter.lang, parent.seconds, letter.author.zone)
    line = letter.lang.gmail["attribution"].format(**fields, name=parent.author.name, address=parent.author.address)
    # Older mail has a plain blank before AM and PM, newer a narrow no-break one.
    return line.replace("\u202f", " ") if letter.author.style % 2 else line


def linked(line: str, parent: Sent) -> str:
    address = escape(parent.author.address)
    return escape(line, quote=False).replace(address, f'<a href="mailto:{address}">{address}</a>', 1)


def forward_head(letter: Letter, parent: Sent) -> tuple[str, str]:
    """The block above a forwarded text, plain and html: only the first label follows the language."""
    lang, who = letter.lang, parent.author
    date = lang.gmail["date"].format(**stamp(lang, parent.seconds, letter.author.zone))
    rest = f"Date: {date}\nSubject: {parent.prefix}{parent.subject}\nTo: {named(parent.to, ', ')}"
    if parent.cc:
        rest += f"\nCc: {named(parent.cc, ', ')}"
    label = lang.gmail["from"]
    plain = f"{FORWARDED}\n{label}{who.name} <{who.address}>\n{rest}"
    html = (
        f'<div dir="ltr" class="gmail_attr">{FORWARDED}<br>{escape(label)}<strong class="gmail_sendername" dir="auto">'
        f'{escape(who.name)}</strong> <span dir="auto">&lt;<a href="mailto:{who.address}">{who.address}</a>&gt;</span><br>'
        f"{html_of(rest)}<br></div>"
    )
    return plain, html


def inner(letter: Letter, parent: Sent) -> Inner:
    forward = letter.kind == "forward"
    return Inner(
        kind="forwarded" if forward else "quoted",
        name=parent.author.name,
        address=parent.author.address,
        date=stated(parent.seconds, letter.author.zone, with_zone=False),
        subject=parent.prefix + parent.subject if forward else "",
        text=parent.said,
        depth=1,
    )
