"""Mail as Gmail writes it, on the web and on phones: alternatives, gmail_quote, an attribution line in the writer's language."""

from __future__ import annotations

from html import escape

from mailloom.synth.letter import (
    PREFIXES,
    Draft,
    Letter,
    Sent,
    attribution,
    between,
    date_of,
    html_of,
    inside,
    lines_of,
    named,
    old,
    quoted,
    shown,
    strong,
    told,
)
from mailloom.synth.truth import Inner, Placed

BLOCKQUOTE = '<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex;border-left:1px solid rgb(204,204,204);padding-left:1ex">'
# Gmail's forward line was never translated, and has nine dashes on its right.
FORWARDED = "---------- Forwarded message ---------"
WIDTH = 78


def gmail(letter: Letter) -> Draft:
    """New text on top, or for some between the quotes; the signature below it, then the quote. Plain lines are broken at 76
    columns, not within CJK text; what was bold in html gets stars.
    """
    said, html = own(letter)
    text = said
    signature = "\n".join(letter.author.signature)
    signed = ""
    if signature:
        text += f"\n\n-- \n{signature}"
        signed = f'<span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature">{html_of(signature)}</div>'
    html = f'<div dir="ltr">{html}{signed}</div>\n'
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"
    if letter.kind == "forward":
        placed = "forward"
        head, head_html, inner = forward_head(letter)
        kept, kept_html = old(letter)
        text += f"\n\n{head}\n\n\n{kept}"
        html += f'<br><div class="gmail_quote gmail_quote_container">{head_html}<br><br>{kept_html}</div>\n'
        inline = inside(letter, inner)
    elif letter.parent is not None and letter.answers and letter.style % 5 == 0:
        placed = "between"
        text, html, said, inner = interleaved(letter, letter.parent)
        if signature:
            text += f"\n\n-- \n{signature}"
            html += f'<div dir="ltr">{signed}</div>\n'
        inline = (inner,)
    elif letter.parent is not None:
        placed = "top"
        kept, kept_html = old(letter)
        line, template = attribution(letter, letter.parent, client_of(letter))
        text += f"\n\n{folded(line)}\n\n{quoted(kept)}"
        html += f"<br>{opened(line, letter.parent)}{BLOCKQUOTE}{kept_html}</blockquote></div>\n"
        inline = inside(letter, told(letter, letter.parent, template, block=False))
    return Draft(
        body="" if letter.html and letter.only_html else shown(text, "*"),
        text=text,
        html=html,
        page=html if letter.html else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix=PREFIXES[letter.kind],
        charset="us-ascii" if text.isascii() else "utf-8",
        encoding="7bit" if text.isascii() else "base64" if letter.lang.wide else "quoted-printable",
        placed=placed,
    )


def client_of(letter: Letter) -> str:
    """Some write with the app for Android, which words the line in another way."""
    return "gmail-app" if letter.style % 8 == 3 else "gmail"


def own(letter: Letter) -> tuple[str, str]:
    """What is said: plain lines, and a div for each paragraph and for each blank line."""
    said = "\n\n".join([block if letter.lang.tight else lines_of(block, 76) for block in letter.blocks])
    return said, "".join([f"<div>{html_of(block)}</div><div><br></div>\n" for block in letter.blocks])


def folded(line: str) -> str:
    """The attribution as in plain parts: broken before a word or after `<`, as the address is an element of its own in the html."""
    lines = []
    while len(line) > WIDTH:
        at = max(line.rfind(" ", 0, WIDTH + 1), line.rfind("<", 0, WIDTH))
        if at <= 0:
            break
        lines.append(line[:at] if line[at] == " " else line[: at + 1])
        line = line[at + 1 :]
    return "\n".join([*lines, line])


def opened(line: str, parent: Sent) -> str:
    """The html of an answer up to its first quote."""
    address = escape(parent.author.address)
    linked = escape(line, quote=False).replace(address, f'<a href="mailto:{address}">{address}</a>', 1)
    return f'<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">{linked}<br></div>'


def interleaved(letter: Letter, parent: Sent) -> tuple[str, str, str, Inner]:
    """Answers between the quotes: text, html, what is new, and what is stated and kept of the parent."""
    pairs = between(letter, parent)
    line, template = attribution(letter, parent, client_of(letter))
    texts, pages, new = [folded(line), ""], [opened(line, parent)], []
    for kept, answer in pairs:
        own_lines = answer if letter.lang.tight else lines_of(answer, 76)
        new.append(own_lines)
        texts += (quoted(kept), "", own_lines, "")
        pages.append(
            f"{BLOCKQUOTE}<div>{html_of(kept)}</div></blockquote><div><br></div><div>{html_of(answer)}</div>\n"
        )
    inner = told(letter, parent, template, block=False, text="\n\n".join(kept for kept, _ in pairs))
    return "\n".join(texts[:-1]), "".join([*pages, "</div>\n"]), "\n\n".join(new), inner


def forward_head(letter: Letter) -> tuple[str, str, Inner]:
    """The block above a forwarded text, plain and html: only the first label follows the language."""
    parent = letter.parent
    assert parent is not None
    who = parent.author
    date, template = date_of(letter, parent, "gmail")
    rest = f"Date: {date}\nSubject: {parent.prefix}{parent.subject}\nTo: {named(parent.to, ', ')}"
    if parent.cc:
        rest += f"\nCc: {named(parent.cc, ', ')}"
    label = letter.ui.clients["gmail"].words["from"]
    plain = f"{FORWARDED}\n{label}{strong(who.name)}<{who.address}>\n{rest}"
    html = (
        f'<div dir="ltr" class="gmail_attr">{FORWARDED}<br>{escape(label)}<strong class="gmail_sendername" dir="auto">'
        f'{escape(who.name)}</strong> <span dir="auto">&lt;<a href="mailto:{who.address}">{who.address}</a>&gt;</span><br>'
        f"{html_of(rest)}<br></div>"
    )
    return plain, html, told(letter, parent, template, block=True)
