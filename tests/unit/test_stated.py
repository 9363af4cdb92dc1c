"""What heads and attribution lines state: people and dates as clients write them."""

from __future__ import annotations

import pytest

from mailloom.mail.stated import people, stated
from mailloom.mail.when import when


def pair(people):
    return [(a.name, a.address) for a in people]


@pytest.mark.parametrize(
    ("line", "name", "address", "date"),
    [
        (
            "On 2026-09-03 at 02:14 , Ann Lee <ann@example.org> wrote:",
            "Ann Lee",
            "ann@example.org",
            "2026-09-03 at 02:14",
        ),
        ("Am 03.09.26 um 02:14 schrieb Ann Lee:", "Ann Lee", "", "03.09.26 um 02:14"),
        ("Ann Lee <ann@example.org> kirjoitti 3.9.2026 klo 2.14:", "Ann Lee", "ann@example.org", "3.9.2026 klo 2.14"),
        ("Ann Lee <ann@example.org> writes:", "Ann Lee", "ann@example.org", ""),
        ("Ann Lee wrote:", "Ann Lee", "", ""),
        (
            "On 3 Sep 2026 02:14, Said Wrotek <said@example.org> wrote:",
            "Said Wrotek",
            "said@example.org",
            "3 Sep 2026 02:14",
        ),
        (
            "Op 03-09-2026 02:14 heeft Ann Lee <ann@example.org> het volgende geschreven:",
            "Ann Lee",
            "ann@example.org",
            "03-09-2026 02:14",
        ),
        ("* Ann Lee <ann@example.org> [2026-09-03 02:14:30]:", "Ann Lee", "ann@example.org", "2026-09-03 02:14:30"),
        (
            "On Thu, 3 Sep 2026 02:14:30 +0200, ann@example.org wrote:",
            "",
            "ann@example.org",
            "Thu, 3 Sep 2026 02:14:30 +0200",
        ),
        (
            "Le jeu. 3 sept. 2026 à 02:14, Ann Lee <ann@example.org> a écrit :",
            "Ann Lee",
            "ann@example.org",
            "jeu. 3 sept. 2026 à 02:14",
        ),
        ("2026年9月3日(木) 2:14 Ann Lee <ann@example.org>:", "Ann Lee", "ann@example.org", "2026年9月3日(木) 2:14"),
    ],
)
def test_what_an_attribution_states(line, name, address, date):
    found = stated(line)
    assert pair(found.from_) == [(name, address)]
    assert found.date.text == date


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Thu, Sep 3, 2026 at 2:14 AM", "3 Sep 2026 02:14"),
        ("Thursday, September 3, 2026 2:14 PM", "3 Sep 2026 14:14"),
        ("September 3, 2026 at 2:14 PM", "3 Sep 2026 14:14"),
        ("3 September 2026 at 14:14:05 GMT+2", "3 Sep 2026 14:14:05 +0200"),
        ("Thu, 3 Sep 2026 02:14:00 +0200", "Thu, 3 Sep 2026 02:14:00 +0200"),
        ("Thu, Sep 3, 2026 at 2:14\u202fAM", "3 Sep 2026 02:14"),
        ("2026-09-03 02:14", "3 Sep 2026 02:14"),
    ],
)
def test_dates_as_clients_write_them(text, same):
    got = when(text)
    assert got.text == text
    assert got.ms is not None
    assert got.ms == when(same).ms


@pytest.mark.parametrize("text", ["", "yesterday", "99/99/9999 99:99", "٣ سبتمبر"])
def test_dates_that_say_nothing(text):
    assert when(text).ms is None
    assert when(text).text == text


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("Ann Lee [mailto:ann@example.org]", [("Ann Lee", "ann@example.org")]),
        ("ann@example.org<mailto:ann@example.org>", [("", "ann@example.org")]),
        ("Ann <ann@example.org>; Bob <bob@example.net>", [("Ann", "ann@example.org"), ("Bob", "bob@example.net")]),
        ("*Ann Lee* <ann@example.org>", [("Ann Lee", "ann@example.org")]),
        ("", []),
    ],
)
def test_people(value, want):
    assert pair(people(value)) == want
