"""Mail without reply headers finds its thread by what it says: who wrote when, quoted words, siblings, subject, series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zlib import crc32

import pytest

from mailloom.mail.identity import identify
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import scan
from mailloom.ports import Stated, Target
from mailloom.thread.batch import derive
from mailloom.thread.clues import MAX_INSIDE, OWN_ANCHORS, REPLY_SPAN, SPAN, SUBJECT_DAYS
from mailloom.thread.encoding import dump_stated, load_stated
from mailloom.thread.evidence import evidence

OFFER = """The new pump arrives on Friday with the truck from the north, so please clear the yard before noon
and tell the gate that the driver has no papers yet. He will bring them on his second tour in the week after."""
OTHER = """For the picnic we need somebody who brings two tables and a large tent, as the weather report is bad
and last year half of us sat in the car until the children had enough of it and wanted to go home again."""
BOUNDARY = "=_part"


def mail(
    text: str,
    *,
    who: str = "Bob Brown <bob@example.net>",
    at: str = "Tue, 4 Jun 2024 12:00:00 +0000",
    subject: str = "",
    to: str = "team@example.org",
    more: str = "",
) -> Stated:
    """What a mail with this text states; it has no ids but its own."""
    number = crc32(repr((text, who, at, subject, to, more)).encode())
    head = f"From: {who}\nTo: {to}\nDate: {at}\nSubject: {subject}\nMessage-ID: <{number}@example.org>\n{more}\n"
    return read(head + text + "\n")


def read(raw: str) -> Stated:
    mime = scan(raw.encode())
    return evidence(identify(mime, message(mime)))


def quoting(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def link(source: Stated, *others: Stated) -> Target | None:
    """The soft link of a mail among others."""
    targets = derive([source, *others])[1][source.message]
    return targets[0] if targets else None


ANN = "Ann Archer <ann@example.org>"
ROOT = mail(OFFER, who=ANN, at="Tue, 4 Jun 2024 09:15:30 +0200", subject="Pump")


# ------------------------------------------------------------------------------------------------ who wrote when
@pytest.mark.parametrize(
    ("head", "zone"),
    [
        ("On Tue, 4 Jun 2024 09:15:30 +0200, Ann Archer wrote:", "+0000"),
        ("On Tue, 4 Jun 2024 07:15:30 +0000, Ann Archer <ann@example.org> wrote:", "+0000"),
        ("On Tue, 4 Jun 2024 at 09:15, Ann Archer wrote:", "+0000"),  # the writer's clock
        ("On Tue, 4 Jun 2024 at 09:16, Ann Archer wrote:", "+0000"),  # rounded, as it was sent at 09:15:30
        ("On Tue, 4 Jun 2024 at 02:15, Ann Archer wrote:", "-0500"),  # the clock of whoever answers
        ("On Tue, 4 Jun 2024 at 07:15, Ann Archer wrote:", "-0500"),  # UTC
        ("Am 04.06.2024 um 09:15 schrieb Ann Archer:", "+0000"),
        ("Le mar. 4 juin 2024 à 09:15, Ann Archer <ann@example.org> a écrit :", "+0000"),
        ("On Tue, 4 Jun 2024 at 09:15, ann@example.org wrote:", "+0000"),
    ],
)
def test_a_quotes_head_names_sender_and_minute(head: str, zone: str) -> None:
    reply = mail(f"Yes.\n\n{head}\n> Thanks.\n", at=f"Tue, 4 Jun 2024 11:00:00 {zone}", subject="Re: else")
    found = link(reply, ROOT)
    assert found is not None
    assert (found.target, found.kind) == (ROOT.message, "wrote")
    assert "Ann" in found.detail or "ann" in found.detail


@pytest.mark.parametrize(
    "head",
    [
        "On Tue, 4 Jun 2024 at 09:17, Ann Archer wrote:",  # another minute
        "On Tue, 4 Jun 2024 at 09:14, Ann Archer wrote:",  # the minute before it was sent
        "On Tue, 4 Jun 2024 at 09:15, Carl Cook wrote:",  # another person
        "On Wed, 5 Jun 2024 at 09:15, Ann Archer wrote:",  # a day after, and after this mail
        "On Tue, 4 Jun 2024 09:15:30 +0000, Ann Archer wrote:",  # another zone, and it says so
        "On Tue, 4 Jun 2024 at 20:15, Ann Archer wrote:",  # some zone's, but nobody's here: not enough alone
        "Ann Archer wrote:",
    ],
)
def test_another_minute_or_person_is_another_mail(head: str) -> None:
    reply = mail(f"Yes.\n\n{head}\n> Thanks.\n", at="Tue, 4 Jun 2024 11:00:00 +0000", subject="Re: else")
    assert link(reply, ROOT) is None


@pytest.mark.parametrize(
    "shown",
    [
        "Archer, Ann",
        "ann archer",
        "Ann B. Archer",
        '"Ann Archer"',
        "Archer, Ann (HR)",
        "'Ann Archer' via Pumps",
        "Ann Archer/LON/ACME@ACME",
        "Ann Archer@ACME",
    ],
)
def test_a_name_is_the_same_in_any_order_and_case(shown: str) -> None:
    reply = mail(
        f"Yes.\n\n-----Original Message-----\nFrom: {shown}\nSent: Tuesday, June 4, 2024 9:15 AM\nSubject: x\n\nThanks.\n",
        subject="RE: else",
    )
    found = link(reply, ROOT)
    assert found is not None
    assert found.target == ROOT.message


def test_a_time_after_the_mails_own_is_misread_and_left_out() -> None:
    reply = mail("Yes.\n\nOn Tue, 4 Jun 2030 at 09:15, Ann Archer wrote:\n> Thanks.\n", subject="Re: else")
    assert not [ask for ask in reply.asks if ask.kind.startswith("wrote")]


# ------------------------------------------------------------------------------------------------ quoted words
def test_quoted_words_are_found_in_the_mail_that_said_them() -> None:
    reply = mail(f"Will do.\n\n{quoting(OFFER)}\n", subject="Re: something else")
    decoy = mail(OTHER, who=ANN, subject="Picnic")
    found = link(reply, ROOT, decoy)
    assert found is not None
    assert (found.target, found.kind) == (ROOT.message, "text")


def test_words_that_were_only_quoted_are_not_the_quoters_own() -> None:
    """A reply that quotes the reply belongs to what that said, not to whoever else quoted the beginning."""
    first = mail(f"{OTHER}\n\n{quoting(OFFER)}\n", at="Tue, 4 Jun 2024 13:00:00 +0000", subject="Re: a")
    second = mail(f"Fine.\n\n{quoting(OFFER)}\n", at="Tue, 4 Jun 2024 14:00:00 +0000", subject="Re: b")
    found = link(second, first, ROOT)
    assert found is not None
    assert found.target == ROOT.message
    assert link(second, first) is None


def test_a_phrase_that_many_share_joins_nobody() -> None:
    legal = "This message is meant for whom it names and nobody else may read or keep it without leave"
    owners = [mail(f"{legal}\n", who=f"P{n} Smith <p{n}@example.org>", subject=f"s{n}") for n in range(15)]
    reply = mail(f"Fine.\n\n{quoting(legal)}\n", subject="Re: unlike any")
    assert link(reply, *owners[:3]) is not None
    assert link(reply, *owners) is None


def test_mail_that_is_no_reply_needs_more_than_words() -> None:
    copied = mail(f"{quoting(OFFER)}\n\nSo they said.\n", subject="Gossip")
    assert link(copied, ROOT) is None


def test_a_forward_is_joined_with_what_it_forwards() -> None:
    text = f"See below.\n\n---------- Forwarded message ---------\nFrom: {ANN}\nDate: Tue, 4 Jun 2024 at 09:15\nSubject: Pump\nTo: <bob@example.net>\n\n{OFFER}\n"
    found = link(mail(text, subject="the truck"), ROOT)
    assert found is not None
    assert found.target == ROOT.message


def test_what_a_template_repeats_is_not_quoted_from_another_mail_of_the_same_sender() -> None:
    """Two reports share most of their words; the quote's head names the second one, which nobody has."""
    report = (
        "The numbers of the yard are ready to be read in the book of the pumps, which lies where it lay last week: "
    )
    first = mail(f"{report}one two three four five six seven eight nine.", who=ANN, subject="Pumps north", at=day(0))
    for at, joins in (("12:00 PM", True), ("5:37 PM", False)):
        head = f"-----Original Message-----\nFrom: {ANN}\nSent: Tuesday, June 4, 2024 {at}\nSubject: Pumps south\n\n"
        reply = mail(f"Look.\n\n{head}{report}red blue green.\n", subject="FW: Pumps south", at=day(1))
        assert (link(reply, first) is not None) == joins


# ------------------------------------------------------------------------------------------------ siblings, subject, series
def test_two_replies_to_a_mail_that_nobody_has_belong_together() -> None:
    head = "On Tue, 4 Jun 2024 at 09:15, Ann Archer <ann@example.org> wrote:"
    one = mail(f"Yes.\n\n{head}\n> Thanks.\n", subject="Re: a", at="Tue, 4 Jun 2024 10:00:00 +0000")
    two = mail(
        f"No.\n\n{head}\n> Thanks.\n",
        subject="Re: b",
        at="Tue, 4 Jun 2024 11:00:00 +0000",
        who="Carl <carl@example.net>",
    )
    found = link(two, one)
    assert found is not None
    assert (found.target, found.kind) == (one.message, "siblings")
    found = link(two, one, ROOT)
    assert found is not None
    assert found.target == ROOT.message, "what is here is better than what is guessed"


RFC = "%a, %d %b %Y %H:%M:%S +0000"


def day(number: int) -> str:
    return f"{datetime(2024, 6, 4, 12, tzinfo=UTC) + timedelta(days=number):{RFC}}"


@pytest.mark.parametrize(
    ("days", "joins"), [(0, True), (20, True), (SUBJECT_DAYS - 1, True), (SUBJECT_DAYS + 1, False)]
)
def test_a_reply_finds_the_beginning_of_its_subject(days: int, joins: bool) -> None:
    begin = mail("So.", subject="Pump is here", at=day(0))
    reply = mail(
        "Good.", who=ANN, subject="AW: [yard] Pump is here", at=day(days) if days else "Tue, 4 Jun 2024 13:00:00 +0000"
    )
    assert (link(reply, begin) is not None) == joins


def test_the_last_of_several_beginnings_is_answered() -> None:
    begins = [mail(f"Status {n}.", subject="Weekly status", at=day(7 * n)) for n in range(4)]
    reply = mail("Good.", who=ANN, subject="Re: Weekly status", at=day(15))
    found = link(reply, *begins)
    assert found is not None
    assert found.target == begins[2].message


def test_a_subject_that_everybody_uses_joins_nobody() -> None:
    begins = [mail(f"Status {n}.", subject="Status", at=day(0), more=f"X-N: {n}\n") for n in range(20)]
    assert link(mail("Good.", who=ANN, subject="Re: Status", at=day(1)), *begins) is None


def test_versions_and_tickets_in_brackets_are_part_of_a_subject() -> None:
    one, two = (
        mail(f"Body {v}.", subject=f"[PATCH {v} 2/3] Fix the pump", at=day(v_day))
        for v, v_day in (("v1", 0), ("v2", 1))
    )
    found = link(mail("Good.", who=ANN, subject="Re: [PATCH v1 2/3] Fix the pump", at=day(2)), one, two)
    assert found is not None
    assert found.target == one.message


def test_replies_whose_beginning_nobody_has_find_each_other() -> None:
    one, two = (mail(f"Body {n}.", who=ANN, subject="Re: Pump is here", at=day(n)) for n in (0, 2 * REPLY_SPAN))
    found = link(two, one)
    assert found is not None
    assert found.kind == "replies"


def test_a_busy_talk_without_its_beginning_holds_together() -> None:
    """More replies than a clue has owners, in two days, none with a quote, by twenty people who write to a list."""
    start = datetime(2024, 6, 4, 7, tzinfo=UTC)
    times = [start + timedelta(minutes=40 * n + (600 if n > 15 else 0)) for n in range(40)]
    talk = [
        mail(f"Body {n}.", who=f"P{n % 20} Smith <p{n % 20}@example.net>", subject="Re: Pump is here", at=f"{at:{RFC}}")
        for n, at in enumerate(times)
    ]
    assert set(derive(talk)[0].values()) == {talk[0].message}


def test_a_list_that_goes_by_two_addresses_is_one_reader() -> None:
    begin = mail(
        "So.", subject="Pump is here", at=day(0), to="pumps@example.org", more="List-Id: <pumps.example.org>\n"
    )
    for list_id, joins in (("pumps", True), ("wells", False)):
        more = f"List-Id: Pumps <{list_id}.example.org>\n"
        reply = mail("Good.", who=ANN, subject="Re: Pump is here", at=day(1), to="pumps@example.net", more=more)
        assert (link(reply, begin) is not None) == joins


def test_mail_of_an_archive_that_leaves_readers_out_is_joined_by_its_subject() -> None:
    begin, reply = (
        read(f"From: {who}\nDate: {day(n)}\nSubject: {subject}\nMessage-ID: <{n}@example.org>\n\nSo.\n")
        for n, (who, subject) in enumerate([(ANN, "Pump is here"), ("bob@example.net", "Re: Pump is here")])
    )
    found = link(reply, begin)
    assert found is not None
    assert found.target == begin.message
    sent = mail("So.", who=ANN, subject="Pump is here", at=day(0))
    assert link(reply, sent) is None, "which names readers, and not this one"


@pytest.mark.parametrize(
    "subject",
    [
        "Driver (was: Pump is here)",
        "Driver [Was: Re: Pump is here]",
        "Driver WAS: Pump is here",
        "The driver (was Re: Pump is here)",
        "Der Fahrer (war: Pump is here)",
    ],
)
def test_a_new_subject_that_names_the_old_one_answers_it(subject: str) -> None:
    begin = mail("So.", subject="Pump is here", at=day(0))
    assert link(mail("By the way.", who=ANN, subject=subject, at=day(1)), begin) is not None


def test_parts_of_a_series_belong_together() -> None:
    parts = [
        mail(
            f"Part {n}: {OFFER}",
            who=ANN,
            subject=f"[PATCH v2 {n}/20] Change {n}",
            at=f"Tue, 4 Jun 2024 10:{n:02}:00 +0000",
        )
        for n in range(21)
    ]
    conversations = derive(parts)[0]
    assert set(conversations.values()) == {parts[0].message}
    for other in (
        mail("Else", subject="[PATCH v2 3/20] Else", at="Tue, 4 Jun 2024 10:05:00 +0000"),  # another sender
        mail("Else", who=ANN, subject="[PATCH v3 3/20] Else", at="Tue, 4 Jun 2024 10:05:00 +0000"),
        mail("Else", who=ANN, subject="[PATCH v2 3/19] Else", at="Tue, 4 Jun 2024 10:05:00 +0000"),
        mail("Else", who=ANN, subject="[PATCH v2 3/20] Else", at="Wed, 5 Jun 2024 10:05:00 +0000"),
    ):
        assert link(other, *parts) is None


def test_a_reminder_belongs_to_what_it_reminds_of() -> None:
    call = mail(OFFER, who=ANN, subject="Call for pumps", at=day(0))
    again = mail(f"Once more:\n\n{OFFER}", who=ANN, subject="Call for pumps (2nd reminder)", at=day(20))
    found = link(again, call)
    assert found is not None
    assert found.kind == "again"
    assert link(mail(OTHER, who=ANN, subject="Call for pumps (picnic)", at=day(20)), call) is None
    assert link(mail(OFFER, subject="Call for pumps (reminder)", at=day(20)), call) is None, "from somebody else"


@pytest.mark.parametrize("mark", ["2024-06-24", "week 26", "North", "linux"])
def test_a_mark_that_does_not_say_again_tells_reports_apart(mark: str) -> None:
    report = mail(OFFER, who=ANN, subject="Pump report (2024-06-04)", at=day(0))
    for other in (report, mail(OFFER, who=ANN, subject="Pump report", at=day(0))):
        assert link(mail(OFFER, who=ANN, subject=f"Pump report ({mark})", at=day(20)), other) is None


@pytest.mark.parametrize(
    "subject",
    [
        "Call for pumps [Erinnerung]",
        "[FINAL REMINDER] Call for pumps",
        "Call for pumps (rappel)",
        "Call for pumps (提醒)",
    ],
)
def test_a_reminder_is_known_in_other_words(subject: str) -> None:
    call = mail(OFFER, who=ANN, subject="Call for pumps", at=day(0))
    assert link(mail(OFFER, who=ANN, subject=subject, at=day(20)), call) is not None


def test_a_bots_mails_of_one_subject_stay_apart() -> None:
    nights = [
        mail(f"{OFFER}\n{n}", who="Cron <root@example.net>", subject="Cron <root@pump> backup (nightly)", at=day(n))
        for n in range(5)
    ]
    assert len(set(derive(nights)[0].values())) == len(nights)


# ------------------------------------------------------------------------------------------------ numbers in subjects
@pytest.mark.parametrize(
    ("begin", "reply", "to"),
    [
        ("[pumps:00123] Valve leaks", "[pumps:00124] Re: Valve leaks", "yard@example.org"),  # fml
        ("[pumps:00123] Valve leaks", "[pumps:00124] Re: Valve leaks", ""),  # in an archive without readers
        ("[team 123] Valve leaks", "Re: [team 124] Valve leaks", "team@example.org"),  # Mailman, a list called team
        ("[team 123] Valve leaks", "[team 125] AW: [team 123] Valve leaks", "team@example.org"),
    ],
)
def test_the_number_that_a_list_gives_a_mail_is_not_part_of_its_subject(begin: str, reply: str, to: str) -> None:
    one = mail("So.", subject=begin, at=day(0), to=to)
    assert link(mail("Good.", who=ANN, subject=reply, at=day(1), to=to), one) is not None


@pytest.mark.parametrize(
    ("begin", "other"),
    [
        ("[Bug 123] Valve leaks", "Re: [Bug 124] Valve leaks"),
        ("[Ticket:123] Valve leaks", "Re: [Ticket:124] Valve leaks"),
        ("[PUMP-123] Valve leaks", "Re: [PUMP-124] Valve leaks"),
        ("[PATCH v1] Valve leaks", "Re: [PATCH v2] Valve leaks"),
        ("[pump 1.2] Valve leaks", "Re: [pump 1.3] Valve leaks"),
    ],
)
def test_the_number_of_a_ticket_or_version_is_part_of_the_subject(begin: str, other: str) -> None:
    assert link(mail("Good.", who=ANN, subject=other, at=day(1)), mail("So.", subject=begin, at=day(0))) is None


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        ("[jira] [Created] (PUMP-12) Valve leaks", "[jira] [Commented] (PUMP-12) Valves leak", "[jira] [Created] (PUMP-13) Valve leaks"),
        ("[Bug 12] New: Valve leaks", "[Bug 12] Valve leaks", "[Bug 13] Valve leaks"),
        ("[yard/pump] Valve leaks (#12)", "[yard/pump] Leaking (Issue #12)", "[yard/tank] Valve leaks (#12)"),
        ("Bug#12: Valve leaks", "Bug#12: closed", "Bug#13: Valve leaks"),
        ("[Ticket#12] Valve leaks", "[Ticket#12] Another title", "[COVID-19] Another title"),
    ],
)  # fmt: skip
def test_a_trackers_mails_of_a_ticket_belong_together(first: str, second: str, other: str) -> None:
    bot = "Tracker <tracker@example.net>"
    one = mail("So.", who=bot, subject=first, at=day(0))
    found = link(mail("Good.", who=bot, subject=second, at=day(5)), one)
    assert found is not None
    assert found.kind == "ticket"
    assert link(mail("Good.", who=bot, subject=other, at=day(5)), one) is None
    assert link(mail("Good.", who=ANN, subject=second, at=day(5)), one) is None, "which is no reply and from another"


def test_a_busy_ticket_holds_together() -> None:
    mails = [
        mail(
            f"Comment {n}.",
            who="Bot <bot@example.net>",
            subject="[Bug 12] Valve leaks",
            at=day(n // 8),
            more=f"X-N: {n}\n",
        )
        for n in range(40)
    ]
    assert len(set(derive(mails)[0].values())) < len(mails) // 4


@pytest.mark.parametrize(
    "subject", ["[Ticket#12] Re: Valve leaks", "RE: Valve leaks [#PUMP-12]", "Re: Valve leaks (Case 12)"]
)
def test_a_ticket_that_was_written_into_the_subject_answers_what_had_none(subject: str) -> None:
    assert (
        link(mail("Soon.", who=ANN, subject=subject, at=day(1)), mail("So.", subject="Valve leaks", at=day(0)))
        is not None
    )


@pytest.mark.parametrize(
    ("subject", "joins"), [("Test", False), ("Question", False), ("Valve leaks", True), ("阀门漏水", True)]
)
def test_a_single_word_is_no_subject_among_people_who_only_share_a_reader(subject: str, joins: bool) -> None:
    begin = mail("So.", who=ANN, subject=subject, at=day(0))
    assert (
        link(mail("Good.", who="Carl <carl@example.net>", subject=f"Re: {subject}", at=day(1)), begin) is not None
    ) == joins
    answer = mail(
        "Good.",
        who="Carl <carl@example.net>",
        subject=f"Re: {subject}",
        at=day(1),
        to="ann@example.org, team@example.org",
    )
    assert link(answer, begin) is not None, "it goes to whoever began"
    private = mail("Good.", who="Carl <carl@example.net>", subject=f"Re: {subject}", at=day(1), to="ann@example.org")
    assert link(private, begin) is None or joins, "which went to others"


def test_a_forward_of_mozilla_has_the_subject_that_it_forwards() -> None:
    begin = mail("So.", subject="Pump is here", at=day(0))
    assert link(mail("See.", who=ANN, subject="[Fwd: Pump is here]", at=day(1)), begin) is not None


# ------------------------------------------------------------------------------------------------ what states nothing
@pytest.mark.parametrize("more", ["Auto-Submitted: auto-generated\n", "Auto-Submitted: auto-replied\n"])
def test_automatic_mail_neither_owns_nor_asks(more: str) -> None:
    stated = mail(f"Away.\n\n{quoting(OFFER)}\n", subject="Re: Pump", more=more)
    assert (stated.owns, stated.asks) == ((), ())


@pytest.mark.parametrize("at", ["never", "Thu, 1 Jan 1920 00:00:00 +0000", "Fri, 31 Dec 9998 00:00:00 +0000"])
def test_mail_without_a_time_neither_owns_nor_asks(at: str) -> None:
    stated = mail(f"Yes.\n\n{quoting(OFFER)}\n", subject="Re: Pump", at=at)
    assert (stated.owns, stated.asks) == ((), ())


def test_a_digest_in_plain_text_answers_none_of_its_mails() -> None:
    inner = "\n\n".join(
        f"Message: {n}\nDate: Tue, 4 Jun 2024 09:15:30 +0200\nFrom: {ANN}\nSubject: Pump\nTo: team@example.org\n\n{OFFER}\n\n{'-' * 30}"
        for n in range(5)
    )
    digest = mail(
        f"Today's Topics:\n\n{'-' * 70}\n\n{inner}\n",
        subject="Pumps Digest, Vol 3, Issue 4",
        who="Pumps <p@example.net>",
    )
    assert link(digest, ROOT) is None


@pytest.mark.parametrize("at", ["Thu, 1 Jan 1970 01:00:00 +0000", "Fri, 6 Jun 2149 23:30:00 +0000"])
@pytest.mark.parametrize(
    "subject", ["Re: Pump is here", "[PATCH 2/9] Pump", "Pump is here (reminder)", "[Bug 12] Pump"]
)
def test_at_the_ends_of_the_calendar_nothing_beyond_is_looked_for(at: str, subject: str) -> None:
    head = "On Thu, 1 Jan 1970 at 00:30, Ann Archer wrote:"
    stated = mail(f"Yes.\n\n{head}\n{quoting(OFFER)}", subject=subject, at=at)
    assert stated.asks
    assert {len(ask.clue) for ask in stated.asks} <= set(range(10, 17))


def test_a_digest_answers_none_of_its_mails() -> None:
    one = (
        f"Content-Type: message/rfc822\n\nFrom: {ANN}\nDate: Tue, 4 Jun 2024 09:15:30 +0200\nSubject: Pump\n\n{OFFER}\n"
    )
    for count, asks in ((1, True), (MAX_INSIDE, True), (MAX_INSIDE + 1, False)):
        parts = "".join(f"--{BOUNDARY}\n{one}\n" for _ in range(count))
        more = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{BOUNDARY}"\n'
        stated = mail(f"{parts}--{BOUNDARY}--\n", subject="Pumps digest", more=more)
        assert bool(stated.asks) == asks, count


# ------------------------------------------------------------------------------------------------ whatever comes first
def test_every_order_gives_the_same_and_costs_a_bounded_number_of_clues() -> None:
    reply = mail(f"Will do.\n\nOn Tue, 4 Jun 2024 at 09:15, Ann Archer wrote:\n{quoting(OFFER)}\n", subject="Re: Pump")
    other = mail(OTHER, who=ANN, subject="Picnic")
    results = {tuple(sorted(derive(list(order))[0].items())) for order in permutations([ROOT, reply, other])}
    assert len(results) == 1
    for stated in (ROOT, reply, other):
        assert len(stated.owns) <= OWN_ANCHORS + 6
        assert len(stated.asks) <= 100
        assert all(len(name) <= 16 for name in (*stated.owns, *(ask.clue for ask in stated.asks)))


def test_evidence_is_the_same_after_it_was_stored() -> None:
    reply = mail(
        f"Will do.\n\nOn Tue, 4 Jun 2024 at 09:15, Ann Archer wrote:\n{quoting(OFFER)}\n",
        subject="Re: [PATCH 1/2] Pump",
    )
    for stated in (ROOT, reply):
        again = load_stated(stated.message, dump_stated(stated))
        assert again._replace(asks=()) == stated._replace(asks=())
        assert sorted(again.asks) == sorted(stated.asks)


def test_evidence_of_the_first_rules_can_be_read() -> None:
    former = b'["0011223344556677","8899aabbccddeeff",5,[["twin","01aa",true,"x",1000]],["00"],[["subject","01","pump",1000]]]'
    stated = load_stated(ROOT.message, former)
    assert (stated.when, [link.kind for link in stated.links], stated.asks) == (5, ["twin"], ())


def test_clues_of_one_time_lie_together() -> None:
    """Names begin with the day, so that a large archive writes to a few pages of its tables at a time."""
    near, far = mail(OFFER, subject="Pump one", at=day(0)), mail(OTHER, subject="Pump two", at=day(4 * SPAN))
    assert max(name[:2] for name in near.owns) < min(name[:2] for name in far.owns)
