"""Introductions of many clients in many languages (introductions.py) are found, and what only looks like one is left alone."""

from __future__ import annotations

import tomllib
from pkgutil import get_data

import introductions as made
import pytest
from effort import linear

from mailloom.mail.cut.segment import cut
from mailloom.mail.inside.nested import inline
from mailloom.mail.model import OWN, SIGNED

MINE = "My answer to this.\n\nIt has two parts."
ANSWER = "An answer below it."


def parts(text, subject=""):
    segments, _ = cut(text, (), subject)
    assert "".join(text[s.start : s.end] for s in segments) == text
    return segments


def signed(text):
    return "".join(text[s.start : s.end] for s in parts(text) if s.kind in SIGNED)


CASES = {
    f"{language}, {layout}": below
    for language in made.LANGUAGES
    for table in (made.attributed, made.headed)
    for layout, below in table(language).items()
} | {f"client, {client}": below for client, below in made.CLIENTS.items()}
KNOWN_TO_FAIL = {
    "hu, signs, wrapped",
    "eu, signs, wrapped",
    "client, groupwise, in message",
}
"""A date that was wrapped into two lines behind the address; a quoted line with an id in it."""


@pytest.mark.parametrize("name", sorted(CASES.keys() - KNOWN_TO_FAIL))
def test_what_is_introduced_is_not_the_authors(name):
    text = f"{MINE}\n\n{CASES[name]}\n"
    said = signed(text)
    assert "old words" not in said
    assert said.startswith(MINE)
    assert not said[len(MINE) :].strip() or "yahoo on android" in name


def test_the_unknown_languages_are_unknown():
    words = tomllib.loads((get_data("mailloom.mail.cut", "phrases.toml") or b"").decode())
    assert not words["labels"].keys() & set(made.UNKNOWN)
    assert len(words["labels"]) >= 36
    for language in made.UNKNOWN:
        assert made.LANGUAGES[language][5].lower() not in words["original"]["lines"]


@pytest.mark.parametrize(
    ("above", "sign"),
    [
        ("On 3 Sep 2026, Ann Lee wrote:", "| "),
        ("On 3 Sep 2026, Ann Lee wrote:", "> "),
        ("Ann Lee wrote:", ": "),
        ("Ann Lee (ann@example.org) wrote:", "% "),
        ("On Thu, 3 Sep 2026, Ann Lee wrote:", "] "),
        ("On Thu, 3 Sep 2026, Ann Lee wrote:", ") "),
        ("On Thu, 3 Sep 2026, Ann Lee wrote:", "} "),
        ("On Thu, 3 Sep 2026, Ann Lee wrote:", "--]"),
        ("Thursday, September 3, 2026, 2:14:30 PM, you wrote:", "AL> "),
        ('>>>>> "AL" == Ann Lee <ann@example.org> writes:', "    AL> "),
        ("", "| "),
    ],
)
def test_answers_between_quotes_with_any_sign(above, sign):
    quote = made.quoted("old words that were said to you\nand went on for long\nand then some", sign)
    text = f"Hi,\n\n{above}\n\n{quote}\n\n{ANSWER}\n\n{quote}\n\nAnd another.\n"
    said = "".join(text[s.start : s.end] for s in parts(text) if s.kind in OWN)
    assert "old words" not in said
    assert said.split() == f"Hi, {ANSWER} And another.".split()


def test_a_quote_with_bars_is_nested_without_them():
    text = f"On 3 Sep 2026, Ann Lee wrote:\n{made.quoted(made.BODY, '| ')}\n\nYes.\n"
    (one,) = inline(text, parts(text))
    assert (one.from_[0].name, one.text) == (made.NAME, made.BODY)


OWN_WORDS = {
    "log": "The worker died. Here is what it said:\n\n2026-09-03 14:14:30 ERROR worker[12]: user ann@example.org: connection reset:\n2026-09-03 14:14:31 INFO worker[12]: retry in 5 s\n2026-09-03 14:14:36 ERROR worker[12]: gave up\n\nAny idea?\n",
    "log with from and to": "Postfix says\n\nSep  3 14:14:30 mx postfix/qmgr[12]: 3A: from=<ann@example.org>, size=12\nSep  3 14:14:30 mx postfix/smtp[13]: 3A: to=<bob@example.net>, relay=none, status=deferred\n\nwhat now?\n",
    "headers cited": "The bounce has these headers:\n\nReturn-Path: <ann@example.org>\nReceived: from mx.example.org by mx.example.net; Thu, 3 Sep 2026 14:14:30 +0200\nMessage-ID: <a1@example.org>\nX-Spam-Score: 3.2\n\nIs the score too high?\n",
    "python": "Try this:\n\n>>> import mail\n>>> mail.parse(b'')\nMessage()\n\nIt works here.\n",
    "sql": "Run it:\n\nSQL> select 1 from dual;\n\n         1\n\nSQL> exit\n\nand tell me.\n",
    "mysql": "mysql> show tables;\n+------+\n| name |\n+------+\n| a    |\n| b    |\n+------+\n2 rows in set\n\nThat is all.\n",
    "table": "Figures:\n\n| name | sum |\n|------|-----|\n| Ann  | 12  |\n| Bob  | 13  |\n\nSee you\n",
    "tree": "The tree:\n\n.\n|-- src\n|   |-- a.py\n|   `-- b.py\n`-- tests\n\nok?\n",
    "pipes": "Do\n\n  cat log \\\n  | grep error \\\n  | sort \\\n  | uniq -c\n\nand send it.\n",
    "shell": "$ cat <<EOF > /etc/motd\n# Header of the file\n# More of it\nEOF\n\nThen reboot.\n",
    "config": "My config:\n\n# the server\n# and its port\nserver: mx.example.org\nport: 25\nuser: ann@example.org\n\nIt fails.\n",
    "yaml": "from: ann@example.org\nto: bob@example.net\nevery: 5 min\n\nThis is the job's YAML.\n",
    "poem": "He wrote:\n\nRoses are red,\nviolets are blue.\n\nNot his best.\n",
    "minutes": "Minutes of 3 September 2026, 14:00:\n\nPresent: Ann, Bob\nAbsent: Eve\n\n1. Plan\n",
    "appointment": "When: Thursday, 3 September 2026 14:14\nWhere: Room 3\nWho: Ann <ann@example.org>\n\nPlease come.\n",
    "contact": "Name: Ann Lee\nEmail: ann@example.org\nPhone: +00 555 123\nDate: 3.9.2026\nMessage: I would like to know more.\n",
    "form": "You got a new request.\n\nName: Ann Lee\nEmail: ann@example.org\nSubject: Plan\nMessage: hello there\n",
    "commit": "It was this one:\n\ncommit 0123456789abcdef0123456789abcdef01234567\nMerge: 1111111 2222222\nAuthor: Ann Lee <ann@example.org>\nDate:   Thu Sep 3 14:14:30 2026 +0200\n\n    Fix the plan\n\nCan you revert it?\n",
    "patch": "Here it is.\n\nFrom 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: Ann Lee <ann@example.org>\nDate: Thu, 3 Sep 2026 14:14:30 +0200\nSubject: [PATCH] plan: fix it\n\nIt was wrong.\n---\n a | 2 +-\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n",
    "changelog": "New release.\n\n2026-09-03  Ann Lee  <ann@example.org>\n\n\t* a.c (main): fix.\n\nEnjoy.\n",
    "list of people": "Write to\n\nAnn Lee <ann@example.org>\nBob Ray <bob@example.net>\n\nby 3.9.2026, 14:00:\n\nthey know.\n",
    "ps": "All done.\n\nP.S.: the meeting on 3.9.2026 at 14:14 is off: tell ann@example.org:\n\nThanks\n",
    "rules": "Agenda\n======\n\n-- 3 Sep 2026 14:14 meeting with ann@example.org\n-- 4 Sep 2026 10:00 lunch\n\n----\n\nSee you.\n",
    "above": "Please look above this line of code and tell me.\n\nThe rest is below.\n",
    "ticket at top": "##- Please type your reply above this line -##\n\nYour request (12) has been updated.\n",
    "colons": "Steps:\n: first do this\n: then that\n\nDone.\n",
    "definition": "Terms:\n\n% is a percent\n$ is a dollar\n\nOk.\n",
    "emphasis": "*Note:* the plan\n*Date:* 3.9.2026 14:14\n*Place:* Room 3\n\nSee you\n",
    "money": "On 3 Sep 2026 we paid 12.30 to bob@example.net for:\n\nbread\nmilk\n\nok?\n",
    "chat": "Ann> are you there\n\nBob> yes\n\nThat was the chat.\n",
    "two colons": "From what I know: nothing.\nTo be fair: it is new.\nSubject to change: all.\n\nBye\n",
    "dates below": 'Dates:\n\n03.09.2026, 14:14, "Room 3"\n04.09.2026, 10:00, "Room 4":\n\nok\n',
    "json": '{\n "from": "ann@example.org",\n "date": "2026-09-03T14:14:30",\n "to": "bob@example.net"\n}\n\nThis is what it sends.\n',
}


@pytest.mark.parametrize("name", OWN_WORDS)
def test_an_authors_own_words_are_left_to_him(name):
    text = OWN_WORDS[name]
    assert {s.kind for s in parts(text)} <= {*SIGNED, "disclaimer"}


def test_an_attribution_without_signs_reaches_over_what_is_quoted_in_it():
    line = f"On Mon, Mar 4, 2026 at 8:11 PM {made.PERSON} wrote:"
    inner = "On Sun, Mar 3, 2026 at 7:10 PM Bob Ray <bob@example.net> wrote:\n> older words"
    text = f"Mine.\n\n{line}\n\nold words\n\n{inner}\n"
    assert signed(text).strip() == "Mine."
    assert [(n.path, n.from_[0].name) for n in inline(text, parts(text))] == [("1", "Ann Lee"), ("1.1", "Bob Ray")]
    greeted = f"{line}\n\nHi Ann,\n\n{made.quoted(inner)}\n\nMy answer.\n"
    assert signed(greeted).split() == ["Hi", "Ann,", "My", "answer."]


def test_an_address_on_a_line_of_its_own_opens_nothing():
    line = f"czw., 3 wrz 2026 o 14:14 {made.NAME} <\ndana.lee75@example.org> napisał(a):"
    text = f"{MINE}\n\n{line}\n{made.quoted(made.BODY)}\n"
    assert signed(text).strip() == MINE


def test_a_card_above_a_quote_introduces_nothing():
    card = "Ann Lee\nT +00 555 02 54 | M +00 55 02 00\nann.lee@example.org"
    assert "attribution" not in {s.kind for s in parts(f"{MINE}\n\n{card}\n\n{made.quoted(made.BODY)}\n")}


def test_an_attribution_glued_to_what_it_introduces():
    text = f"Yes.\n\n  On Thu, Sep 3, 2026 at 2:14 PM, {made.NAME}<{made.ADDRESS}> wrote:   old words\nmore\n"
    assert [(s.kind, text[s.start : s.end].strip()[:9]) for s in parts(text)][1:] == [
        ("attribution", "On Thu, S"),
        ("quote", "old words"),
    ]
    (one,) = inline(text, parts(text))
    assert one.text.split() == ["old", "words", "more"]


@pytest.mark.parametrize(
    ("labels", "kind"),
    [(("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"), "quote"), (("Fra", "Sendt", "Til", "Emne"), "forward")],
)
def test_vs_is_a_reply_in_finnish_and_a_forward_in_danish(labels, kind):
    values = (made.PERSON, "3.9.2026 14:14", "Bob", "Plan")
    head = "\n".join(f"{a}: {b}" for a, b in zip(labels, values, strict=True))
    assert parts(f"Hi\n\n{head}\n\nold\n", "VS: Plan")[-1].kind == kind


def test_deeper_heads_are_what_the_subject_around_them_says():
    head = "From: {}\nSent: Thursday, September 3, 2026 2:14 PM\nTo: Bob\nSubject: {}\n\n"
    text = f"See.\n\n{head.format(made.PERSON, 'RE: Plan')}old\n\n{head.format('Bob <bob@example.net>', 'Plan')}older\n"
    assert [n.kind for n in inline(text, parts(text, "FW: Plan"), subject="FW: Plan")] == ["forwarded", "quoted"]


def test_heads_of_unknown_labels_are_read_by_their_values():
    head = made.headed("ka")["outlook"]
    text = f"Mine.\n\n{head}\n"
    (one,) = inline(text, parts(text))
    assert (one.from_[0].name, one.from_[0].address, one.to[0].address) == (made.NAME, made.ADDRESS, "bob@example.net")
    assert (one.date.text, one.subject, one.text) == ("3. 9. 2026 14:14", "Plan", made.BODY)


MAILMAN = """Send Plan mailing list submissions to
	plan@lists.example.org

When replying, please edit your Subject line so it is more specific
than "Re: Contents of Plan digest..."


Today's Topics:

   1. First (Ann Lee)
   2. Re: First (Bob Ray)


----------------------------------------------------------------------

Message: 1
Date: Thu, 3 Sep 2026 14:14:30 +0200
From: Ann Lee <ann@example.org>
To: plan@lists.example.org
Subject: [Plan] First
Message-ID: <a1@example.org>
Content-Type: text/plain; charset=us-ascii

Hello all,

this is it.


------------------------------

Message: 2
Date: Thu, 3 Sep 2026 15:14:30 +0200
From: Bob Ray <bob@example.net>
To: Ann Lee <ann@example.org>
Cc: plan@lists.example.org
Subject: Re: [Plan] First
Message-ID: <a2@example.net>

On Thu, 3 Sep 2026, Ann Lee wrote:
> this is it.

Fine.


------------------------------

Subject: Digest Footer

_______________________________________________
Plan mailing list
Plan@lists.example.org
https://lists.example.org/listinfo/plan


------------------------------

End of Plan Digest, Vol 1, Issue 2
**********************************
"""

GOOGLE = """=============================================================================
TOPIC: Plan
http://groups.example.com/t/1
=============================================================================

== 1 of 2 ==
Date: Thurs, Sep 3 2026 2:14 pm
From: Ann Lee


hello

== 2 of 2 ==
Date: Thurs, Sep 3 2026 3:14 pm
From: "Bob" <bob@example.net>


bye
"""


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            MAILMAN,
            [("1", "Ann Lee", "Hello all,\n\nthis is it."), ("2", "Bob Ray", "On Thu, 3 Sep 2026, Ann Lee wrote:")],
        ),
        (GOOGLE, [("1", "Ann Lee", "hello"), ("2", "Bob", "bye")]),
    ],
)
def test_each_message_of_a_digest_is_one(text, want):
    found = [n for n in inline(text, parts(text, "Plan Digest")) if n.kind == "forwarded"]
    assert [(n.path, n.from_[0].name) for n in found] == [x[:2] for x in want]
    assert all(n.text.startswith(x[2]) for n, x in zip(found, want, strict=True))


HOSTILE = {
    "colons with signs": "a:\n| b\n",
    "signs": ": \n",
    "initials": "AL> x\n",
    "bars": "| a line that is long enough to be one\n",
    "dates": "2026/9/3 Ann <a@b.example>\n",
    "glued": "On 3 May 2026 10:00 a@b.example wrote: x\n",
    "tables": "3.9.2026 14:14\n\nTo: a\ncc: b\n",
    "digest": "-" * 30 + "\n\nFrom: a <a@b.example>\nDate: 3.9.2026 14:14\nSubject: x\n\ny\n\n",
    "counted": "== 1 of 2 ==\nFrom: a\nDate: 3.9.2026 14:14\n\n",
    "above": "reply above this line\n",
    "indented": "  On 3 May 2026 10:00 a@b.example wrote:\nx\n",
    "prompts": ">>> a\n",
    "notes": "a ---3.9.2026---b\nTo: x\n",
    "spaced": "Vonn: a@b.example\n\nZeit: 3.9.2026 14:14\n\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("tail", ["", "\n> end\n"])
def test_twice_the_text_is_twice_the_work(name, tail):
    unit = HOSTILE[name]
    linear(cut, lambda n: unit * n + tail, 8_000 // len(unit))
