"""HTML to text: what a reader saw is there, what was hidden is not, and no input is slow or raises."""

from __future__ import annotations

import pytest
from effort import linear
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.mail.text.html import MAX_LEVEL, text_of
from mailloom.mail.text.tags import read_tag

CASES = {
    "blocks": ("<div>one</div><div>two</div>", "one\ntwo"),
    "paragraphs": ("<p>one</p><p>two</p>", "one\n\ntwo"),
    "outlook's paragraphs have no margin": ('<p class="MsoNormal">one</p><p class=MsoNormal>two</p>', "one\ntwo"),
    "blank line of an editor": ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
    "a no-break space is a blank line": (
        "<p class=MsoNormal>one</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>two",
        "one\n\ntwo",
    ),
    "br at the end of a block": ("<div>one<br></div>two", "one\ntwo"),
    "white space folds": ("<p>one\n   two\t three</p>", "one two three"),
    "blank between inline elements": ("<b>one</b> <i>two</i>", "one two"),
    "pre keeps lines": ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
    "list": ("<ul><li>one<li>two</ul>", "- one\n- two"),
    "numbered": ("<ol><li>one</li><li>two</li></ol>", "1. one\n2. two"),
    "nested list": ("<ul><li>one<ul><li>two</li></ul></li><li>three</li></ul>", "- one\n  - two\n- three"),
    "table": ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>", "a\tb\nc\td"),
    "link says more": ('<a href="https://example.org/x">the page</a>', "the page <https://example.org/x>"),
    "link says the same": ('<a href="https://example.org/">example.org</a>', "example.org"),
    "mailto of a name": ('<a href="mailto:ann@example.org">Ann</a>', "Ann <ann@example.org>"),
    "mailto of itself": ('<a href="mailto:ann@example.org">ann@example.org</a>', "ann@example.org"),
    "no script targets": ('<a href="javascript:alert(1)">x</a>', "x"),
    "alt": ('<img alt="our logo" src=x>', "[our logo]"),
    "pixel": ('a<img alt="track" width=1 height="1" src=x>b', "ab"),
    "style and script": ("<style>p{}</style><script>var a='<p>no</p>'</script>text", "text"),
    "comment": ("a<!-- <p>no</p> -->b", "ab"),
    "conditional comment": ("a<!--[if mso]><p>no</p><![endif]-->b", "ab"),
    "short comment": ("a<!-->b", "ab"),
    "comment without end hides nothing": ("a<!-- b <p>c", "a b\n\nc"),
    "display none": ('<div style="display: none">no</div>yes', "yes"),
    "hidden attribute": ("<p hidden>no</p>yes", "yes"),
    "font size zero": ('<span style="font-size:0px">no</span>yes', "yes"),
    "max-height zero": ('<div style="max-height:0; overflow:hidden">no</div>yes', "yes"),
    "font-size 0.9em is seen": ('<span style="font-size:0.9em">yes</span>', "yes"),
    "hidden ends where it ends": ('<span style="display:none">no<span>no</span>no</span>yes<span>yes</span>', "yesyes"),
    "entities": ("&lt;b&gt; &amp; &eacute; &#8364; &#x20AC; &nosuch;", "<b> & é € € &nosuch;"),
    "bare ampersand and less-than": ("a & b < c", "a & b < c"),
    "angle bracket in an attribute": ('<img alt="a > b" src=x>c', "[a > b] c"),
    "tag in an attribute": ('<img alt="a <b> c">d', "[a <b> c] d"),
    "title is not text": ("<head><title>no</title></head><body>yes", "yes"),
    "unknown elements": ("<o:p>a</o:p><foo>b</foo>", "ab"),
    "rule": ("a<hr>b", "a\n" + "_" * 32 + "\nb"),
    "upper case": ("<DIV>one</DIV><P>two</P>", "one\n\ntwo"),
    "NUL": ("a\x00b", "ab"),
    "size 0 ends where an element states a size": (
        '<td style="font-size:0px">no<div style="font-size:13px">yes<span>yes</span></div>no</td>maybe',
        "yesyes\nmaybe",
    ),
    "size 0 of an em stays 0": ('<div style="font-size:0">no<b style="font-size:2em">no</b></div>yes', "yes"),
    "a font's size is a size": ('<div style="font-size:0"><font size=2>yes</font></div>', "yes"),
    "blank before a link in pre": ("<pre>see  \n<a>b</a> <b>c</b></pre>", "see\nb c"),
    "the first line break of pre is none": ("a<pre>\nb</pre>", "a\n\nb"),
    "white-space: pre": ('<div style="white-space:pre-wrap">a\n b</div>', "a\n b"),
    "a list that starts later": ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
    "an item with a number": ("<ol><li value=7>a<li>b</ol>", "7. a\n8. b"),
    "letters": ("<ol type=a><li>a<li>b</ol>", "a. a\nb. b"),
    "roman": ('<ol style="list-style-type: upper-roman" start=9><li>a<li>b</ol>', "IX. a\nX. b"),
    "no bullets": ('<ul style="list-style:none"><li>a<li>b</ul>', "a\nb"),
    "Word's list": (
        "<p class=MsoNormal><![if !supportLists]><span style='mso-list:Ignore'>\xb7<span>&nbsp;</span></span><![endif]>one</p>",
        "- one",
    ),
    "Word's numbered list": (
        "<p class=MsoNormal><![if !supportLists]><span style='mso-list:Ignore'>1.<span>&nbsp; </span></span><![endif]>one</p>",
        "1. one",
    ),
    "a row of paragraphs": (
        "<table><tr><td><p>a</p></td><td><p>b</p></td></tr><tr><td><p>c</p></td><td><p>d</p></td></tr></table>",
        "a\tb\n\nc\td",
    ),
    "a cell of several lines": ("<table><tr><td>a<br>b</td><td><div>c</div></td></tr></table>d", "a\nb\nc\nd"),
    "a table in a cell": (
        "<table><tr><td>a<table><tr><td>b</td><td>c</td></tr></table></td><td><div>d</div></td></tr></table>",
        "a\nb\tc\nd",
    ),
    "an empty last cell": ("<table><tr><td>a</td><td></td></tr></table>b", "a\nb"),
    "columns of a layout": (
        f"<table><tr><td><p>{'a ' * 120}</p></td><td><p>b</p></td></tr></table>",
        "a " * 119 + "a\n\nb",
    ),
    "columns of a layout without blocks": (f"<table><tr><td>{'a ' * 120}<td>b</table>", "a " * 119 + "a\nb"),
    "a row after the table": ("<table><tr><td>a</table><div>b</div>", "a\nb"),
    "downlevel-revealed": ("<![if !mso]>yes<![endif]>", "yes"),
    "not for Outlook": ("<!--[if !mso]><!-->yes<!--<![endif]-->", "yes"),
    "soft hyphen": ("hy&shy;phen", "hyphen"),
    "wbr": ("a<wbr>b", "ab"),
    "zero-width": ("a&#8203;b\ufeff", "ab"),
    "Persian keeps its joiners": ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
    "preview filler": ("<span>Hi</span>" + "<span>&zwnj;&nbsp;</span>" * 3 + "<p>you", "Hi\n\nyou"),
    "no margins": ('<p style="margin-top:0;margin-bottom:0">a</p><p style="margin:0cm 0cm 0.0001pt">b</p>', "a\nb"),
    "a break that says something": ('a<br id="lineBreakAtBeginningOfSignature">b<br style="font-size:0">c', "a\nb\nc"),
    "hidden breaks and rules": ('a<br hidden><hr style="display:none">b', "ab"),
    "options": ("<select><option>a<option>b</select>c", "a\nb\nc"),
    "a frame's fallback": ("<iframe>no</iframe>yes", "yes"),
    "safe links": (
        '<a href="https://x.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.org%2Fa&amp;data=1">example.org/a</a>',
        "example.org/a",
    ),
    "a smiley's alt": ('a <img alt="\U0001f600" src=x>', "a \U0001f600"),
    "CRLF": ("<pre>a\r\nb</pre>", "a\nb"),
    "aria-hidden is seen": ("<p aria-hidden=true>yes", "yes"),
    "tag without end": ("a<b", "a"),
    "tags without end": ("a<b<i>c", "ac"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_text(name):
    html, text = CASES[name]
    assert text_of(html).text == text


MARKS = {
    "gmail": (
        (
            '<div>new</div><div class="gmail_quote"><div class="gmail_attr">On X wrote:<br></div>'
            '<blockquote class="gmail_quote">old</blockquote></div>'
        ),
        [
            ("region", "gmail_quote", "On X wrote:\nold"),
            ("attribution", "gmail_attr", "On X wrote:"),
            ("quote", "gmail_quote", "old"),
        ],
    ),
    "gmail, seen by another client": (
        '<div class="x_gmail_signature">me</div>',
        [("signature", "gmail_signature", "me")],
    ),
    "gmail container": (
        '<div class="gmail_quote gmail_quote_container">q</div>',
        [("region", "gmail_quote", "q")],
    ),
    "outlook web": ('<div id="divRplyFwdMsg">From: a</div><div>b</div>', [("attribution", "divRplyFwdMsg", "From: a")]),
    "outlook desktop": (
        "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'><p class=MsoNormal>From: a</p></div>b",
        [("head", "outlook-border", "From: a")],
    ),
    "thunderbird": (
        '<div class="moz-cite-prefix">On X, Y wrote:<br></div><blockquote type="cite">q</blockquote>',
        [("attribution", "moz-cite-prefix", "On X, Y wrote:"), ("quote", "blockquote", "q")],
    ),
    "yahoo": ('<div id="yahoo_quoted_123" class="yahoo_quoted">q</div>', [("quote", "yahoo_quoted", "q")]),
    "proton": ('<div class="protonmail_quote">q</div>', [("quote", "protonmail_quote", "q")]),
    "zoho": ('<div class="zmail_extra">q</div>', [("quote", "zmail_extra", "q")]),
    "unclosed": ("<blockquote>q<p>r", [("quote", "blockquote", "q\n\nr")]),
    "empty": ("<blockquote> </blockquote>a", []),
    "an ordinary border is no mark": ("<div style='border-top:1px solid black'>a</div>", []),
}


@pytest.mark.parametrize("name", MARKS)
def test_marks(name):
    html, marks = MARKS[name]
    page = text_of(html)
    assert [(m.kind, m.rule, page.text[m.start : m.end]) for m in page.marks] == marks


def test_levels_count_quotes_around():
    page = text_of("<blockquote>a<blockquote>b</blockquote>c</blockquote>")
    assert [(m.level, page.text[m.start : m.end]) for m in page.marks] == [(1, "a\nb\nc"), (2, "b")]


def test_a_mark_ends_with_its_element_inside_other_elements():
    page = text_of('<div class="gmail_quote"><div><div>a</div></div></div><div>b</div>')
    assert [page.text[m.start : m.end] for m in page.marks] == ["a"]


TAGS = [
    "div",
    "p",
    "span",
    "blockquote",
    "table",
    "tr",
    "td",
    "b",
    "ul",
    "li",
    "pre",
    "br",
    "a href='http://x.example'",
    "img alt=x",
    "span hidden",
]
SNIPPETS = st.one_of(
    st.sampled_from([f"<{t}>" for t in TAGS] + [f"</{t.split()[0]}>" for t in TAGS]),
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<style>",
            "</style>",
            "<",
            ">",
            "'",
            '"',
            "&",
            "&#",
            "&#99999999999999999999;",
            "\x00",
            "\xa0",
            "&nbsp;",
            "\n",
            " ",
        ]
    ),
    st.text(max_size=8),
)


@given(st.lists(SNIPPETS, max_size=60))
@settings(max_examples=300, deadline=None)
def test_anything(pieces):
    page = text_of("".join(pieces))
    assert "\x00" not in page.text
    last = 0
    for mark in page.marks:
        assert last <= mark.start < mark.end <= len(page.text)
        assert page.text[mark.start] not in " \n"
        last = mark.start


@given(
    st.lists(st.sampled_from(["word", "two words", "é", "漢字"]), min_size=1, max_size=10),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_no_word_is_lost_or_invented(words, random):
    html = ""
    for word in words:
        tag = random.choice(["p", "div", "span", "b", "blockquote", "td", "li"])
        html += f"<{tag}>{word}</{tag}> "
    found = text_of(html).text.replace("- ", " ").split()
    assert found == " ".join(words).split()


def test_every_cut_of_a_page():
    html = MARKS["gmail"][0] + CASES["table"][0] + CASES["comment"][0] + CASES["link says more"][0]
    for end in range(len(html)):
        text_of(html[:end])


HOSTILE = {
    "nested quotes": "<blockquote>",
    "less-than": "<",
    "open attribute": "<a href='",
    "open tables": "<table><tr><td>x",
    "entities": "&#9999999999999;&amp&",
    "comments": "<!--",
    "styles": "<style>",
    "stray end tags": "<span></i></a></div>",
    "links": "<a href='http://x.example/y'>x",
    "hidden": "<div style='display:none'>x",
    "lists": "<ul><li><ol><li>x",
    "no-break spaces": "&nbsp;<br>",
    "half styles": "<p style='max-height:0;",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_input_is_twice_the_work(name):
    unit = HOSTILE[name]
    count = 24_000 // len(unit)
    linear(text_of, lambda n: unit * n, count)


def test_a_tag_of_a_hundred_thousand_attributes():
    def tag(n):
        return "<p " + " ".join(f"a{i}=1" for i in range(n)) + ">x</p>"

    assert text_of(tag(100_000)).text == "x"
    linear(text_of, tag, 25_000)


def test_levels_are_bounded():
    page = text_of("<blockquote>x" * 3000)
    assert max(m.level for m in page.marks) == MAX_LEVEL


def test_plain_text_below_the_page_keeps_its_lines() -> None:
    """Mailman adds a list's footer to a mail of one HTML part as to a plain one."""
    html = "<html><body><p>the pump\nworks</p></body></html>\n\n____\nusers list\nusers@example.org\n"
    assert text_of(html).text == "the pump works\n\n\n____\nusers list\nusers@example.org"


def test_a_page_that_goes_on_in_tags_is_html_to_its_end() -> None:
    assert text_of("<html><p>one</p></html>\n<p>two\nthree</p>").text == "one\n\ntwo three"


@pytest.mark.parametrize("name", ["aİ", "aİİİ", "aẞ", "aΣ"])
@pytest.mark.parametrize("closing", ["", "/"])
def test_a_name_that_grows_in_lower_case_is_read_once(name: str, closing: str) -> None:
    assert text_of(f"x<{closing}{name} b>y").text == "xy"
    assert read_tag(f"{closing}{name} b").name == name.lower()
