"""Mail as Yahoo and Proton write it in a browser."""

from __future__ import annotations

from html import escape

from mailloom.synth.letter import (
    Draft,
    Layout,
    Letter,
    Sent,
    attribution,
    date_of,
    drafted,
    html_of,
    inside,
    lines_of,
    named,
    old,
    paragraphs,
    quoted,
    told,
)
from mailloom.synth.truth import Inner, Placed

ARIAL = 'style="font-family: Arial, sans-serif; font-size: 14px;"'


def yahoo(letter: Letter) -> Draft:
    """The plain part is made from the page: its quote is not marked, only pushed to the right and set apart by blanks."""
    parent = letter.parent
    said = "\n\n".join([line if letter.lang.tight else lines_of(line, 100) for line in letter.blocks])
    signature = "\n".join(letter.author.signature)
    text = f"{said}\n\n{signature}" if signature else said
    style = 'style="font-family:Helvetica Neue, Helvetica, Arial, sans-serif;font-size:16px;"'
    own = paragraphs(letter).replace("<div>", '<div dir="ltr" data-setdir="false">')
    signed = f'<div class="ydp{letter.style:03x}signature">{html_of(signature)}</div>' if signature else ""
    html = f'<div class="ydp{letter.style:03x}yahoo-style-wrap" {style}>{own}{signed}</div>'
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"
    if parent is not None:
        kept, kept_html = old(letter)
        if letter.kind == "forward":
            placed = "forward"
            head, head_html, inner = yahoo_head(letter, parent)
            text += f"\n\n   {head}\n\n{kept}"
        else:
            placed = "top"
            line, template = attribution(letter, parent, "yahoo")
            text += f"\n\n    {line}  \n \n {kept}"
            head_html = f"<div>{escape(line, quote=False)}</div>"
            inner = told(letter, parent, template, block=False)
        html += (
            f'<div id="yahoo_quoted_{letter.seconds % 10**10:010}" class="yahoo_quoted"><div {style}>{head_html}<div><br></div>'
            f"<div><br></div><div>{kept_html}</div></div></div>"
        )
        inline = inside(letter, inner)
    laid = Layout(text, html, said, inline, placed)
    return drafted(
        letter,
        laid,
        f"<html><head></head><body>{html}</body></html>",
        signature,
        "base64" if letter.lang.wide else "quoted-printable",
    )


def yahoo_head(letter: Letter, parent: Sent) -> tuple[str, str, Inner]:
    """The block above a forwarded text; older plain parts have all of it in one line."""
    phrases = letter.ui.clients["yahoo"]
    sender, to, cc, sent, subject = phrases.labels
    date, template = date_of(letter, parent, "yahoo")
    rows = [(sender, named((parent.author,), "")), (to, named(parent.to, "; "))]
    if parent.cc:
        rows.append((cc, named(parent.cc, "; ")))
    rows += ((sent, date), (subject, parent.prefix + parent.subject))
    title = phrases.words["forwarded"]
    plain = f"{title} " + ("" if letter.style % 3 == 0 else "\n").join([f"{label}{value}" for label, value in rows])
    html = f"<div>{title}</div>" + "".join(
        [f"<div><b>{escape(label.rstrip())}</b> {escape(value)}</div>" for label, value in rows]
    )
    return plain, html, told(letter, parent, template, block=True)


def proton(letter: Letter) -> Draft:
    """An advertisement for a signature unless paid for; quotes marked in the plain part too."""
    parent = letter.parent
    said = "\n\n".join([line if letter.lang.tight else lines_of(line, 78) for line in letter.blocks])
    personal = "\n".join(letter.author.signature)
    advert = letter.ui.clients["proton"].words["sent"] if letter.style % 2 else ""
    signature = "\n\n".join(filter(None, (personal, advert)))
    text = f"{said}\n\n{signature}" if signature else said
    html = paragraphs(letter).replace("<div>", f"<div {ARIAL}>")
    if signature:
        html += (
            f'<div class="protonmail_signature_block" {ARIAL}>\n<div class="protonmail_signature_block-user">{html_of(personal)}</div>\n'
            f'<div class="protonmail_signature_block-proton">{advertised(advert)}</div>\n</div>\n'
        )
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"
    if parent is not None:
        kept, kept_html = old(letter)
        if letter.kind == "forward":
            placed = "forward"
            head, inner = proton_head(letter, parent)
            text += f"\n\n{head}\n\n{quoted(kept)}"
            head_html = html_of(head)
        else:
            placed = "top"
            line, template = attribution(letter, parent, "proton")
            inner = told(letter, parent, template, block=False)
            # Until 2023 a line of dashes stood above it.
            title = "------- Original Message -------\n" if letter.style % 4 == 1 else ""
            text += f"\n\n{title}{line}\n\n{quoted(kept)}"
            head_html = html_of(title + line)
        html += (
            f'<div {ARIAL}><br></div><div class="protonmail_quote">\n        {head_html}<br><br>\n'
            f'        <blockquote class="protonmail_quote" type="cite">\n            {kept_html}\n        </blockquote><br>\n    </div>'
        )
        inline = inside(letter, inner)
    laid = Layout(text, html, said, inline, placed)
    return drafted(
        letter, laid, html, signature, "quoted-printable" if letter.style % 3 and not letter.lang.wide else "base64"
    )


def advertised(advert: str) -> str:
    name = '<a target="_blank" href="https://proton.example.com/">Proton Mail</a>'
    return escape(advert).replace("Proton Mail", name)


def proton_head(letter: Letter, parent: Sent) -> tuple[str, Inner]:
    """Labels were never translated; the date begins as in an attribution."""
    date, template = date_of(letter, parent, "proton")
    head = (
        f"------- Forwarded Message -------\nFrom: {named((parent.author,), '')}\nDate: {date}\n"
        f"Subject: {parent.prefix}{parent.subject}\nTo: {named(parent.to, ', ')}"
    )
    if parent.cc:
        head += f"\nCC: {named(parent.cc, ', ')}"
    return head, told(letter, parent, template, block=True)
