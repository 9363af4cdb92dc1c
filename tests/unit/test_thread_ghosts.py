"""Missing mail, recovered from its quotes: who, when and what, from how many copies; and what is here is no ghost."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.identity import identify
from mailloom.mail.model import Address, Date, MessageId, Record
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import scan
from mailloom.ports import Soft
from mailloom.thread.evidence import evidence
from mailloom.thread.ghosts import MAX_COPIES, recover
from mailloom.thread.patchwork import patched
from mailloom.thread.speaker import same_person, same_time
from mailloom.thread.tree import Twig

ANN = "On Mon, 3 Jun 2024 at 09:15:00 +0000, Ann Lee <ann@example.org> wrote:"
ANN_THERE = "On Mon, 3 Jun 2024 at 11:15:00 +0200, Ann Lee <ann@example.org> wrote:"
DORA = "On Mon, 3 Jun 2024 at 08:00:00 +0000, Dora Kim <dora@example.com> wrote:"
ASKED = "Shall we move the meeting to Thursday at ten o'clock?"
ROOM = "The big room on the second floor is free then."
BOTH = f"{ASKED}\n{ROOM}"


def quoted(text: str, head: str = ANN) -> str:
    return head + "\n" + "\n".join(f"> {line}".rstrip() for line in text.split("\n")) + "\n"


def mail(
    name: str,
    text: str,
    *head: str,
    hour: int = 12,
    sender: str = "Bob <bob@example.net>",
    content: str = "text/plain; charset=utf-8",
) -> Record:
    fields = [
        f"From: {sender}",
        "To: team@example.org",
        "Subject: Re: the meeting",
        f"Date: Mon, 3 Jun 2024 {hour:02}:{sum(name.encode()) % 60:02}:00 +0000",
        f"Message-ID: <{name}@example.org>",
        f"Content-Type: {content}",
        *head,
    ]
    mime = scan(("\n".join(fields) + "\n\n" + text + "\n").encode())
    return identify(mime, message(mime))


def forest(*records: Record, soft: tuple[Soft, ...] = ()) -> list[Twig]:
    by_id = {r.id: r for r in records}
    return recover([evidence(r) for r in records], soft, by_id.__getitem__)


def drawn(twigs: list[Twig], names: dict[MessageId, str]) -> list[str]:
    lines = []
    todo = [(twig, 0) for twig in reversed(twigs)]
    while todo:
        twig, level = todo.pop()
        label = names[twig.message] if twig.message is not None else f"({twig.cited})"
        lines.append("-" * level + label)
        todo += [(child, level + 1) for child in reversed(twig.children)]
    return lines


REPLY_TO = "In-Reply-To: <lost@example.org>"


def test_a_ghost_says_who_when_and_what():
    (ghost,) = forest(mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO))
    assert ghost.cited == "lost@example.org"
    known = ghost.known
    assert [(a.name, a.key) for a in known.from_] == [("Ann Lee", "ann@example.org")]
    assert known.date.ms == 1717406100000
    assert known.text == ASKED
    assert [q.path for q in known.quotes] == ["1"]
    assert known.others == ()
    assert not known.exact


def test_the_span_of_a_quote_is_where_it_stands_in_its_carrier():
    record = mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO)
    (ghost,) = forest(record)
    (quote,) = ghost.known.quotes
    assert quote.carrier == record.id
    assert record.message.text[quote.start : quote.end].strip() == quoted(ASKED).strip()


def test_parts_that_several_quote_become_one_text_in_its_order_whatever_came_first():
    one = mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO)
    other = mail("c", f"Fine.\n\n{quoted(ROOM, ANN_THERE)}", REPLY_TO)
    both = mail("d", f"Good.\n\n{quoted(BOTH, ANN_THERE)}", REPLY_TO)
    coffee = f"{ROOM}\nBring your own coffee, please."
    third = mail("e", f"Hm.\n\n{quoted(coffee)}", REPLY_TO)
    for order in permutations([one, other, both, third]):
        (ghost,) = forest(*order)
        assert ghost.known.text == f"{ASKED}\n{ROOM}\nBring your own coffee, please."
        assert len(ghost.known.quotes) == 4
        assert [ghost.known.quotes[p.quote].carrier for p in ghost.known.pieces] == [both.id, third.id]


def test_a_quote_that_says_other_is_told_and_not_mixed_in():
    true = [mail(name, f"Yes.\n\n{quoted(ASKED)}", REPLY_TO) for name in "bc"]
    odd = mail(
        "d", f"No.\n\n{quoted('Something that somebody else wrote, and a good deal longer than it.', DORA)}", REPLY_TO
    )
    (ghost,) = forest(*true, odd)
    assert ghost.known.text == ASKED
    assert {q.carrier for q in ghost.known.quotes} == {r.id for r in true}
    assert [q.carrier for q in ghost.known.others] == [odd.id]


@pytest.mark.parametrize(
    "head",
    [
        ANN.replace("09:15", "09:30"),
        ANN.replace("Mon, 3 Jun", "Sun, 2 Jun"),
        ANN.replace("Ann Lee", "Dora Kim").replace("ann@example.org", "dora@example.com"),
    ],
)
def test_another_time_or_another_person_is_another_mail(head):
    true = [mail(name, f"Yes.\n\n{quoted(ASKED)}", REPLY_TO) for name in "bc"]
    odd = mail("d", f"No.\n\n{quoted(BOTH, head)}", REPLY_TO)
    (ghost,) = forest(*true, odd)
    assert ghost.known.text == ASKED
    assert [q.carrier for q in ghost.known.others] == [odd.id]
    one, other = mail("b", f"Yes.\n\n{quoted(ASKED)}"), mail("c", f"No.\n\n{quoted(ASKED, head)}")
    assert len(forest(one, other)) == 2, "nor do they meet without an id"


def test_who_answers_a_ghost_is_not_that_ghost():
    one = mail("b", BOTH, REPLY_TO, sender="Ann Lee <ann@example.org>")
    at = f"On Mon, 3 Jun 2024 at 12:{one.message.date.ms // 60000 % 60:02}:00 +0000, Ann Lee <ann@example.org> wrote:"
    other = mail("c", f"Yes.\n\n{quoted(BOTH, at)}", REPLY_TO, hour=13)
    (ghost,) = forest(one, other)
    assert [twig.message for twig in ghost.children] == [one.id, other.id]
    assert ghost.known is None


def test_a_second_quote_beside_the_first_is_not_what_was_before_it():
    beside = quoted(f"Right.\n\n{quoted('Who books a room for Thursday?', DORA)}", ANN.replace("09:15", "08:45"))
    record = mail(
        "b", f"Yes.\n\n{quoted(ASKED)}\nAnd this:\n\n{beside}", "References: <first@example.org> <lost@example.org>"
    )
    assert [n.path for n in record.message.nested] == ["1", "2", "2.1"]
    (first,) = forest(record)
    assert first.known is None
    assert first.children[0].known.text == ASKED


def test_a_chain_of_ghosts_is_filled_by_the_quotes_inside_quotes():
    inner = f"{ASKED}\n\n{quoted('Who books a room for Thursday?', DORA)}"
    record = mail("b", f"Yes.\n\n{quoted(inner)}", "References: <first@example.org> <lost@example.org>")
    (first,) = forest(record)
    (second,) = first.children
    assert (first.cited, first.known.from_[0].name, first.known.text) == ("first@example.org", "Dora Kim", "Who books a room for Thursday?")  # fmt: skip
    assert (second.cited, second.known.from_[0].name, second.known.text) == ("lost@example.org", "Ann Lee", ASKED)


def test_an_attached_mail_with_the_missing_id_fills_it_exactly():
    inner = f"From: Ann Lee <ann@example.org>\nSubject: the meeting\nDate: Mon, 3 Jun 2024 09:15:00 +0000\nMessage-ID: <lost@example.org>\n\n{BOTH}\n"
    parts = f"--b\nContent-Type: text/plain\n\nSee below.\n\n{quoted(ASKED)}\n--b\nContent-Type: message/rfc822\n\n{inner}\n--b--"
    carrier = mail("b", parts, REPLY_TO, content="multipart/mixed; boundary=b")
    longer = mail(
        "c", f"Well.\n\n{quoted('Quite a different thing it is, and a longer one, by Dora. ' * 3, DORA)}", REPLY_TO
    )
    (ghost,) = forest(carrier, longer)
    assert ghost.known.exact
    assert ghost.known.text == BOTH
    assert ghost.known.subject == "the meeting"
    assert [q.carrier for q in ghost.known.others] == [longer.id]
    more = mail("d", f"Well.\n\n{quoted(f'{BOTH} And on Friday as well.')}", REPLY_TO)
    (ghost,) = forest(carrier, more)
    assert ghost.known.exact
    assert ghost.known.quotes[0].carrier == carrier.id


def test_a_quote_without_a_head_gives_its_text_alone():
    (ghost,) = forest(mail("b", f"> {ASKED}\n\nYes.", REPLY_TO))
    assert ghost.known.text == ASKED
    assert ghost.known.from_ == ()
    assert ghost.known.date.ms is None


def test_a_ghost_that_nobody_quotes_is_unknown():
    (ghost,) = forest(mail("b", "Yes.", REPLY_TO))
    assert ghost.ghost
    assert ghost.known is None


def test_a_mail_that_is_here_under_another_id_is_no_ghost():
    real = mail("real", BOTH, hour=9, sender="Ann Lee <ann@example.org>")
    head = real.message.date
    at = f"On Mon, 3 Jun 2024 at 09:{head.ms // 60000 % 60:02}:00 +0000, Ann Lee <ann@example.org> wrote:"
    reply = mail("b", f"Yes.\n\n{quoted(ASKED, at)}", REPLY_TO)
    for order in ((real, reply), (reply, real)):
        twigs = forest(*order)
        assert drawn(twigs, {real.id: "real", reply.id: "reply"}) == ["real", "-reply"]


def test_without_a_zone_a_mail_that_is_here_must_share_words():
    real = mail("real", BOTH, hour=9, sender="Ann Lee <ann@example.org>")
    at = f"On Mon, 3 Jun 2024 at 11:{real.message.date.ms // 60000 % 60:02}, Ann Lee <ann@example.org> wrote:"
    same = mail("b", f"Yes.\n\n{quoted(ASKED, at)}", REPLY_TO)
    other = mail("c", f"No.\n\n{quoted('We need nothing but a slower horse and some hay.', at)}", REPLY_TO)
    assert drawn(forest(real, same), {real.id: "real", same.id: "reply"}) == ["real", "-reply"]
    assert drawn(forest(real, other), {real.id: "real", other.id: "reply"}) == ["real", "(lost@example.org)", "-reply"]


def test_a_mail_sent_a_minute_before_its_quote_says_is_here_if_its_words_are() -> None:
    """Outlook rounds to the nearest minute."""
    real = mail("real", BOTH, hour=9, sender="Ann Lee <ann@example.org>")
    minute = real.message.date.ms // 60000 % 60 + 1
    at = f"On Mon, 3 Jun 2024 at 09:{minute:02}:00 +0000, Ann Lee <ann@example.org> wrote:"
    for text, here in ((ASKED, True), ("We need nothing but a slower horse and some hay.", False)):
        twigs = forest(real, mail("b", f"Yes.\n\n{quoted(text, at)}", REPLY_TO))
        assert (len(twigs) == 1 and not twigs[0].ghost and not twigs[0].children[0].ghost) == here


def test_replies_without_headers_hang_below_one_ghost_of_what_they_quote():
    one = mail("b", f"Yes.\n\n{quoted(ASKED)}")
    other = mail("c", f"No.\n\n{quoted(BOTH, ANN_THERE)}", sender="Cy <cy@example.com>")
    for order in ((one, other), (other, one)):
        (ghost,) = forest(*order)
        assert ghost.cited == ""
        assert {twig.message for twig in ghost.children} == {one.id, other.id}
        assert ghost.known.text == BOTH
        assert len(ghost.known.quotes) == 2


def test_a_reply_without_headers_joins_the_ghost_that_others_cite():
    cites = mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO)
    lost = mail("c", f"No.\n\n{quoted(ASKED, ANN_THERE)}")
    for order in ((cites, lost), (lost, cites)):
        (ghost,) = forest(*order)
        assert ghost.cited == "lost@example.org"
        assert {twig.message for twig in ghost.children} == {cites.id, lost.id}


def test_quotes_of_other_words_without_a_zone_are_two_ghosts():
    at = "On Mon, 3 Jun 2024 at 11:15, Ann Lee wrote:"
    one, other = mail("b", f"Yes.\n\n{quoted(ASKED, at)}"), mail("c", f"No.\n\n{quoted(ROOM, at)}")
    assert len(forest(one, other)) == 2


def test_a_lost_mail_stands_between_a_reply_and_what_it_hangs_on_softly():
    root = mail("root", "Who books a room for Thursday?", hour=8, sender="Dora Kim <dora@example.com>")
    reply = mail("b", f"Yes.\n\n{quoted(ASKED)}")
    soft = (Soft(reply.id, root.id, True, "subject", 1000),)
    assert drawn(forest(root, reply, soft=soft), {root.id: "root", reply.id: "reply"}) == ["root", "-()", "--reply"]


def test_what_is_forwarded_makes_no_ghost():
    text = f"FYI\n\n-------- Forwarded Message --------\nFrom: Ann Lee <ann@example.org>\nDate: Mon, 3 Jun 2024 09:15:00 +0000\nSubject: x\nTo: b@example.net\n\n{ASKED}"
    record = mail("b", text)
    assert record.message.nested[0].kind == "forwarded"
    assert [twig.ghost for twig in forest(record)] == [False]


def test_nobody_answers_what_was_not_written_yet():
    late = "On Mon, 10 Jun 2024 at 09:15:00 +0000, Ann Lee <ann@example.org> wrote:"
    (ghost,) = forest(mail("b", f"Yes.\n\n{quoted(ASKED, late)}", REPLY_TO))
    assert ghost.known is None or ghost.known.date.ms is None


def test_only_carriers_are_loaded_and_of_each_ghost_only_some():
    root = mail("root", "Hello.", hour=8)
    plain = [mail(f"p{n}", f"Yes, {n}.", "In-Reply-To: <root@example.org>") for n in range(50)]
    many = [mail(f"m{n}", f"Yes, {n}.\n\n{quoted(ASKED)}", REPLY_TO) for n in range(100)]
    by_id = {r.id: r for r in (root, *plain, *many)}
    loaded = []

    def load(name: MessageId) -> Record:
        loaded.append(name)
        return by_id[name]

    recover([evidence(r) for r in by_id.values()], (), load)
    assert len(loaded) == MAX_COPIES + 1  # and the root, which cites nothing
    assert not {r.id for r in plain} & set(loaded)


@pytest.mark.parametrize(
    ("copies", "want"),
    [
        (["a b c", "a b c"], "a b c"),
        (["one\ntwo\nthree", "three\nfour"], "one\ntwo\nthree\nfour"),
        (["one\ntwo\nthree", "zero\none"], "zero\none\ntwo\nthree"),
        (["one\nthree\nfive", "one\ntwo\nthree\n[...]\nfour\nfive"], "one\ntwo\nthree\n\nfour\nfive"),
        (["the whole line folded\nat another place", "the whole\nline folded at\nanother place"], "the whole line folded\nat another place"),
        (["a line that is folded\nhere\nend", "a line that is folded here\nnew words\nend"], "a line that is folded\nhere\nnew words\nend"),
        (["one\ntwo", "one\n<snip>\ntwo"], "one\ntwo"),
        (["> kept as it is", "kept as it is"], "> kept as it is"),
        (["the price is ten euros today", "the price is 9 euros today"], "the price is ten euros today"),
    ],
)  # fmt: skip
def test_patched(copies, want):
    assert patched(copies)[0] == want


LINES = st.lists(st.sampled_from([f"line {n} says {n * 7} things" for n in range(12)]), min_size=1, unique=True)


@given(st.lists(LINES, min_size=1, max_size=5))
def test_pieces_are_what_their_copies_say_and_nothing_is_lost(lists):
    copies = ["\n".join(lines) for lines in lists]
    text, pieces = patched(copies)
    assert set(text.split("\n")) - {""} == {line for lines in lists for line in lines}
    assert len(text.split("\n")) == len(set(text.split("\n")))
    for piece in pieces:
        assert set(text[piece.start : piece.end].split("\n")) <= set(lists[piece.quote])
    assert sum(p.end - p.start for p in pieces) + max(0, len(pieces) - 1) == len(text)


def test_copies_of_one_mail_are_one_witness():
    copies = [mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO), mail("b", f"Yes.\n\n{quoted(ASKED)}", REPLY_TO, "References: <lost@example.org>")]  # fmt: skip
    assert len({r.id for r in copies}) == 2
    assert len({r.twin for r in copies}) == 1
    (ghost,) = forest(*copies)
    assert len(ghost.children) == 2
    assert len(ghost.known.quotes) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann Lee <>", "Lee, Ann <>", True),
        ("Ann B. Lee/HQ/ACME@ACME <>", "<ann.lee@example.org>", True),
        ("<ann.lee@example.org>", "Ann <ann.lee@example.org>", True),
        ("Ann Lee <a@example.org>", "Ann Lee <ann@example.com>", True),
        ("Ann Lee via Pumps <pumps@example.org>", "Ann Lee <ann@example.com>", True),
        ("Lee, Ann (HR) <ann@example.org>", "Ann Lee <>", True),
        ("Ann Lee via Pumps <pumps@example.org>", "Bo Ray via Pumps <>", False),
        ("Ann <a@example.org>", "Ann Lee <b@example.org>", False),
        ("<ann@example.org>", "<ann@example.com>", False),
        ("A. Lee <>", "B. Lee <>", False),
        ("Ann Lee <>", "Ann Kim <>", False),
        ("Robot 1 <robot.01@example.org>", "Robot 2 <robot.02@example.org>", False),
    ],
)
def test_people_are_the_same_by_address_or_by_the_words_of_their_name(one, other, same):
    def address(text):
        name, _, written = text.partition("<")
        return (Address(name.strip(), written.strip(">"), written.strip(">")),)

    assert same_person(address(one), address(other)) == same


def test_many_mails_of_one_minute_are_no_reason_to_load_them_all():
    crowd = [mail("b", f"Number {n} says so.", f"X-Number: {n}", "Message-ID: <crowd@example.org>") for n in range(3)]
    many = [mail(f"m{n}", f"Yes, {n}.\n\n{quoted(f'{ASKED} Or number {n}?', ANN)}", f"In-Reply-To: <lost{n}@example.org>") for n in range(60)]  # fmt: skip
    by_id = {r.id: r for r in (*crowd, *many)}
    loads = 0

    def load(name: MessageId) -> Record:
        nonlocal loads
        loads += 1
        return by_id[name]

    recover([evidence(r) for r in by_id.values()], (), load)
    assert loads <= 2 * len(by_id)


@pytest.mark.parametrize(
    ("one", "zone", "other", "other_zone", "same"),
    [
        ("2024-06-03 09:15:20", 0, "2024-06-03 09:15:50", 0, True),
        ("2024-06-03 09:15", 0, "2024-06-03 09:16", 0, True),
        ("2024-06-03 09:15", 0, "2024-06-03 09:17", 0, False),
        ("2024-06-03 09:15", 0, "2024-06-03 11:15", 0, False),
        ("2024-06-03 09:15", 0, "2024-06-03 11:15", None, True),
        ("2024-06-03 09:15", None, "2024-06-03 14:45", None, True),
        ("2024-06-03 09:15", None, "2024-06-03 11:16", None, True),
        ("2024-06-03 09:15", None, "2024-06-03 11:14", None, True),
        ("2024-06-03 09:15", None, "2024-06-03 11:17", None, False),
        ("2024-06-03 09:15", None, "2024-06-04 09:15", None, False),
        ("2024-06-03 09:17", 0, "2024-06-03 00:00", None, True),
        ("2024-06-03 09:17", 0, "2024-06-05 00:00", None, False),
    ],
)
def test_times_agree_as_far_as_zones_are_stated(one, zone, other, other_zone, same):
    def date(text, minutes):
        return Date(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000), minutes, text)

    assert same_time(date(one, zone), date(other, other_zone)) == same
    assert same_time(date(other, other_zone), date(one, zone)) == same
    assert same_time(date(one, zone), Date(None, None, ""))
