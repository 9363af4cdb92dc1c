"""Mail as Apple's clients write it, on the Mac and on the iPhone: blockquotes of type cite, and an attribution inside the quote."""

from __future__ import annotations

from html import escape

from mailloom.synth.letter import (
    PREFIXES,
    Draft,
    Layout,
    Letter,
    Sent,
    attribution,
    between,
    date_of,
    fitting,
    html_of,
    inside,
    named,
    old,
    paragraphs,
    quoted,
    shown,
    told,
)
from mailloom.synth.plain import flow_tight
from mailloom.synth.truth import Inner

PAGE = (
    '<html><head><meta http-equiv="content-type" content="text/html; charset={charset}"></head>'
    '<body style="overflow-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;">{inner}</body></html>\n'
)
CITE = '<blockquote type="cite">'
ROW = '<div style="margin-top: 0px; margin-right: 0px; margin-bottom: 0px; margin-left: 0px;">'
FONT = "font-family: -webkit-system-font, Helvetica Neue, Helvetica, sans-serif; color: rgba(0, 0, 0, 1.0);"


def apple(letter: Letter) -> Draft:
    """On the Mac: the attribution is the quote's first line, in the plain part too; some answer between the quotes."""
    parent = letter.parent
    said = "\n\n".join(letter.blocks)
    signature = "\n".join(letter.author.signature)
    html = paragraphs(letter)
    signed = f"<div>\n<div>{html_of(signature)}</div>\n</div>\n" if signature else ""
    if parent is None:
        return finished(letter, Layout(said, html + signed, said), signature)
    if letter.kind == "forward":
        head, head_html, inner = forward_head(letter, parent, phone=False)
        kept, kept_html = old(letter)
        page = f'{html}{signed}<div><br>{CITE}{head_html}<br class="Apple-interchange-newline"><div>{kept_html}</div></blockquote></div><br>'
        quote = quoted(f"{head}\n\n{kept}", blank="> ")
        return finished(letter, Layout(said, page, said, inside(letter, inner), "forward"), signature, quote)
    line, template = attribution(letter, parent, "apple")
    opening = f'{CITE}<div>{escape(line, quote=False)}</div><br class="Apple-interchange-newline"><div>'
    if letter.answers and letter.style % 4 == 0:
        pairs = between(letter, parent)
        texts: list[str] = []
        pages: list[str] = []
        for number, (kept, answer) in enumerate(pairs):
            texts += (quoted(kept if number else f"{line}\n\n{kept}", blank="> "), answer)
            begun = f"{CITE}<div>" if number else opening
            pages.append(f"{begun}{html_of(kept)}</div></blockquote><div><br></div>")
            pages.append(f"<div>{html_of(answer)}</div><div><br></div>")
        said = "\n\n".join(answer for _, answer in pairs)
        inner = told(letter, parent, template, block=False, text="\n\n".join(kept for kept, _ in pairs))
        page = f"<div>{''.join(pages)}</div>{signed}"
        return finished(letter, Layout("\n\n".join(texts), page, said, (inner,), "between"), signature)
    kept, kept_html = old(letter)
    page = f"{html}{signed}<div><br>{opening}{kept_html}</div></blockquote></div><br>"
    inner = told(letter, parent, template, block=False)
    quote = quoted(f"{line}\n\n{kept}", blank="> ")
    return finished(letter, Layout(said, page, said, inside(letter, inner), "top"), signature, quote)


def iphone(letter: Letter) -> Draft:
    """On a phone: a line where it was sent from, then the quote."""
    parent = letter.parent
    said = "\n\n".join(letter.blocks)
    signature = letter.ui.clients["apple"].words["sent"] if letter.style % 5 else ""
    signed = f'<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">{escape(signature)}</div>' if signature else ""
    html = f'<div dir="ltr"></div><div dir="ltr">{paragraphs(letter)}{signed}</div>'
    if parent is None:
        return finished(letter, Layout(said, html, said), signature)
    kept, kept_html = old(letter)
    if letter.kind == "forward":
        head, head_html, inner = forward_head(letter, parent, phone=True)
        html += f'<div dir="ltr"><br>{CITE}{head_html}<br></blockquote></div>{CITE}<div dir="ltr">\ufeff{kept_html}</div></blockquote>'
        quote = quoted(f"{head}\n\n\ufeff{kept}", blank="> ")
        return finished(letter, Layout(said, html, said, inside(letter, inner), "forward"), signature, quote)
    line, template = attribution(letter, parent, "apple")
    html += f'<div dir="ltr"><br>{CITE}{escape(line, quote=False)}<br><br></blockquote></div>{CITE}<div dir="ltr">\ufeff{kept_html}</div></blockquote>'
    inner = told(letter, parent, template, block=False)
    quote = quoted(f"{line}\n\n\ufeff{kept}", blank="> ")
    return finished(letter, Layout(said, html, said, inside(letter, inner), "top"), signature, quote)


def finished(letter: Letter, laid: Layout, signature: str, quote: str = "") -> Draft:
    """`laid.text` is all that stands above the signature, `quote` what stands below it."""
    text = "\n\n".join(filter(None, (laid.text, signature, quote)))
    charset = "us-ascii" if text.isascii() else fitting(text, letter.author.charset)
    # Plain mail of its own is flowed; the plain half of an alternative is not.
    flowed = not letter.html and not letter.lang.tight
    return Draft(
        body="" if letter.html and letter.only_html else flow_tight(shown(text)) if flowed else shown(text),
        text=text,
        html=laid.html,
        page=PAGE.format(charset=charset, inner=laid.html) if letter.html else "",
        said=laid.said,
        signature=signature,
        inline=laid.inline,
        prefix=PREFIXES[letter.kind],
        charset=charset,
        encoding="7bit"
        if charset in ("us-ascii", "iso-2022-jp")
        else "base64"
        if letter.lang.wide
        else "quoted-printable",
        placed=laid.placed,
        extra="; format=flowed; delsp=yes" if flowed else "",
    )


def forward_head(letter: Letter, parent: Sent, *, phone: bool) -> tuple[str, str, Inner]:
    """The block above a forwarded text; phones name the subject last."""
    phrases = letter.ui.clients["apple"]
    sender, subject, date_label, to, cc = phrases.labels
    date, template = date_of(letter, parent, "apple")
    about = (subject, parent.prefix + parent.subject)
    rows = [(sender, named((parent.author,), "")), (date_label, date), (to, named(parent.to, ", "))]
    if parent.cc:
        rows.append((cc, named(parent.cc, ", ")))
    rows.insert(len(rows) if phone else 1, about)
    begin = phrases.words["begin"]
    plain = f"{begin}\n\n" + "\n".join([f"{label}{value}" for label, value in rows])
    if phone:
        html = f"{escape(begin)}<br><br>" + "".join(
            [f"<b>{escape(label.rstrip())}</b> {escape(value)}<br>" for label, value in rows]
        )
    else:
        html = f'<div>{escape(begin)}</div><br class="Apple-interchange-newline">' + "".join(
            [
                f'{ROW}<span style="{FONT}"><b>{escape(label)}</b></span><span style="{FONT}">{escape(value)}<br></span></div>'
                for label, value in rows
            ]
        )
    return plain, html, told(letter, parent, template, block=True)
