"""Mail as Thunderbird writes it: below the quote by default, flowed plain text (RFC 3676), moz-cite-prefix in html."""

from __future__ import annotations

from html import escape

from mailloom.synth.dates import rfc_date, stated
from mailloom.synth.letter import (
    PREFIXES,
    Draft,
    Layout,
    Letter,
    Sent,
    attribution,
    between,
    html_of,
    inside,
    lines_of,
    mailboxes,
    named,
    old,
    paragraphs,
    quoted,
    shown,
    told,
)
from mailloom.synth.plain import flow
from mailloom.synth.truth import Inner

PAGE = """<!DOCTYPE html>
<html>
  <head>

    <meta http-equiv="Content-Type" content="text/html; charset=UTF-8">
  </head>
  <body>
{inner}  </body>
</html>
"""


def thunderbird(letter: Letter) -> Draft:
    """By habit below the quote, between, or on top; the signature after "-- " at the end, or above the quote."""
    parent = letter.parent
    said, html = own(letter)
    signature = "\n".join(letter.author.signature)
    below = f"\n\n-- \n{signature}" if signature else ""
    signed = f'<pre class="moz-signature" cols="72">-- \n{escape(signature)}</pre>\n' if signature else ""
    if parent is None:
        laid = Layout(said + below, html + signed, said)
    elif letter.kind == "forward":
        head, head_html, inner = forward_head(letter, parent)
        kept, kept_html = old(letter)
        html += f'{signed}<div class="moz-forward-container"><br><br>\n{head_html}<br>\n<br>\n{kept_html}</div>\n'
        laid = Layout(f"{said}{below}\n\n{head}\n\n\n\n{kept}", html, said, inside(letter, inner), "forward")
    else:
        laid = answered(letter, parent, Layout(said, html, said), below, signed)
    ascii_only = laid.text.isascii()
    flowed = not letter.lang.tight
    body = shown(laid.text, "*")
    return Draft(
        body="" if letter.html and letter.only_html else flow(body) if flowed else body,
        text=laid.text,
        html=laid.html,
        page=PAGE.format(inner=laid.html) if letter.html else "",
        said=laid.said,
        signature=signature,
        inline=laid.inline,
        prefix=PREFIXES[letter.kind],
        charset="utf-8",
        encoding="7bit" if ascii_only else "base64" if letter.lang.tight else "8bit",
        placed=laid.placed,
        extra="; format=flowed" if flowed else "",
    )


def own(letter: Letter) -> tuple[str, str]:
    said = "\n\n".join([lines_of(block, 72, letter.lang.tight) for block in letter.blocks])
    return said, paragraphs(letter, "p", "\n")


def answered(letter: Letter, parent: Sent, own: Layout, below: str, signed: str) -> Layout:
    """An answer: by habit between the quotes, above or below them. `below` and `signed` are the signature."""
    line, template = attribution(letter, parent, "thunderbird")
    prefix = f'<div class="moz-cite-prefix">{escape(line, quote=False)}<br>\n</div>\n'
    cite = f'<blockquote type="cite" cite="mid:{escape(parent.id)}">\n'
    inner = told(letter, parent, template, block=False)
    habit = letter.style % 3
    if letter.answers and habit == 2:
        pairs = between(letter, parent)
        texts, pages = [line], [prefix]
        wrapped = [lines_of(answer, 72, letter.lang.tight) for _, answer in pairs]
        for (kept, answer), lines in zip(pairs, wrapped, strict=True):
            texts += (quoted(lines_of(kept, 70, letter.lang.tight)), "", lines, "")
            pages.append(f"{cite}{html_of(kept)}\n</blockquote>\n<p>{html_of(answer)}</p>\n")
        inner = told(letter, parent, template, block=False, text="\n\n".join(kept for kept, _ in pairs))
        text = "\n".join(texts[:-1]) + below
        return Layout(text, "".join(pages) + signed, "\n\n".join(wrapped), (inner,), "between")
    kept, kept_html = old(letter)
    quote, quote_html = f"{line}\n{quoted(kept)}", f"{prefix}{cite}{kept_html}\n</blockquote>\n"
    if habit == 1:
        whole = own.html + signed + quote_html
        return Layout(f"{own.said}{below}\n\n{quote}", whole, own.said, inside(letter, inner), "top")
    whole = quote_html + own.html + signed
    return Layout(f"{quote}\n\n{own.said}{below}", whole, own.said, inside(letter, inner), "bottom")


def forward_head(letter: Letter, parent: Sent) -> tuple[str, str, Inner]:
    """Thunderbird copies the headers: the date is the parent's own, whatever the language of the labels."""
    phrases = letter.ui.clients["thunderbird"]
    subject, date, sender, to, cc = phrases.labels
    rows = [
        (subject, parent.prefix + parent.subject),
        (date, rfc_date(parent.seconds, parent.author.zone)),
        (sender, named((parent.author,), "")),
        (to, named(parent.to, ", ")),
    ]
    if parent.cc:
        rows.append((cc, named(parent.cc, ", ")))
    title = phrases.words["forwarded"]
    # Where the html is turned into text, the table's cells stand a tab apart.
    gap = "\t" if letter.html else ""
    plain = f"{title}\n" + "\n".join([f"{label}{gap}{value}" for label, value in rows])
    cells = "".join(
        [
            f'<tr>\n<th valign="BASELINE" align="RIGHT" nowrap="nowrap">{escape(label)}</th>\n<td>{escape(value)}</td>\n</tr>\n'
            for label, value in rows
        ]
    )
    html = (
        f'{title}\n<table class="moz-email-headers-table" cellspacing="0" cellpadding="0" border="0">\n<tbody>\n{cells}'
        "</tbody>\n</table>\n"
    )
    inner = Inner(
        kind="forwarded",
        name=parent.author.name,
        address=parent.author.address,
        date=stated(parent.seconds, parent.author.zone, with_zone=True),
        subject=parent.prefix + parent.subject,
        text=parent.said,
        depth=1,
        to=mailboxes(parent.to),
        cc=mailboxes(parent.cc),
    )
    return plain, html, inner
