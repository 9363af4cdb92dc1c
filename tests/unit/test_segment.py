"""Segments: they cover the text, name their rule, find what clients write in many languages, and cost what the text costs."""

from __future__ import annotations

import re

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.cut import heading, phrases, trailer, uncut
from mailloom.mail.cut.quote import MAX_QUOTE_LEVEL, PROMPT, layout
from mailloom.mail.cut.segment import cut, cut_heads
from mailloom.mail.model import OWN
from mailloom.mail.text.html import Mark, text_of


def kinds(text, marks=(), subject=""):
    segments, _ = cut(text, marks, subject)
    assert "".join(text[s.start : s.end] for s in segments) == text
    return [(s.kind, text[s.start : s.end].strip()) for s in segments if text[s.start : s.end].strip()]


def new(text, subject=""):
    return "".join(text[s.start : s.end] for s in cut(text, (), subject)[0] if s.kind in OWN).strip()


# ---------------------------------------------------------------- attributions

ATTRIBUTIONS = {
    "gmail en": "On Thu, Sep 3, 2026 at 2:14 AM Ann Lee <ann@example.org> wrote:",
    "gmail, two lines": "On Thu, Sep 3, 2026 at 2:14 AM Ann Extraordinarily-Longname Lee <\nann@example.org> wrote:",
    "three lines": "On Sep 3, 2026, at 2:14 AM, Ann Lee\n<ann@example.org>\nwrote:",
    "apple": "On 3 Sep 2026, at 02:14, Ann Lee <ann@example.org> wrote:",
    "no address": "On 03/09/26 02:14, Ann Lee wrote:",
    "thunderbird": "Am 03.09.26 um 02:14 schrieb Ann Lee:",
    "gmail de": "Am Do., 3. Sept. 2026 um 02:14 Uhr schrieb Ann Lee <ann@example.org>:",
    "gmail fr": "Le jeu. 3 sept. 2026 à 02:14, Ann Lee <ann@example.org> a écrit :",
    "gmail es": "El jue, 3 sept 2026 a las 2:14, Ann Lee (<ann@example.org>) escribió:",
    "gmail it": "Il giorno gio 3 set 2026 alle ore 02:14 Ann Lee <ann@example.org> ha scritto:",
    "gmail pt": "Em qui., 3 de set. de 2026 às 02:14, Ann Lee <ann@example.org> escreveu:",
    "gmail nl": "Op do 3 sep 2026 om 02:14 schreef Ann Lee <ann@example.org>:",
    "gmail sv": "Den tors 3 sep. 2026 kl 02:14 skrev Ann Lee <ann@example.org>:",
    "gmail fi": "to 3. syysk. 2026 klo 2.14 Ann Lee (ann@example.org) kirjoitti:",
    "gmail pl": "czw., 3 wrz 2026 o 02:14 Ann Lee <ann@example.org> napisał(a):",
    "gmail cs": "čt 3. 9. 2026 v 2:14 odesílatel Ann Lee <ann@example.org> napsal:",
    "gmail hu": "Ann Lee <ann@example.org> ezt írta (időpont: 2026. szept. 3., Cs, 2:14):",
    "gmail ru": "чт, 3 сент. 2026 г. в 02:14, Ann Lee <ann@example.org>:",
    "gmail uk": "чт, 3 вер. 2026 р. о 02:14 Ann Lee <ann@example.org> пише:",
    "gmail tr": "Ann Lee <ann@example.org>, 3 Eyl 2026 Per, 02:14 tarihinde şunu yazdı:",
    "gmail ja": "2026年9月3日(木) 2:14 Ann Lee <ann@example.org>:",
    "gmail zh": "Ann Lee <ann@example.org> 于2026年9月3日周四 02:14写道：",
    "gmail ko": "2026년 9월 3일 (목) 오전 2:14, Ann Lee <ann@example.org>님이 작성:",
    "gmail he": "\u202bבתאריך יום ה׳, 3 בספט׳ 2026 ב-2:14 מאת \u202aAnn Lee\u202c\u200f <\u202aann@example.org\u202c\u200f>:\u202c",
    "gmail vi": "Vào Th 5, 3 thg 9, 2026 vào lúc 02:14 Ann Lee <ann@example.org> đã viết:",
    "unknown words": "Zur 3. Foo 2026 blah 02:14 xyzzy Ann Lee <ann@example.org> plugh:",
    "arabic digits": "في الخميس، ٣ سبتمبر ٢٠٢٦ في ٢:١٤ ص، كتب Ann Lee <ann@example.org>:",
    "mutt": "* Ann Lee <ann@example.org> [2026-09-03 02:14:30]:",
    "gnus": "Ann Lee <ann@example.org> writes:",
    "kmail": "On Thursday, 3 September 2026 02:14:47 CEST Ann Lee wrote:",
    "old gmail": "2026/9/3 Ann Lee <ann@example.org>",
}


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attribution_before_a_quote(name):
    line = ATTRIBUTIONS[name]
    text = f"My answer.\n\n{line}\n\n> old words\n> more\n\nbelow\n"
    assert kinds(text) == [
        ("new", "My answer."),
        ("attribution", line.strip()),
        ("quote", "> old words\n> more"),
        ("new", "below"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "gmail en",
        "thunderbird",
        "gmail fr",
        "gmail sv",
        "gmail fi",
        "unknown words",
        "gmail zh",
        "gmail ko",
        "three lines",
    ],
)
def test_attribution_without_quote_signs_introduces_the_rest(name):
    line = ATTRIBUTIONS[name]
    text = f"My answer.\n\n{line}\n\nold words\n\nmore\n"
    assert kinds(text) == [("new", "My answer."), ("attribution", line), ("quote", "old words\n\nmore")]


@pytest.mark.parametrize(
    "prose",
    [
        "I spoke to Ann on 3 September 2026 at 02:14 about this.",
        "She wrote: nothing at all.",
        "Here is the list for 2026:",
        "See ann@example.org for details:",
        "The log of 2026-09-03 02:14:30 says:",
        "Note: the meeting at 10:30 is off.",
        "Subject: matters of taste",
        "From here on: no more.",
        "To: or not to: that is the question",
    ],
)
def test_prose_is_new(prose):
    text = f"{prose}\n\nand so on\n\nand on\n"
    assert kinds(text) == [("new", text.strip())]


def test_answers_between_quotes_stay_new_in_order():
    text = "On 3 Sep 2026, Ann wrote:\n> one?\nyes\n> two?\n\nno\n\n> three?\n"
    assert [k for k, _ in kinds(text)] == ["attribution", "quote", "new", "quote", "new", "quote"]
    assert new(text).split() == ["yes", "no"]


def test_a_greeting_between_attribution_and_quote():
    text = "Ann Lee <ann@example.org> [2026-09-03 02:14:30]:\n\nHi,\n\n> old\n\nnew\n"
    assert new(text) == "Hi,\n\n\nnew"


def test_levels():
    segments, _ = cut("> a\n>> b\n> > > c\n>\n> d\n")
    assert [s.level for s in segments] == [1, 2, 3, 1]


def test_the_wrapped_end_of_a_quoted_line_is_quoted():
    long = "> " + "word " * 14 + "and"
    assert kinds(f"{long}\nrest of it\n> more\n\nmine\n") == [("quote", f"{long}\nrest of it\n> more"), ("new", "mine")]
    assert new(f"{long}\nMy answer\n> more\n") == "My answer"


def test_from_lines_of_mailboxes_are_no_quotes():
    assert kinds("text\n>From here on\ntext\n") == [("new", "text\n>From here on\ntext")]


def test_what_is_drawn_far_from_the_margin_is_no_quote():
    banner = "                    >> NEWS <<"
    assert kinds(f"{banner}\n\ntext\n > said\n") == [("new", f"{banner}\n\ntext".strip()), ("quote", "> said")]


def level(line):
    """What mail/cut/quote.py says of all lines at once, of one."""
    bare = line.lstrip(" \t")
    signs = bare[: len(bare) - len(bare.lstrip("> \t"))].count(">")
    return 0 if len(line) - len(bare) > 3 or line.startswith(">From ") else signs


QUOTED = st.lists(st.sampled_from([">", "> ", " ", "\t", "x", "From ", ">>", "\xa0", ":", "\r"]), max_size=7).map(
    "".join
)


@given(st.lists(QUOTED, max_size=12))
def test_levels_are_those_of_each_line(lines):
    page = layout("\n".join(lines))
    want = [level(x) for x in page.lines]
    if (
        ">>>" in "\n".join(lines)
        and min(filter(None, want), default=0) >= PROMPT
        and not any(n and x.rstrip()[-1:] in ">:" for x, n in zip(page.lines, want, strict=True))
    ):
        want = [0] * len(want)
    assert page.levels == want
    assert list(page.quoted) == [level > 0 for level in want]
    assert page.last_quoted == max((n for n, level in enumerate(want) if level), default=-1)


@given(st.lists(st.text(max_size=4), max_size=60), st.text("-_=*~#—–─━< \xa0x\n", max_size=200))
def test_drawn_lines_are_in_order_and_none_is_missed(lines, text):
    page = layout("\n".join([*lines, text]))
    want = [n for n, x in enumerate(page.lines) if re.match(r"[ \t\xa0]{0,40}[-_=*~#—–─━<][-_=*~#—–─━<> ]", x)]
    assert page.drawn == sorted(set(page.drawn))
    assert set(want) <= set(page.drawn)


def test_levels_have_a_limit():
    assert layout(">" * 5000).levels == [MAX_QUOTE_LEVEL]


# ---------------------------------------------------------------- heads

HEADS = {
    "outlook en": "From: Ann Lee <ann@example.org>\nSent: Thursday, September 3, 2026 2:14 AM\nTo: Bob <bob@example.net>\nSubject: Plan",
    "outlook, wrapped": "From: Ann Lee <ann@example.org>\nSent: Thursday, September 3, 2026 2:14 AM\nTo: Bob <bob@example.net>;\n Eve <eve@example.net>\nSubject: Plan",
    "outlook, bold": "*From:* Ann Lee <ann@example.org>\n*Sent:* Thursday, September 3, 2026 2:14 AM\n*To:* Bob\n*Subject:* Plan",
    "outlook de": "Von: Ann Lee <ann@example.org>\nGesendet: Donnerstag, 3. September 2026 02:14\nAn: Bob <bob@example.net>\nBetreff: Plan",
    "outlook fr": "De : Ann Lee <ann@example.org>\nEnvoyé : jeudi 3 septembre 2026 02:14\nÀ : Bob <bob@example.net>\nObjet : Plan",
    "outlook ru": "От: Ann Lee <ann@example.org>\nОтправлено: 3 сентября 2026 г. 2:14\nКому: Bob <bob@example.net>\nТема: Plan",
    "outlook zh": "发件人: Ann Lee <ann@example.org>\n发送时间: 2026年9月3日 2:14\n收件人: Bob <bob@example.net>\n主题: Plan",
    "fullwidth": "差出人： Ann Lee <ann@example.org>\n日時： 2026年9月3日 2:14\n宛先： Bob <bob@example.net>\n件名： Plan",
    "unknown labels": "Vonn: Ann Lee <ann@example.org>\nZeitt: 3. Foo 2026 02:14\nAnn: Bob <bob@example.net>\nBetref: Plan",
    "drawn": "________________________________\nFrom: Ann Lee <ann@example.org>\nSent: Thursday, September 3, 2026 2:14 AM\nSubject: Plan",
    "original": "-----Original Message-----\nFrom: Ann Lee\nSent: Thursday, September 3, 2026 2:14 AM\nTo: Bob\nSubject: Plan",
    "original de": "-----Ursprüngliche Nachricht-----\nVon: Ann Lee\nGesendet: Donnerstag, 3. September 2026 02:14\nAn: Bob\nBetreff: Plan",
    "blank lines between": "From: Ann Lee <ann@example.org>\n\nDate: Thu, 3 Sep 2026\n\nTo: Bob\n\n\nSubject: Plan",
}


@pytest.mark.parametrize("name", HEADS)
def test_head_of_a_reply(name):
    text = f"My answer.\n\n{HEADS[name]}\n\nold words\n\nmore\n"
    assert kinds(text, subject="RE: Plan") == [
        ("new", "My answer."),
        ("attribution", HEADS[name]),
        ("quote", "old words\n\nmore"),
    ]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("subject", ["FW: Plan", "WG: Plan", "Tr: Plan", ""])
def test_head_of_a_forward(name, subject):
    text = f"See below.\n\n{HEADS[name]}\n\nold words\n\nmore\n"
    assert [k for k, _ in kinds(text, subject=subject)] == ["new", "forward", "forward"]


FORWARDS = [
    "---------- Forwarded message ---------",
    "Begin forwarded message:",
    "-------- Weitergeleitete Nachricht --------",
    "-------- Message transféré --------",
    "---------- Пересылаемое сообщение ---------",
    "---------- 転送されたメッセージ ---------",
    "-------- Unknown words here --------",
]


@pytest.mark.parametrize("line", FORWARDS)
def test_forward(line):
    head = f"{line}\nFrom: Ann Lee <ann@example.org>\nDate: Thu, Sep 3, 2026 at 2:14 AM\nSubject: Plan\nTo: Bob <bob@example.net>"
    assert kinds(f"See below.\n\n{head}\n\n\nold\n") == [("new", "See below."), ("forward", head), ("forward", "old")]


def test_a_quoted_forward_is_one_whatever_is_below():
    text = "Hi\n\n> Begin forwarded message:\n>\n> From: Ann <ann@example.org>\n> Subject: Plan\n>\n> old\n\nbelow\n"
    assert [k for k, _ in kinds(text)] == ["greeting", "forward", "forward", "new"]


def test_a_head_inside_a_quote_of_a_reply_is_no_forward():
    text = "Hi,\n\n> -----Original Message-----\n> From: Ann <ann@example.org>\n> Sent: today\n> Subject: Plan\n>\n> old\n\nanswer\n\n> older\n"
    assert [k for k, _ in kinds(text, subject="Re: Plan")] == ["greeting", "attribution", "quote", "new", "quote"]


def test_reply_above_this_line():
    assert kinds("yes\n\n-- REPLY ABOVE THIS LINE --\n\nTicket\n")[0] == ("new", "yes")


@pytest.mark.parametrize(
    "text",
    [
        "From: Ann\n\nThis patch does things.\n",
        "Name: Ann\nPhone: 123\nFax: 456\n\ntext\n",
        "Package: foo\nVersion: 1.2\nSeverity: grave\n\ntext\n",
    ],
)
def test_labelled_lines_that_are_no_head(text):
    assert [k for k, _ in kinds(text)] == ["new"]


# ---------------------------------------------------------------- what stands below

TRAILERS = {
    "dash-dash-blank": ("-- \nAnn Lee\nExample Org", "signature"),
    "dash-dash": ("--\nAnn Lee", "signature"),
    "device": ("Sent from my iPhone", "signature"),
    "device de": ("Von meinem iPhone gesendet", "signature"),
    "device fr": ("Envoyé de mon iPhone", "signature"),
    "device ja": ("iPhoneから送信", "signature"),
    "device with a link": ("Get Outlook for Android<https://aka.example/x>", "signature"),
    "dash-name": ("-Ann Lee", "signature"),
    "mailman": (
        "_" * 47 + "\nplan mailing list\nplan@lists.example.org\nhttps://lists.example.org/mailman/listinfo/plan",
        "disclaimer",
    ),
    "ezmlm": ("-" * 69 + "\nTo unsubscribe, e-mail: plan-unsubscribe@example.org", "disclaimer"),
    "groups": (
        '-- \nYou received this message because you are subscribed to the Google Groups "plan" group.',
        "disclaimer",
    ),
    "legal": (
        (
            "This e-mail and any attachments are confidential. If you are not the intended recipient, please\n"
            "delete it: any disclosure or copying is prohibited."
        ),
        "disclaimer",
    ),
    "legal de": (
        (
            "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind oder diese\n"
            "E-Mail irrtümlich erhalten haben, informieren Sie bitte den Absender."
        ),
        "disclaimer",
    ),
}


@pytest.mark.parametrize("name", TRAILERS)
@pytest.mark.parametrize("below", ["", "\nOn 3 Sep 2026, at 02:14, Ann Lee <ann@example.org> wrote:\n\n> old\n"])
def test_trailer(name, below):
    trail, kind = TRAILERS[name]
    found = kinds(f"My words.\n\nMore of them.\n\n{trail}\n{below}")
    assert found[:2] == [("new", "My words.\n\nMore of them."), (kind, trail)]


def test_signature_then_footer():
    text = f"words\n\n-- \nAnn\n\n{TRAILERS['mailman'][0]}\n"
    assert [k for k, _ in kinds(text)] == ["new", "signature", "disclaimer"]


@pytest.mark.parametrize(
    "text",
    [
        "And here is a fix -- not a signature.\n\nbye\n",
        "Sent from the office by Ann, who asked me to tell you all this at some length today, and who would have come herself, but could not.\n\nNow to the point.\n",
        "words\n---\n file | 2 +-\n 1 file changed\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        "- one\n- two\n",
        "This is confidential.\n\nBest\nAnn\n",
    ],
)
def test_no_trailer(text):
    assert {k for k, _ in kinds(text)} <= OWN


def test_a_phones_line_parts_from_what_it_quotes_without_a_sign():
    assert kinds("words\n\nSent from my iPhone\n\nold words go on here\nfor long\n\nand on\n\nand on\n")[:2] == [
        ("new", "words"),
        ("signature", "Sent from my iPhone"),
    ]


# ---------------------------------------------------------------- marks from HTML

PAGES = {
    "gmail": (
        (
            '<div>mine</div><div class="gmail_quote"><div class="gmail_attr">On X Ann wrote:<br></div><blockquote class="gmail_quote">old</blockquote></div>'
            "<div>below</div>"
        ),
        [("new", "mine"), ("attribution", "On X Ann wrote:"), ("quote", "old"), ("new", "below")],
    ),
    "outlook desktop": (
        (
            "<p class=MsoNormal>mine</p><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>From:</b> Ann<br><b>Sent:</b> today<br>"
            "<b>To:</b> Bob<br><b>Subject:</b> Plan</p></div><p class=MsoNormal>old</p>"
        ),
        [("new", "mine"), ("attribution", "From: Ann\nSent: today\nTo: Bob\nSubject: Plan"), ("quote", "old")],
    ),
    "apple": (
        '<div>mine</div><blockquote type="cite"><div>On 3 Sep 2026, at 02:14, Ann &lt;ann@example.org&gt; wrote:</div><br><div>old</div></blockquote>',
        [("new", "mine"), ("attribution", "On 3 Sep 2026, at 02:14, Ann <ann@example.org> wrote:"), ("quote", "old")],
    ),
    "answers inside": (
        "<blockquote>one</blockquote>yes<blockquote>two</blockquote>no",
        [("quote", "one"), ("new", "yes"), ("quote", "two"), ("new", "no")],
    ),
    "signature": ('<div>mine</div><div class="gmail_signature">Ann</div>', [("new", "mine"), ("signature", "Ann")]),
    "thunderbird forward": (
        (
            '<p>mine</p><div class="moz-forward-container">-------- Forwarded Message --------<table><tr><th>Subject: </th><td>Plan</td></tr>'
            "<tr><th>From: </th><td>Ann &lt;ann@example.org&gt;</td></tr></table><p>old</p></div>"
        ),
        [
            ("new", "mine"),
            ("forward", "-------- Forwarded Message --------\nSubject:\tPlan\nFrom:\tAnn <ann@example.org>"),
            ("forward", "old"),
        ],
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_marks(name):
    html, want = PAGES[name]
    page = text_of(html)
    assert kinds(page.text, page.marks, "Re: Plan") == want


# ---------------------------------------------------------------- promises

LINES = st.one_of(
    st.sampled_from(
        [*ATTRIBUTIONS.values(), *HEADS.values(), *FORWARDS]
        + [t for t, _ in TRAILERS.values()]
        + [
            "",
            " ",
            ">",
            "> ",
            "> a",
            ">> b",
            " > c",
            "-- ",
            "--",
            "---",
            "_" * 20,
            "On ",
            "From: ",
            "From:",
            ":",
            "：",
            "*From:*",
            "wrote:",
            "x@y:",
        ]
    ),
    st.text(max_size=20),
)


@given(st.lists(LINES, max_size=30), st.sampled_from(["", "Re: x", "FW: x", "x"]))
def test_segments_cover_the_text(lines, subject):
    text = "\n".join(lines)
    segments, problems = cut(text, (), subject)
    at = 0
    for segment in segments:
        assert segment.start == at
        assert segment.end > at
        assert segment.rule
        assert 0 < segment.confidence <= 1000
        assert (segment.level > 0) >= (segment.kind == "quote")
        at = segment.end
    assert at == len(text)
    assert all(p.kind for p in problems)


@given(st.lists(LINES, max_size=30))
def test_heads_alone_are_those_of_a_whole_cut(lines):
    text = "\n".join(lines)
    kinds = ("attribution", "forward", "quote")
    whole = [s for s in cut(text)[0] if s.kind in kinds and s.rule != "below-device"]
    heads = cut_heads(text)
    assert [s for s in heads if s.kind in kinds] == whole
    assert "".join(text[s.start : s.end] for s in heads) == text


@given(st.lists(LINES, max_size=12), st.data())
def test_marks_of_any_kind_anywhere_cover_the_text(lines, data):
    text = "\n".join(lines)
    places = st.integers(0, len(text))
    marks = []
    for _ in range(data.draw(st.integers(0, 6))):
        start, end = sorted((data.draw(places), data.draw(places)))
        kind = data.draw(st.sampled_from(["quote", "attribution", "forward", "region", "signature"]))
        if start < end:
            marks.append(Mark(start, end, kind, 1, "test"))
    segments, _ = cut(text, sorted(marks, key=lambda m: (m.start, -m.end)))
    assert "".join(text[s.start : s.end] for s in segments) == text


def test_every_cut_of_a_mail():
    text = f"Hi\n\n{ATTRIBUTIONS['gmail en']}\n> old\n\nmine\n\n-- \nAnn\n\n{HEADS['outlook en']}\n\nolder\n"
    for end in range(len(text)):
        assert "".join(text[s.start : s.end] for s in cut(text[:end])[0]) == text[:end]


def test_what_looks_quoted_and_is_not_cut_is_told():
    text = "Words\n\nand ann@example.org said in 2026 that we do as follows, which is on the whole a good thing:\n> x\n\nbob@example.org 12 2026:\n\nmore\n"
    assert [p.kind for p in cut(text)[1]] == ["uncut quote"]
    assert cut("plain\n")[1] == ()


LIKE = st.sampled_from(["@", "x@y.example", ":", "：", "\n", " 3 2026 ", "x" * 99, "--- 2 May 2026 ---", "word "])


@given(st.lists(LIKE, max_size=12))
def test_what_is_told_are_the_lines_that_end_like_an_attribution(pieces):
    text = "".join(pieces)
    line = re.compile(r"@[^@\n]{1,200}(?<=[:：])(?=\n|$)")
    assert sorted(at for at, _ in uncut._like_attributions(text)) == [m.start() for m in line.finditer(text)]


HOSTILE = {
    "signs": "> ",
    "lines of signs": "> \n",
    "on": "On ",
    "on lines": "On 3 May 2026 10:00 a wrote:\n",
    "attributions and quotes": "On 3 May 2026 10:00 a wrote:\n> q\n",
    "dashes": "-",
    "lines of dashes": "--------\n",
    "from": "From: ",
    "from lines": "From: a\n",
    "heads": "From: a@b.example\nTo: b\n\n",
    "signatures": "-- \n",
    "blanks": "\n",
    "colons": ":\n",
    "forwards": "---------- Forwarded message ----------\n",
    "quoted heads": "> From: a\n\nx\n",
    "addresses": "a@",
    "digits": "12:30 ",
    "devices": "Sent from my x\n\n",
    "legal": "confidential intended recipient\n",
    "footers": "__________\nmailing list\n",
    "greetings": "a wrote 2026 1:\n\nhi\n\nho\n\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_text_is_twice_the_work(name):
    unit = HOSTILE[name]
    count = 20_000 // len(unit)
    for tail in ("", "\n> end\n"):
        linear(cut, lambda n, tail=tail: unit * n + tail, count)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "".join(">" * i + " x\n" for i in range(n)),
        lambda n: "".join(">" * i + " On 3 May 2026 a wrote:\n" for i in range(n)),
    ],
)
def test_a_ladder_of_quotes(make):
    linear(cut, lambda n: make(int(n**0.5)), 500_000)


def test_many_regions():
    html = '<div class="gmail_quote">On 3 May 2026 10:00 a@b.example wrote:<p>old</p></div>x'
    linear(lambda page: cut(page.text, page.marks), lambda n: text_of(html * n), 500)


# ---------------------------------------------------------------- phrases


def test_phrases_are_in_the_form_they_are_looked_up_in():
    for word in [*phrases.LABELS, *phrases.FORWARD_LINES, *phrases.ORIGINAL_LINES]:
        assert word == word.lower().strip()
    assert len(phrases.LANGUAGE_LABELS) >= 30


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        ("Re: x", "reply"),
        ("AW: x", "reply"),
        ("Fwd: x", "forward"),
        ("WG: x", "forward"),
        ("VS: x", ""),
        ("x", ""),
        ("", ""),
        ("Plan: x", ""),
        ("转发：x", "forward"),
        ("Re[2]: x", "reply"),
    ],
)
def test_what_subjects_say(subject, says):
    assert phrases.subject_says(subject) == says


def test_patterns_do_not_nest_quantifiers():
    for module in (heading, phrases, trailer, uncut):
        for value in vars(module).values():
            if isinstance(value, re.Pattern):
                assert not re.search(r"[+*}]\)[+*{]", value.pattern), value.pattern[:80]


@pytest.mark.parametrize("gap", ["\n\n", "\n"])
def test_words_before_a_colon_above_a_known_head_are_the_authors(gap: str) -> None:
    text = (
        f"Klopt.\n\nDaan zegt: de pomp loopt weer.{gap}"
        "Van: Ann Lee <ann@example.org>\nDatum: maandag 4 maart 2024 om 09:12\nAan: Bob <bob@example.net>\nOnderwerp: Pomp\n\nTekst\n"
    )
    segments, _ = cut(text)
    assert (
        "".join(text[s.start : s.end] for s in segments if s.kind in OWN).strip()
        == "Klopt.\n\nDaan zegt: de pomp loopt weer."
    )
