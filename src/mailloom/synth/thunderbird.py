"""Mail as Thunderbird writes it: below the quote by default, flowed plain text (RFC 3676), moz-cite-prefix in html."""

from __future__ import annotations

from html import escape

from mailloom.synth.dates import rfc_date, stated
from mailloom.synth.letter import (
    PREFIXES,
    Draft,
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
from mailloom.synth.truth import Inner, Placed

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
    placed: Placed = "new"
    inline: tuple[Inner, ...] = ()
    if parent is None:
        text, html = said + below, html + signed
    elif letter.kind == "forward":
        placed = "forward"
        head, head_html, inner = forward_head(letter, parent)
        kept, kept_html = old(letter)
        text = f"{said}{below}\n\n{head}\n\n\n\n{kept}"
        html += f'{signed}<div class="moz-forward-container"><br><br>\n{head_html}<br>\n<br>\n{kept_html}</div>\n'
        inline = inside(letter, inner)
    else:
        placed, text, html, said, inline = answered(letter, parent, said, html, below, signed)
    ascii_only = text.isascii()
    flowed = not letter.lang.tight
    body = shown(text, "*")
    return Draft(
        body="" if letter.html and letter.only_html else flow(body) if flowed else body,
        text=text,
        html=html,
        page=PAGE.format(inner=html) if letter.html else "",
        said=said,
        signature=signature,
        inline=inline,
        prefix=PREFIXES[letter.kind],
        charset="utf-8",
        encoding="7bit" if ascii_only else "base64" if letter.lang.tight else "8bit",
        placed=placed,
        extra="; format=flowed" if flowed else "",
    )


def own(letter: Letter) -> tuple[str, str]:
    said = "\n\n".join([lines_of(block, 72, letter.lang.tight) for block in letter.blocks])
    return said, paragraphs(letter, "p", "\n")


def answered(
    letter: Letter, parent: Sent, said: str, html: str, below: str, signed: str
) -> tuple[Placed, str, str, str, tuple[Inner, ...]]:
    """Where the answer stands; text and html of the whole; what is new in it; what is inside."""
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
        return "between", text, "".join(pages) + signed, "\n\n".join(wrapped), (inner,)
    kept, kept_html = old(letter)
    quote, quote_html = f"{line}\n{quoted(kept)}", f"{prefix}{cite}{kept_html}\n</blockquote>\n"
    if habit == 1:
        return "top", f"{said}{below}\n\n{quote}", html + signed + quote_html, said, inside(letter, inner)
    return "bottom", f"{quote}\n\n{said}{below}", quote_html + html + signed, said, inside(letter, inner)


def forward_head(letter: Letter, parent: Sent) -> tuple[str, str, Inner]:
    """Thunderbird copies the headers: the date is the parent's own, whatever the language of the labels."""
    phrases = letter.lang.clients["thunderbird"]
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
