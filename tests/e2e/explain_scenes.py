"""Small made-up talks, five mails of each kind of evidence: what docs/explain.md shows `mailloom explain` on.

A scene is (heading, what it is about, mails, [(id of a mail that is shown, what it shows)]). Scenes share nothing: each has its own people,
days and words, so that one archive holds them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    heading: str
    about: str
    mails: Sequence[bytes]
    shown: Sequence[tuple[str, str]]


def mail(name: str, who: str, at: str, subject: str, text: str, *headers: str) -> bytes:
    """`name` is the left half of its Message-ID, "" for none; `who` a name whose address follows from it; `at` as in "4 Jun 2024 09:15 +0200"."""
    address = ".".join(who.lower().split()) + "@example.org"
    lines = [f"From: {who} <{address}>", "To: team@example.com", f"Date: {at}", f"Subject: {subject}"]
    lines += [f"Message-ID: <{name}@example.org>"] if name else []
    lines += [*headers, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
    return ("\n".join(lines) + "\n\n" + text.strip("\n") + "\n").encode()


def to(*names: str) -> str:
    """The headers of a plain reply, the last name its parent's."""
    ids = [f"<{name}@example.org>" for name in names]
    return f"In-Reply-To: {ids[-1]}\nReferences: {' '.join(ids)}"


def quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.strip().splitlines())


def index(guid: int, *steps: int) -> str:
    """A Thread-Index ([MS-OXOMSG] 2.2.1.3): a head of 22 bytes, and 5 for each reply."""
    from base64 import b64encode

    raw = b"\x01\xda\x00\x00\x00\x00" + guid.to_bytes(16, "big") + b"".join(step.to_bytes(5, "big") for step in steps)
    return f"Thread-Index: {b64encode(raw).decode()}"


# ------------------------------------------------------------------------------------------------ by ids
IDS = Scene(
    "Message-ID, In-Reply-To, References",
    "The usual case. An id in In-Reply-To or References joins a mail with the one that has that id, and with all others that cite it, whether or "
    "not that one is here.",
    [
        mail("plan-1", "Ada Alder", "3 Jan 2022 09:00 +0100", "Plan for the hall", "Who can help to paint the hall next week?"),
        mail("plan-2", "Ben Birch", "3 Jan 2022 10:30 +0100", "Re: Plan for the hall", "I can, on Tuesday.", to("plan-1")),
        mail("plan-4", "Cy Cedar", "3 Jan 2022 12:00 +0100", "Re: Plan for the hall", "Fine for me.", to("plan-1", "plan-2", "plan-3")),
        mail("plan-5", "Ada Alder", "3 Jan 2022 13:00 +0100", "Re: Plan for the hall", "Thanks to all.", to("plan-3")),
        mail("plan-6", "Di Date", "4 Jan 2022 08:00 +0100", "Lunch after painting", "I bring soup.", "References: <plan-1@example.org>"),
        mail("plan-7", "Ben Birch", "4 Jan 2022 09:00 +0100", "Re: Plan for the hall", "Which door?", "In-Reply-To: Your message of Mon, 3 Jan 2022 <plan-5@example.org>"),
    ],
    [
        ("plan-1", "A mail that others answer."),
        ("plan-2", "A plain answer."),
        ("plan-4", "It answers a mail that isn't here, and cites those before as well."),
        ("plan-6", "A new subject, sent with the reply button: one conversation, two subjects."),
        ("plan-7", "An In-Reply-To in the free form of old clients."),
    ],
)  # fmt: skip

ALIAS = Scene(
    "Another id of the same mail",
    "Mail that was sent again keeps its old id, or gets a new one and keeps the old in a header (Resent-Message-ID, X-Original-Message-ID). Who answers either id "
    "answers the same mail.",
    [
        mail("key-1", "Eve Elm", "7 Feb 2022 09:00 +0000", "Keys of the shed", "Where are the keys of the shed?", "Resent-Message-ID: <key-1r@example.org>"),
        mail("key-2", "Flo Fir", "7 Feb 2022 10:00 +0000", "Re: Keys of the shed", "On the hook.", to("key-1r")),
        mail("key-3", "Gus Gum", "7 Feb 2022 11:00 +0000", "Re: Keys of the shed", "No, in my pocket.", to("key-1")),
        mail("list-1", "Hal Hazel", "8 Feb 2022 09:00 +0000", "Seeds to give away", "Beans and peas, who wants some?", "X-Original-Message-ID: <home-1@example.org>"),
        mail("list-2", "Ida Ivy", "8 Feb 2022 10:00 +0000", "Re: Seeds to give away", "Peas, please.", to("home-1")),
        mail("list-3", "Jo Juniper", "8 Feb 2022 11:00 +0000", "Re: Seeds to give away", "And beans for me.", to("list-1", "list-2")),
        mail("fax-1", "Kai Kapok", "9 Feb 2022 09:00 +0000", "Ladder is back", "The ladder stands behind the house.", "Original-Message-ID: <fax-0@example.org>"),
    ],
    [
        ("key-1", "Sent again by somebody: two ids."),
        ("key-2", "An answer to the second id."),
        ("list-1", "A list gave it another id and kept the author's."),
        ("list-2", "The author of this got the mail directly, not from the list."),
        ("fax-1", "Nobody answered, by neither id."),
    ],
)  # fmt: skip

INDEX = Scene(
    "Thread-Index",
    "Outlook and Exchange number their talks: a reply's index is that of the mail that it answers and five bytes more.",
    [
        mail("o1", "Lea Larch", "1 Mar 2022 09:00 +0000", "Budget", "The budget is due.", index(11)),
        mail("o2", "Max Maple", "1 Mar 2022 10:00 +0000", "RE: Budget", "Mine is done.", index(11, 5)),
        mail("o3", "Nan Nut", "1 Mar 2022 11:00 +0000", "RE: Budget", "Mine too.", index(11, 5, 7)),
        mail("o5", "Lea Larch", "1 Mar 2022 13:00 +0000", "RE: Budget", "Then we are ready.", index(11, 6, 7, 8)),
        mail("o6", "Oz Oak", "2 Mar 2022 09:00 +0000", "RE: Chairs", "Eleven chairs.", index(12, 1)),
        mail("o7", "Pia Pine", "2 Mar 2022 10:00 +0000", "RE: Chairs", "I count twelve.", index(12, 2)),
        mail("o8", "Quin Quince", "3 Mar 2022 10:00 +0000", "Desks", "Two desks are left.", index(13)),
    ],
    [
        ("o1", "The beginning."),
        ("o3", "An answer to an answer."),
        ("o5", "What it answers isn't here: it joins by what all of them share."),
        ("o6", "Two answers to a mail that isn't here."),
        ("o8", "An index that nobody else has."),
    ],
)  # fmt: skip

_MENU = "Soup, bread and three kinds of cheese, and somebody has to bring a knife."
TWIN = Scene(
    "Twins",
    "Equal mails with different ids, or none: exports that make up ids do that. They are one mail in two places, so they share a thread.",
    [
        mail("e1.1", "Ray Rowan", "4 Apr 2022 12:00 +0000", "Menu", _MENU),
        mail("e1.2", "Ray Rowan", "4 Apr 2022 12:00 +0000", "Menu", _MENU),
        mail("e1.3", "Ray Rowan", "4 Apr 2022 12:00 +0000", "Menu", _MENU),
        mail("e2", "Sue Spruce", "4 Apr 2022 13:00 +0000", "Re: Menu", "I have a knife.", to("e1.2")),
        mail("e3", "Tom Teak", "4 Apr 2022 14:00 +0000", "Re: Menu", "And I a board.", to("e1.3", "e2")),
        mail("", "Uma Ulmus", "5 Apr 2022 12:00 +0000", "Dessert", "There will be plums."),
        mail("e4.2", "Uma Ulmus", "5 Apr 2022 12:00 +0000", "Dessert", "There will be plums."),
    ],
    [
        ("e1.1", "Three times the same."),
        ("e1.2", "One of the others, which somebody answered."),
        ("e2", "The answer to that one."),
        ("e3", "An answer that cites another twin."),
        ("e4.2", "The same mail with and without an id."),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------------------ by what is likely
WROTE = Scene(
    "Who wrote when",
    "The head of a quote names who wrote it and when. Where somebody of that name sent a mail in that minute, this is it. A head mostly says no zone: "
    "it may be the clock of the writer, or of whoever quotes.",
    [
        mail("w1", "Ann Archer", "4 May 2022 09:15 +0200", "The pump", "It leaks again at the lower valve."),
        mail("w2", "Bob Baker", "4 May 2022 10:00 +0200", "Re: leaking", "Which one?\n\nOn Wed, 4 May 2022 at 09:15, Ann Archer wrote:\n> It leaks."),
        mail("w3", "Cleo Carter", "4 May 2022 03:00 -0500", "Valves", "Not mine.\n\nOn Wed, 4 May 2022 at 02:15, Ann Archer <ann.archer@example.org> wrote:\n> It leaks again at the lower valve."),
        mail("w4", "Dan Draper", "4 May 2022 11:00 +0000", "AW: Ventil", "Meins auch nicht.\n\nAm 04.05.2022 um 09:15 schrieb Ann Archer:\n> Es leckt."),
        mail("w5", "Edna Eaton", "4 May 2022 12:00 +0000", "RE: Pumps", "Call Jim.\n\n-----Original Message-----\nFrom: Archer, Ann\nSent: Wednesday, May 4, 2022 9:15 AM\nSubject: pump\n\nIt leaks."),
        mail("w6", "Fred Fisher", "4 May 2022 22:00 +0000", "Re: The pump", "Not before noon.\n\nOn Wed, 4 May 2022 at 15:15, Ann Archer wrote:\n> It leaks."),
    ],
    [
        ("w2", "By the writer's clock; nothing else is alike."),
        ("w3", 'By the clock of whoever quotes it. It is no "Re:", so more is needed.'),
        ("w4", "In German."),
        ("w5", "As Outlook quotes."),
        ("w6", "By a clock that is neither's: that counts for less, and the subject helps."),
    ],
)  # fmt: skip

_ORDER = """The new pump arrives on Friday with the truck from the north, so please clear the yard before noon
and tell the gate that the driver has no papers yet. He brings them on his second tour in the week after."""
_RULES = """Whoever uses the workshop sweeps the floor, hangs every tool on its own hook, locks both doors and writes
the hours into the green book on the shelf beside the window before going home."""
TEXT = Scene(
    "Quoted words",
    "The words that a mail quotes stand in the mail that said them: in its author's own part, not in what that quoted. Words are compared in phrases, runs of six.",
    [
        mail("t1", "Gwen Glover", "6 Jun 2022 08:00 +0000", "Delivery", _ORDER),
        mail("t2", "Hank Hooper", "6 Jun 2022 09:00 +0000", "Re: something else", f"Will do.\n\n{quote(_ORDER)}"),
        mail("t3", "Iris Ingram", "6 Jun 2022 10:00 +0000", "Re: your mail", f"Which gate?\n\n{quote(_ORDER.splitlines()[1])}"),
        mail("t4", "Jack Joiner", "7 Jun 2022 08:00 +0000", "Re: gate", f"Done.\n\n{quote(_ORDER.replace('Friday', 'Monday'))}"),
        mail("t5", "Kate Keeler", "8 Jun 2022 08:00 +0000", "Workshop", _RULES),
        mail("t6", "Luke Lister", "9 Jun 2022 08:00 +0000", "Green book", f"It is full.\n\n{quote(_RULES)}"),
        mail("t7", "Mona Mason", "9 Jun 2022 09:00 +0000", "Re: Workshop", f"It is blue.\n\n{quote('the green book on the shelf beside the window')}"),
    ],
    [
        ("t2", "The whole mail quoted, under another subject."),
        ("t3", "Half of it."),
        ("t4", "A word was changed in the quote."),
        ("t6", 'No "Re:", and words alone: not enough.'),
        ("t7", "A few words and the subject."),
    ],
)  # fmt: skip

SIBLINGS = Scene(
    "The same missing mail",
    "Two mails quote the same mail, which isn't here, and neither cites an id: they are of one talk.",
    [
        mail("s1", "Ned Naylor", "4 Jul 2022 10:00 +0200", "Re: boat", "I come.\n\nOn Mon, 4 Jul 2022 at 08:05, Olga Osler wrote:\n> Who is coming?"),
        mail("s2", "Paul Potter", "4 Jul 2022 11:00 +0200", "Re: boat trip", "Me too.\n\nOn Mon, 4 Jul 2022 at 08:05, Olga Osler wrote:\n> Who is coming?"),
        mail("s3", "Rose Roper", "4 Jul 2022 12:00 +0200", "RE: trip", "I can't.\n\n-----Original Message-----\nFrom: Olga Osler\nSent: Monday, July 4, 2022 8:05 AM\nSubject: trip\n\nWho is coming?"),
        mail("s4", "Seth Sawyer", "5 Jul 2022 09:00 +0200", "Tickets", "Two for me.\n\nOn Mon, 4 Jul 2022 at 20:30, Tess Tanner wrote:\n> I buy the tickets for the boat."),
        mail("s5", "Vera Vintner", "5 Jul 2022 10:00 +0200", "Re: Tickets", "One.\n\nOn Mon, 4 Jul 2022 at 20:30, Tess Tanner wrote:\n> I buy the tickets for the boat."),
        mail("s6", "Walt Wright", "5 Jul 2022 11:00 +0200", "Re: fish", "Fried.\n\nOn Tue, 5 Jul 2022 at 07:10, Xena Xylander wrote:\n> How do you like it?"),
    ],
    [
        ("s1", "The first of three answers."),
        ("s2", "The second, which finds the first."),
        ("s3", "The third, from another client."),
        ("s5", "The same, and the subject of the other."),
        ("s6", "Nobody else quotes what this one quotes: it would join if somebody did, or if the mail itself came."),
    ],
)  # fmt: skip

SUBJECT = Scene(
    "The same subject",
    'A "Re:" without ids answers the mail that brought its subject up, at most 60 days before, if the same people take part.',
    [
        mail("b1", "Abe Abbott", "1 Aug 2022 09:00 +0000", "Rent of the garage", "It goes up by ten."),
        mail("b2", "Bea Bishop", "3 Aug 2022 09:00 +0000", "Re: Rent of the garage", "That is too much."),
        mail("b3", "Cora Cook", "20 Aug 2022 09:00 +0000", "AW: Rent of the garage", "For me as well."),
        mail("b4", "Dirk Dean", "5 Aug 2022 09:00 +0000", "Parking (was: Rent of the garage)", "Then I park outside."),
        mail("b5", "Elsa Earl", "1 Dec 2022 09:00 +0000", "Re: Rent of the garage", "Still the same?"),
        mail("b6", "Abe Abbott", "2 Aug 2022 09:00 +0000", "Rent of the garage", "Correction: by eleven."),
    ],
    [
        ("b1", "The beginning."),
        ("b2", "Two mails brought that subject up: the later one is answered."),
        ("b3", "Weeks later."),
        ("b4", "A new subject that names the old one."),
        ("b5", "Four months later: that is another talk."),
    ],
)  # fmt: skip

REPLIES = Scene(
    "Answers whose beginning is missing",
    "Two mails that answer the same subject within days belong together, even if the mail that began it isn't here.",
    [
        mail("r1", "Finn Fuller", "5 Sep 2022 09:00 +0000", "Re: Roof of the barn", "Tiles are cheaper."),
        mail("r2", "Gail Gardner", "5 Sep 2022 11:00 +0000", "Re: Roof of the barn", "Slate lasts longer."),
        mail("r3", "Hugo Hunter", "9 Sep 2022 09:00 +0000", "RE: [barn] Roof of the barn", "Straw looks best."),
        mail("r4", "Ines Inman", "5 Oct 2022 09:00 +0000", "Re: Roof of the barn", "Is it done?"),
        mail("r5", "Jules Judge", "6 Sep 2022 09:00 +0000", "SV: Roof of the barn", "It rains in."),
    ],
    [
        ("r1", "The first answer that is here."),
        ("r2", "It follows the first."),
        ("r3", "Days later, with a list's tag in front."),
        ("r4", "A month later: too long after."),
        ("r5", "With the mark of a Danish client."),
    ],
)  # fmt: skip

_CALL = """The club meets on the last Thursday of the month in the room above the bakery, and whoever wants to show
slides sends them to Kim until the Monday before, as the projector needs them on a card."""
AGAIN = Scene(
    "Sent again",
    "The same sender sends the same words again, under the same subject with a mark that says so.",
    [
        mail("a1", "Kim Keeper", "3 Oct 2022 09:00 +0000", "Club meeting", _CALL),
        mail("a2", "Kim Keeper", "17 Oct 2022 09:00 +0000", "Club meeting (reminder)", _CALL),
        mail("a3", "Kim Keeper", "24 Oct 2022 09:00 +0000", "Club meeting [last call]", _CALL + "\nThere are two places left."),
        mail("a4", "Lars Lodge", "25 Oct 2022 09:00 +0000", "Club meeting (cancelled?)", "Is it true that the bakery is closed on that day, and where do we meet instead?"),
        mail("a5", "Kim Keeper", "26 Oct 2022 09:00 +0000", "Club meeting (new room)", "We meet in the school, as the bakery has its ovens mended until the end of the week."),
    ],
    [
        ("a1", "The first time."),
        ("a2", "The reminder."),
        ("a3", "The last call, with a line more."),
        ("a4", "Another sender: a mail of its own."),
        ("a5", "The same sender with other words."),
    ],
)  # fmt: skip

TICKET = Scene(
    "The same ticket",
    "A tracker writes into each subject which ticket a mail is about. Its own mails of a ticket belong together whatever else the subject says; mail of others needs more than the ticket.",
    [
        mail("k1", "Desk Tracker", "14 Nov 2022 09:00 +0000", "[Bug 4711] Printer eats cards", "Reported by Petra: it takes two at once."),
        mail("k2", "Desk Tracker", "15 Nov 2022 09:00 +0000", "[Bug 4711] Printer eats cards and envelopes", "Title changed by Quentin."),
        mail("k3", "Desk Tracker", "16 Nov 2022 09:00 +0000", "[Bug 4711] Resolved: rollers were worn", "Closed by Quentin."),
        mail("k4", "Petra Pine", "16 Nov 2022 10:00 +0000", "Re: [Bug 4711] still broken", "It did it once more this morning."),
        mail("k5", "Desk Tracker", "16 Nov 2022 11:00 +0000", "[Bug 4712] Printer hums", "Reported by Petra."),
    ],
    [
        ("k1", "The first mail of a ticket."),
        ("k2", "The ticket got another title."),
        ("k3", "A subject that has only the ticket in common."),
        ("k4", "A person's answer under another subject."),
        ("k5", "Another ticket: a mail of its own."),
    ],
)  # fmt: skip

SERIES = Scene(
    "Numbered series",
    "Parts of one numbered series by one sender, sent within two hours.",
    [
        mail("n0", "Nils Nagel", "7 Nov 2022 09:00 +0000", "[PATCH 0/3] Mend the fence", "Three small steps."),
        mail("n1", "Nils Nagel", "7 Nov 2022 09:01 +0000", "[PATCH 1/3] Dig holes", "Deep ones."),
        mail("n3", "Nils Nagel", "7 Nov 2022 09:03 +0000", "[PATCH 3/3] Hang the gate", "It squeaks."),
        mail("m2", "Nils Nagel", "9 Nov 2022 09:00 +0000", "[PATCH 2/3] Set poles", "Six of them."),
        mail("p1", "Olaf Olsen", "7 Nov 2022 09:02 +0000", "[PATCH 1/3] Dig ditches", "Shallow ones."),
        mail("p3", "Olaf Olsen", "7 Nov 2022 09:30 +0000", "[PATCH 3/3] Plant willows", "They like it wet."),
    ],
    [
        ("n0", "The letter before it."),
        ("n1", "The first part."),
        ("n3", "The third; the second is missing."),
        ("m2", "The same sender two days later: another series."),
        ("p3", "Another sender's."),
    ],
)  # fmt: skip

_TICKET = [
    mail(f"d{n}", f"Robot {name}", f"{n} Dec 2022 09:00 +0000", f"{name} filled up", "Beep.", to("ticket"))
    for n, name in enumerate(("Anna", "Bert", "Carl", "Dora", "Emil", "Fritz", "Gerd", "Hans"), 1)
]
DEAD = Scene(
    "An id that automatic mail shares",
    "Some machines cite one and the same made-up id in all of their mail. An id that nobody has, and that many senders cite under many subjects, joins nobody.",
    [
        *_TICKET,
        mail("d9", "Rob Reed", "10 Dec 2022 09:00 +0000", "Re: Anna filled up", "Stop it.", to("ticket", "d1")),
        mail("d10", "Sam Shaw", "10 Dec 2022 10:00 +0000", "Oven stopped", "Cold.", to("oven")),
        mail("d11", "Ted Tate", "10 Dec 2022 11:00 +0000", "Oven started", "Warm.", to("oven")),
    ],
    [
        ("d1", "One of eight; a person answered it."),
        ("d2", "Another."),
        ("d8", "The eighth, with which the id became useless."),
        ("d9", "The person's answer: joined by the id of the mail, not by the shared one."),
        ("d11", "Two senders that cite an id which isn't here are no sign of that: it joins them."),
    ],
)  # fmt: skip

REUSED = Scene(
    "An id that was given to two mails",
    "Where two mails with different subjects have the same id, nobody can tell which one a third one means. With the same subject they are two versions of one mail.",
    [
        mail("u1", "Ulf Unger", "9 Jan 2023 09:00 +0000", "Milk is out", "Buy some."),
        mail("u1", "Ulf Unger", "9 Jan 2023 10:00 +0000", "Bread is out", "Buy some too."),
        mail("u2", "Wim Weber", "9 Jan 2023 11:00 +0000", "Re: Bread is out", "Rye?", to("u1")),
        mail("u3", "Yul Young", "9 Jan 2023 12:00 +0000", "Re: groceries", "Both, please.", to("u1")),
        mail("v1", "Zoe Zeller", "10 Jan 2023 09:00 +0000", "Salt", "Two pounds of salt."),
        mail("v1", "Zoe Zeller", "10 Jan 2023 09:00 +0000", "[shop] Salt", "Two pounds of salt.\n\n--\nshop mailing list"),
        mail("v2", "Wim Weber", "10 Jan 2023 10:00 +0000", "Re: [shop] Salt", "Done.", to("v1")),
        mail("u4", "Wim Weber", "9 Jan 2023 13:00 +0000", "Re: Bread is out", "Bought.", to("u1", "u2")),
    ],
    [
        ("u1", "One of the two."),
        ("u2", "An answer: by that id it could be to either, the subject tells."),
        ("u3", "Another, whose subject tells nothing."),
        ("u4", "An answer to the answer, which has a good id."),
        ("v2", "Two versions of one mail, one with a list's footer."),
    ],
)  # fmt: skip

COMMON = Scene(
    "What too many have",
    "What stands in 13 mails or more of some weeks tells no two talks apart: it isn't used, and everything else counts as before.",
    [
        *[
            mail(f"c{n}", f"Clerk {name}", f"{n} Feb 2023 09:00 +0000", "Weekly report", f"All is well with {name}, the doors were locked and the lights were out.")
            for n, name in enumerate(("Abel", "Bing", "Cobb", "Dole", "East", "Ford", "Gill", "Hope", "Ives", "Jung", "Kent", "Lowe", "Moss", "Nash"), 1)
        ],
        mail("c20", "Viv Vance", "16 Feb 2023 09:00 +0000", "Re: Weekly report", "Thanks."),
        mail("c21", "Will Ward", "16 Feb 2023 10:00 +0000", "Re: Weekly report", "Good.\n\n> All is well with Moss, the doors were locked and the lights were out."),
        mail("c22", "Yana York", "16 Feb 2023 11:00 +0000", "Re: Weekly report", "Which door?\n\nOn Tue, 14 Feb 2023 at 09:00, Clerk Nash wrote:\n> All is well with Nash"),
        mail("c23", "Zack Zane", "16 Feb 2023 12:00 +0000", "Re: Weekly report", "Fine.", to("c3")),
    ],
    [
        ("c1", "One of fourteen mails with one subject."),
        ("c20", "It answers one of them: which, nobody can tell. It follows the next best, an answer like itself, or nobody."),
        ("c21", "Words tell, as far as they are not everybody's."),
        ("c22", "Who wrote when tells."),
        ("c23", "An id tells, and nothing else is looked at."),
    ],
)  # fmt: skip

NOTHING = Scene(
    "Nothing",
    "A mail that nothing joins with any other is a thread of its own. What it says of itself is still told: later mail may join it.",
    [
        mail("z1", "Amos Ames", "6 Mar 2023 09:00 +0000", "Lost glove", "A green one, left hand."),
        mail("", "Boyd Bell", "7 Mar 2023 09:00 +0000", "Found umbrella", "Black."),
        mail("z3", "Carla Cole", "8 Mar 2023 09:00 +0000", "Re: hi", "Hi."),
        mail("z4", "Mailer Daemon", "9 Mar 2023 09:00 +0000", "Out of office: lunch", "I am away.", "Auto-Submitted: auto-replied"),
        mail("z5", "Dora Dunn", "soon", "Re: hat", "Mine."),
    ],
    [
        ("z1", "A mail."),
        ("", "A mail without an id."),
        ("z3", "Its subject is too short to tell anything."),
        ("z4", "An automatic answer."),
        ("z5", "A date that can't be read."),
    ],
)  # fmt: skip

SCENES = (
    IDS, ALIAS, INDEX, TWIN, WROTE, TEXT, SIBLINGS, SUBJECT, REPLIES, AGAIN, TICKET, SERIES, DEAD, REUSED, COMMON, NOTHING,
)  # fmt: skip
