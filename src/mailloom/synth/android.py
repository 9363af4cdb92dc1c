"""Mail as apps on Android write it: Samsung's, with a block in place of an attribution, and K-9."""

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
    named,
    old,
    paragraphs,
    quoted,
    told,
)
from mailloom.synth.truth import Inner, Placed

BLOCKQUOTE = '<blockquote class="gmail_quote" style="margin: 0pt 0pt 0pt 0.8ex; border-left: 1px solid rgb(204, 204, 204); padding-left: 1ex;">'


def samsung(letter: Letter) -> Draft:
    """Answers and forwards alike hang below a block; every line of it ends with a blank."""
    parent = letter.parent
    said = "\n\n".join(letter.blocks)
    signature = letter.ui.clients["samsung"].words["sent"] if letter.style % 5 else ""
    text = f"{said}\n\n\n\n{signature}" if signature else said
    html = paragraphs(letter).replace("<div>", '<div dir="auto">')
    if signature:
        html += (
            '<div id="composer_signature" dir="auto"><div style="font-size:12px;color:#575757" dir="auto">'
            f"{escape(signature)}</div></div>"
        )
    inline: tuple[Inner, ...] = ()
    if parent is not None:
        kept, kept_html = old(letter)
        rows, inner = block(letter, parent)
        text += "\n\n" + "\n".join(rows) + f"\n\n{kept}"
        lines = "".join([f"<div>{escape(row)}</div>" for row in rows])
        html += (
            '<div dir="auto"><br></div><!-- originalMessage --><div align="left" dir="auto" style="font-size:100%;color:#000000">'
            f"{lines}<div><br></div></div>{kept_html}"
        )
        inline = inside(letter, inner)
    laid = Layout(
        text, html, said, inline, "new" if parent is None else "forward" if letter.kind == "forward" else "top"
    )
    return drafted(
        letter,
        laid,
        f'<html><head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8"></head><body dir="auto">{html}</body></html>',
        signature,
        "base64",
    )


def block(letter: Letter, parent: Sent) -> tuple[list[str], Inner]:
    phrases = letter.ui.clients["samsung"]
    sender, date_label, to, cc, subject = phrases.labels
    date, template = date_of(letter, parent, "samsung")
    rows = [
        phrases.words["original"],
        f"{sender}{named((parent.author,), '')} ",
        f"{date_label}{date}",
        f"{to}{named(parent.to, ', ')} ",
    ]
    if parent.cc:
        rows.append(f"{cc}{named(parent.cc, ', ')} ")
    rows.append(f"{subject}{parent.prefix}{parent.subject} ")
    return rows, told(letter, parent, template, block=True)


def k9(letter: Letter) -> Draft:
    """Quote marks without a blank; by habit the answer stands below the quote."""
    parent = letter.parent
    said = "\n\n".join(letter.blocks)
    signature = letter.ui.clients["k9"].words["sent"] if letter.style % 4 else ""
    signed = f"\n\n-- \n{signature}" if signature else ""
    own = html_of(said + signed)
    text, html = said + signed, f'<div dir="auto">{own}</div>'
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"
    if parent is not None:
        kept, kept_html = old(letter)
        if letter.kind == "forward":
            placed = "forward"
            head, inner = forward_head(letter, parent)
            text += f"\n\n{head}\n\n{kept}"
            html += f"<br><br>{html_of(head)}<br><br>{kept_html}"
        else:
            placed = "bottom" if letter.style % 7 == 0 else "top"
            line, template = attribution(letter, parent, "k9")
            inner = told(letter, parent, template, block=False)
            quote = f"{line}\n{quoted(kept, mark='>')}"
            quote_html = f'<div class="gmail_quote"><div dir="auto">{escape(line, quote=False)}</div>{BLOCKQUOTE}{kept_html}</blockquote></div>'
            if placed == "top":
                text, html = f"{text}\n\n{quote}", f"{html}<br><br>{quote_html}"
            else:
                text, html = f"{quote}\n\n{text}", f"{quote_html}<br><br>{html}"
        inline = inside(letter, inner)
    laid = Layout(text, html, said, inline, placed)
    return drafted(
        letter,
        laid,
        f"<!DOCTYPE html><html><body>{html}</body></html>",
        signature,
        "base64" if letter.lang.wide else "quoted-printable",
    )


def forward_head(letter: Letter, parent: Sent) -> tuple[str, Inner]:
    """K-9 words the block as Outlook does."""
    sender, sent, to, cc, subject = letter.ui.clients["outlook"].labels
    date, template = date_of(letter, parent, "k9")
    rows = [
        "-------- Original Message --------",
        f"{sender}{named((parent.author,), '')}",
        f"{sent}{date}",
        f"{to}{named(parent.to, ', ')}",
    ]
    if parent.cc:
        rows.append(f"{cc}{named(parent.cc, ', ')}")
    rows.append(f"{subject}{parent.prefix}{parent.subject}")
    return "\n".join(rows), told(letter, parent, template, block=True)
