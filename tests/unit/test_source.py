"""The way back from text to HTML: spans lie in order, cover everything, and hold the same words."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from effort import linear
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.mail.cut.segment import cut
from mailloom.mail.text.html import text_of
from mailloom.mail.text.source import source_spans

PIECES = [
    "one",
    " two ",
    "a &amp; b",
    "&lt;x&gt;",
    "&nbsp;",
    "&copy;d&eacute;",
    "漢字",
    "soft&shy;hy\xadphen",
    "\r\n",
    "\x00z",
    "<!-- no -->",
    "<style>p {}</style>",
    '<a title="a < b > c">',
    "<div>",
    "</div>",
    "<p>",
    "<br>",
    "<b>",
    "</b>",
    "<pre>",
    "</pre>",
    "<blockquote>",
    "</blockquote>",
    "<td>",
    "<tr>",
    "<span hidden>",
    "</span>",
    "<span style='font-size:0'>",
    "<",
    "3 < 4",
    "&",
    ";",
    "word ",
]
PLAIN = [
    p for p in PIECES if p not in ("<", "&", ";", "3 < 4") and not any(x in p for x in ("hidden", "size", "title"))
]
HTML = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def tiles(text: str) -> list[tuple[int, int]]:
    """Each line, and each blank in a line, ends a span."""
    ends = [m.end() for m in re.finditer(r"\s+", text)]
    cuts = sorted({0, *ends, len(text)})
    return list(pairwise(cuts))


@given(HTML)
@settings(max_examples=400, deadline=None)
def test_spans_that_cover_the_text_cover_the_html(html: str) -> None:
    spans = tiles(text_of(html).text)
    found = source_spans(html, spans)
    if spans:
        assert "".join(html[a:b] for a, b in found) == html


def words(html: str) -> str:
    """What is written between tags, without what nobody sees."""
    return "".join(text_of(re.sub(r"</?(?!style)[a-z][^<>]*>", " ", html)).text.split())


@given(st.lists(st.sampled_from(PLAIN), max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_each_span_holds_its_own_words(html: str) -> None:
    text = text_of(html).text
    spans = tiles(text)
    for (start, end), (first, last) in zip(spans, source_spans(html, spans), strict=True):
        assert words(html[first:last]) == "".join(text[start:end].split())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_segments_are_cut_between_elements(end: str) -> None:
    html = end.join(
        [
            "<html><body>",
            "<div>Yes &amp; no.<br></div><!-- x --><div><br></div>",
            '<div class="gmail_quote"><div class="gmail_attr">On Mon, 4 May 2020 at 10:11, Ann &lt;ann@example.org&gt; wrote:<br></div>',
            '<blockquote class="gmail_quote"><ol><li>Yes?<li>No?</ol></blockquote></div>',
            "</body></html>",
        ]
    )
    page = text_of(html)
    segments, _ = cut(page.text, page.marks)
    found = source_spans(html, [(s.start, s.end) for s in segments])
    parts = {s.kind: html[a:b] for s, (a, b) in zip(segments, found, strict=True)}
    assert parts["new"].endswith("<div><br></div>")
    assert parts["attribution"].strip().startswith('<div class="gmail_quote"><div class="gmail_attr">On Mon')
    assert parts["attribution"].endswith("wrote:<br></div>")
    assert parts["quote"].strip().startswith('<blockquote class="gmail_quote">')
    assert "".join(parts[s.kind] for s in segments) == html


def test_a_span_alone() -> None:
    html = "<p>one <b>two</b> thr&eacute;e</p>"
    text = text_of(html).text
    start = text.index("two")
    [(first, last)] = source_spans(html, [(start, start + 4)])
    assert html[first:last] in ("<b>two</b>", "<b>two</b> ")


@pytest.mark.parametrize(
    "unit", ["<b>x", "x&amp;", "<", "<br>x ", "<pre>x\n", "<!---->x ", "\r\nx", "<span hidden>x</span>y "]
)
def test_twice_the_input_is_twice_the_work(unit: str) -> None:
    def page(count: int) -> tuple[str, list[tuple[int, int]]]:
        return unit * count, tiles(text_of(unit * count).text)

    linear(lambda one: source_spans(*one), page, 1500)


def test_letters_that_grow_in_lower_case_move_no_place() -> None:
    html = f"<p>x<b title='{'İ' * 9}'></b></p><p>y</p>"
    assert [html[a:b] for a, b in source_spans(html, [(0, 1), (1, 3), (3, 4)])] == [html[:-8], "", "<p>y</p>"]
