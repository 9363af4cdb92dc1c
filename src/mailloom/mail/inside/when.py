"""Dates as clients state them in heads and attribution lines, in any locale -> milliseconds and zone, or none rather than a wrong one.

A date is read by its shape: numbers around a month's name (mail/cut/months.toml), or three numbers. Which of three numbers is the day
is told by their size, by the weekday beside them, by the language of the words around, by AM and PM as Americans write them.
Where these leave two readings, there is no time, only the text. Linear, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date as calendar_date
from typing import Final, NamedTuple

from mailloom.mail.cut.attribution import plain_digits
from mailloom.mail.cut.months import calendar, fold
from mailloom.mail.model import Date
from mailloom.mail.parts.dates import ZONES, full_year, milliseconds, offset
from mailloom.mail.visible import visible

LONGEST = 400
"""Characters of a line that are looked at: an attribution is no longer."""
FAR = 45
"""Characters between a date and its time, words between them in any language."""
AROUND_LENGTH = 1000
"""Characters of a head in which words that tell its language are looked for."""

_CLOCK = re.compile(
    r"(?<![\d:+])(\d{1,2})\s?[:\uff1a\ufe55h時时點点시]\s?(\d{2})(?!\d)"
    r"(?:\s?[:\uff1a\ufe55分분m]\s?(\d{2})(?!\d)(?:[.,]\d{1,6}(?!\d))?)?(?:\s?[分분秒초]){0,2}",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{2})(?:\.(\d{2}))?(?!\d|\.\d)")
# "2026年9月3日", "2026년 9월 3일"; not a year of an era ("令和8年").
_YMD_SIGNS = re.compile(
    r"(?<![\d和成昭正治國国])(\d{2}|\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})(?!\d)(?:\s?[日일號号])?"
)
_THANG = re.compile(
    r"(?:(?<!\w)(?:th\S{0,2}\s?[2-7]|CN),?\s)?(?<!\d)(\d{1,2})\s{1,2}th(?:g|\S{1,2}ng)\.?\s{0,2}(\d{1,2})\s{0,2}(?:,|n\S{1,2}m)?\s{0,2}(\d{4})(?!\d)",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(?<![\d./:-])(\d{1,4})([./-])\s?(\d{1,2})\2\s?(\d{1,4})(?![\d:])")
# A word keeps the dots and marks inside ("μ.μ.", "ก.ย.").
_TOKEN = re.compile(r"\d+|[^\W\d_][^\s\d,;:/()\[\]<>|+*_=\u060c\u3001\uff0c\u3002\uff08\uff09\0\"\u2013\u2014-]*+")
_GERSHAYIM = re.compile(r"(?<=[\u05d0-\u05ea])\"(?=[\u05d0-\u05ea])")
_ZONE = re.compile(
    r"[\s\u202f]{0,2}(?:Uhr\s)?[\s(\[]{0,2}(?:(?:GMT|UTC|UT|Z)?[\s\u202f]?([+\u2212-])(\d{1,2})[:.]?(\d{2})?(?![\d/.-])|([A-Z]{1,5})(?![\w]))[)\]]?",
)
# Names that clients in one language use; the others are in dates.ZONES.
_OWN_ZONES: Final = {"MEZ": 60, "MESZ": 120, "WIB": 420, "WITA": 480, "WIT": 540}
_NO_VOTES: Final[frozenset[str]] = frozenset()
_AMERICAN: Final = frozenset(("mdy",))
_DAY_FIRST: Final = frozenset(("dmy",))
Ymd = tuple[int, int, int]
_GAP: Final = " -\t\xa0\u202f,.(\uff08\u060c\u3001\uff0c"
_THAI = re.compile("[\u0e00-\u0e7f]")
_EASTERN: Final = "ymd/"
"""26/09/03 begins with the year in Chinese and Japanese only."""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_IDEOGRAPHS: Final = "\u2e80"
_PERSIAN_DIGIT = re.compile("[\u06f0-\u06f9]")
BUDDHIST = 543
"""Thailand counts the years from 543 before ours: 2569 is 2026."""


class _Clock(NamedTuple):
    """A time of day; `votes` are orders of numbers that the way of writing it speaks for."""

    start: int
    end: int
    hour: int
    minute: int
    second: int
    zone: int | None
    votes: frozenset[str]


class _Day(NamedTuple):
    """A date: each way to read it, as (order, (year, month, day)). The order is "dmy", "mdy" or "ymd"; of a month's name that
    means two months, languages ("cs+pl").
    """

    start: int
    end: int
    ways: tuple[tuple[str, Ymd], ...]
    named: bool = False


def _plain(text: str) -> str:
    """One character for one: ASCII digits, and the sign that abbreviates in Hebrew where a quotation mark stands for it."""
    return text if text.isascii() else _GERSHAYIM.sub("\u05f4", plain_digits(text))


class Found(NamedTuple):
    """A date in a line: text[start:end], and with the words that belong to it ("at", "Uhr") text[outer:outer_end]."""

    outer: int
    start: int
    end: int
    outer_end: int
    date: Date


def when(text: str, around: str = "") -> Date:
    """The date that a client wrote; `text` is kept, ms is None where it can't be read or could be read in two ways.

    `around` is the head or the line that it stands in: its words tell the language. A time belongs to it: of a day alone nobody
    knows the minute.
    """
    plain = _plain(visible(text[:LONGEST]))
    return _date(*_day_and_clock(plain), plain, text, around or text)


def find(text: str) -> Found | None:
    """The date with its time in an attribution line, or None where no known form was found."""
    plain = _plain(text[:LONGEST])
    day, clock = _day_and_clock(plain)
    if day is None:
        return None
    start, end = day.start, day.end
    if clock is not None and (clock.start - day.end > FAR or day.start - clock.end > FAR):
        clock = None
    if clock is not None:
        start, end = min(start, clock.start), max(end, clock.end)
    days, at = calendar().days, calendar().at
    outer, outer_end = start, end
    for word in reversed(_TOKEN.findall(plain, max(0, start - FAR), start)):
        place = plain.rfind(word, 0, outer)
        known = fold(word)
        if plain[place + len(word) : outer].strip(_GAP) or not (known in days or known in at):
            break
        outer = place
        if known in days:
            start = place
    for word in _TOKEN.finditer(plain, end, end + FAR):
        known = fold(word[0])
        # "14:14 Uhr" and "14:14, Cs", but not the first letter of a name in "14:14, A. Smith".
        belongs = (known in days and not _named(plain, word.end())) or (
            known in at and (len(known) > 1 or word[0].islower())
        )
        if plain[outer_end : word.start()].strip(_GAP) or not belongs:
            break
        outer_end = word.end()
        if known in days and plain[outer_end : outer_end + 1] in (")", "\uff09"):
            end = outer_end = outer_end + 1
    return Found(outer, start, end, outer_end, _date(day, clock, plain, text[start:end], text))


def _named(plain: str, end: int) -> bool:
    """Does a word with a capital follow? Then what looks like a weekday behind a time is a name: "2:29 PM, Sam Lee"."""
    return plain[end : end + 1] == " " and plain[end + 1 : end + 2].isupper()


def _day_and_clock(plain: str) -> tuple[_Day | None, _Clock | None]:
    clock = _clock(_CLOCK.search(plain))
    day = _day(plain, clock)
    if day is not None and clock is None:
        # A time with a dot looks like a date, so the date is taken out before.
        clock = _clock(_DOTTED.search(f"{plain[: day.start]}{' ' * (day.end - day.start)}{plain[day.end :]}"))
        if clock is not None and not clock.votes:
            clock = clock._replace(votes=_DAY_FIRST)  # nobody in America writes 2.14
    return day, clock


def _date(day: _Day | None, clock: _Clock | None, plain: str, text: str, around: str) -> Date:
    if day is None or clock is None:
        return Date(None, None, text)
    on = _chosen(day, clock, plain, around)
    ms = milliseconds(on, (clock.hour, clock.minute, clock.second), clock.zone) if on else None
    return Date(ms, clock.zone if ms is not None else None, text)


# ---------------------------------------------------------------- the time of day


def _clock(found: re.Match[str] | None) -> _Clock | None:
    if found is None:
        return None
    text, start, end, hour = found.string, found.start(), found.end(), int(found[1])
    votes = _NO_VOTES
    half, half_start, half_end, written = _half(text, start, end, hour)
    if half >= 0:
        if hour <= 12:
            hour = hour % 12 + half
        start, end = half_start, half_end
        votes = _votes(written)
    zone = None
    if stated := _ZONE.match(text, end):
        sign, hours, minutes, name = stated.groups()
        if sign:
            zone = offset("+" if sign == "+" else "-", hours, minutes or "0")
            zone = None if sign == "-" and zone == 0 else zone
            end = stated.end()
        elif name in _OWN_ZONES or name.lower() in ZONES:
            zone = _OWN_ZONES.get(name, ZONES.get(name.lower()))
            end = stated.end()
    return _Clock(start, end, hour, int(found[2]), int(found[3] or 0), zone, votes)


_LATIN_HALF = re.compile(r"[\s\u202f\xa0]{0,2}([AaPp])(\.?)([\s\u202f\xa0]?)[Mm](\.?)(?!\w)")


def _half(text: str, start: int, end: int, hour: int) -> tuple[int, int, int, str]:
    """(0 for am, 12 for pm, -1 for neither; where it and the time start and end; as written) of the word beside a time."""
    if latin := _LATIN_HALF.match(text, end):
        return 12 if latin[1] in "pP" else 0, start, latin.end(), latin[0].strip()
    if hour > 12:
        return -1, start, end, ""
    halves = calendar().halves
    after = _TOKEN.search(text, end, end + 24)
    if after and not text[end : after.start()].strip(" \u202f\xa0") and fold(after[0]) in halves:
        stop = after.end() + (text[after.end() : after.end() + 1] == ".")
        return halves[fold(after[0])], start, stop, after[0]
    room = max(0, start - 24)
    words = _TOKEN.findall(text, room, start)
    place = text.rfind(words[-1], room, start) if words else 0
    if not words or text[place + len(words[-1]) : start].strip(" \u202f\xa0"):
        return -1, start, end, ""
    word, known = words[-1], fold(words[-1])
    if known in halves:
        table = calendar()
        # "Sa 12:14", "de 12:14" in one language, "de. 12:14" in another.
        sure = word[-1] == "." or not (known in table.days or known in table.at)
        return (halves[known], place, end, word) if sure else (-1, start, end, "")
    if known >= _IDEOGRAPHS and known[-2:] in halves:  # scripts without blanks: "周四下午2:14"
        return halves[known[-2:]], place + len(word) - 2, end, word
    return -1, start, end, ""


def _votes(half: str) -> frozenset[str]:
    """Americans write "PM"; "p. m." is Spanish, and "pm" is written by those who put the day first, too."""
    if half in {"AM", "PM"}:
        return _AMERICAN
    return _DAY_FIRST if "." in half and half[0] in "ap" else _NO_VOTES


# ---------------------------------------------------------------- the day


def _day(text: str, clock: _Clock | None) -> _Day | None:
    if clock is not None:  # names may hold numbers and months, too
        text = text[: clock.end + FAR]
    if not text.isascii() and (found := _YMD_SIGNS.search(text)):
        year = int(found[1]) + (2000 if len(found[1]) == 2 else 0)
        return _Day(found.start(), found.end(), (("", (year, int(found[2]), int(found[3]))),))
    if (not text.isascii() or "thg" in text) and (found := _THANG.search(text)):
        return _Day(found.start(), found.end(), (("", (int(found[3]), int(found[2]), int(found[1]))),))
    named = _named_day(text, clock)
    if named is not None:
        return named
    found = _NUMBERS.search(text)
    while found and clock is not None and found.start() < clock.end and clock.start < found.end():
        found = _NUMBERS.search(text, found.end())
    return _Day(found.start(), found.end(), tuple(_ways(found))) if found else None


def _ways(found: re.Match[str]) -> Iterator[tuple[str, Ymd]]:
    """What three numbers can mean. Dots are never American. Years of two digits stand in front where Koreans, Chinese or
    Swedes shorten theirs: with dashes or, without zeros, with dots and blanks ("26. 9. 3.").
    """
    first, sign, middle, last = found.groups()
    a, b, c = int(first), int(middle), int(last)
    if len(first) == 4:
        yield "ymd", (a, b, c)
        return
    if len(first) == 3 or len(last) == 3:
        return
    if len(last) > 1:
        yield "dmy", (full_year(last), b, a)
        # Americans pad both or neither; Australians and New Zealanders write 3/09/2026.
        if sign != "." and not (len(first) < len(middle) and middle[0] == "0"):
            yield "mdy", (full_year(last), a, b)
    if len(first) == 2 and len(last) < 3 and (sign == "-" or (sign == "." and " " in found[0] and middle[0] != "0")):
        yield "ymd", (full_year(first), b, c)
    elif len(first) == 2 and len(last) == 2 and sign == "/":
        yield _EASTERN, (full_year(first), b, c)


def _named_day(text: str, clock: _Clock | None) -> _Day | None:
    """A month's name with the day beside it."""
    table = calendar()
    words = list(_TOKEN.finditer(text, max(0, clock.start - 2 * FAR) if clock else 0))
    sides = [words]
    if (
        clock is not None
    ):  # "at 14:14 Jan Novak": no date goes on behind its time but for the year of "Sep 3 14:14 2026"
        sides = [[w for w in words if w.end() <= clock.start], [w for w in words if w.start() >= clock.end]]
    for side in sides:
        near: list[tuple[bool, _Day]] = []
        rest = sides[-1] if side is sides[0] and clock is not None else []
        for at, word in enumerate(side):
            if word[0] <= "9:":
                continue
            known, end = _month(side, at)
            if known and (day := _around_month(side, at, end, known, rest)):
                near.append((known in table.days or known in table.at, day))
        if near:
            # "mar. 3 mars": of two, the one that can't be a weekday, or "at"; then the one beside the time.
            return min(reversed(near) if side is sides[0] else near, key=lambda one: one[0])[1]
    return None


def _month(words: Sequence[re.Match[str]], at: int) -> tuple[str, int]:
    """The folded name of the month that begins with words[at], or "", and the index behind it."""
    table = calendar()
    known = fold(words[at][0])
    if known in table.months or known in table.jalali:
        return known, at + 1
    # Articles grow together with the month in Catalan ("d'octubre") and Hebrew; "كانون الثاني" has two words.
    if known[:1] in ("d", "ב") and known[1:] in table.months:
        return known[1:], at + 1
    if not known.isascii() and at + 1 < len(words) and known + fold(words[at + 1][0]) in table.months:
        return known + fold(words[at + 1][0]), at + 2
    return "", at


def _around_month(
    words: Sequence[re.Match[str]], at: int, stop: int, known: str, rest: Sequence[re.Match[str]]
) -> _Day | None:
    """The day beside the month words[at:stop], and the year beside both or, of ctime's form, first in `rest`."""
    after = _numbers(words[stop : stop + 8])
    before = _numbers(words[max(0, at - 8) : at][::-1])
    day = year = None
    if before and len(before[0][0]) < 3:
        day, year = before[0], next((w for w in (*after[:1], *before[1:2]) if len(w[0]) in {2, 4}), None)
        if after and len(after[0][0]) < 3 and len(before) > 1 and len(before[1][0]) == 4:
            year = before[1]
    elif after and len(after[0][0]) < 3:
        day, year = after[0], next((w for w in (*before[:1], *after[1:2]) if len(w[0]) in {2, 4}), None)
    if year is None and words[-1] in (day, words[stop - 1]):
        year = next((w for w in _numbers(rest[:2]) if len(w[0]) == 4), None)
    if day is None or year is None:
        return None
    start = min(words[at].start(), day.start(), year.start())
    end = max(words[stop - 1].end(), day.end(), year.end())
    return _Day(start, end, tuple(_dated(known, year[0], int(day[0]), words[at].string)), named=True)


def _numbers(words: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    """Numbers that follow at once, but for words that belong to dates ("3 de setembro de 2026")."""
    table = calendar()
    out = []
    for word in words:
        if word[0] <= "9:":
            out.append(word)
        elif (known := fold(word[0])) not in table.at and known not in table.days:
            break
    return out


def _dated(known: str, year: str, day: int, text: str) -> Iterator[tuple[str, Ymd]]:
    table = calendar()
    if known in table.jalali:
        if on := _from_jalali(int(year), table.jalali[known], day):
            yield "", on
    elif len(year) == 4 or not _THAI.search(text):
        for languages, month in table.months[known]:
            yield languages, (full_year(year), month, day)


def _from_jalali(year: int, month: int, day: int) -> Ymd | None:
    """The Gregorian date of a Persian one. Leap years by the cycle of 33 years, which holds from 1178 to 1633."""
    if not (1300 <= year <= 1500 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    before = 365 * (year - 1) + (8 * year + 21) // 33
    ordinal = 226_894 + before + 31 * (month - 1) - max(0, month - 7) + day
    on = calendar_date.fromordinal(ordinal)
    return on.year, on.month, on.day


# ---------------------------------------------------------------- which reading


def _chosen(day: _Day, clock: _Clock, plain: str, around: str) -> Ymd | None:
    if len(day.ways) == 1 and 1900 <= day.ways[0][1][0] < 2200:
        return day.ways[0][1]
    ways = [
        (order, on)
        for order, stated in day.ways
        if _may(order, around) and (on := _gregorian(stated, around)) and _exists(on)
    ]
    if len({on for _, on in ways}) <= 1:
        return ways[0][1] if ways else None
    table = calendar()
    used = sorted(((day.start, day.end), (clock.start, clock.end)))
    rest = f"{plain[: used[0][0]]} {plain[used[0][1] : used[1][0]]} "
    words = [fold(word) for word in _TOKEN.findall(rest) if not word.isdecimal()]
    behind = _TOKEN.finditer(plain, used[1][1])
    words += [fold(word[0]) for word in behind if not (word[0].isdecimal() or _named(plain, word.end()))]
    # A letter is no evidence ("à", "14 h"), where one is not a word; nor is what is a preposition elsewhere.
    telling = [word for word in words if (len(word) > 1 or word >= _IDEOGRAPHS) and word not in table.at]
    weekdays = {number for word in telling for number in table.days.get(word, ())}
    fitting = {on for _, on in ways if calendar_date(*on).weekday() in weekdays}
    if len(fitting) == 1:
        return fitting.pop()
    # "11:32 ص" is Arabic.
    half = [fold(word) for word in _TOKEN.findall(plain, clock.start, clock.end) if not word.isascii()]
    languages = _languages(words + half, around)
    if day.named:
        left = {on for order, on in ways if not languages.isdisjoint(order.split("+"))}
    else:
        foreign = languages and "en" not in languages
        written = clock.votes or (_NO_VOTES if weekdays else _padded(day, clock, plain, words))
        wanted = {table.orders[language] for language in languages} if foreign else written
        left = {on for order, on in ways if order.removesuffix("/") in wanted}
    return left.pop() if len(left) == 1 else None


_PADDED = re.compile(r"0\d/\d\d/\d{4}|\d\d/0\d/\d{4}")
_LETTERS = re.compile(r"[^\W\d_]")


def _padded(day: _Day, clock: _Clock, plain: str, words: Sequence[str]) -> frozenset[str]:
    """Thunderbird writes "On 05/03/2024 19:43, Ann Lee wrote:" in English where the day comes first: American lines of it have
    AM and PM, or no zeros.
    """
    if words[:1] != ["on"] or _LETTERS.search(plain, clock.start, clock.end):
        return _NO_VOTES
    return _DAY_FIRST if _PADDED.fullmatch(plain, day.start, day.end) else _NO_VOTES


def _languages(words: Sequence[str], around: str) -> set[str]:
    """Languages that words of a date speak for, and those words of the head that no two languages share."""
    table = calendar()
    found: set[str] = set()
    for word in words:
        spoken = table.languages.get(word, frozenset())
        if "en" not in spoken:
            found |= spoken
    for token in _TOKEN.finditer(plain_digits(around[:AROUND_LENGTH])):
        found |= table.says.get(fold(token[0]), frozenset())
    return found


def _gregorian(on: Ymd, around: str) -> Ymd | None:
    """Of a date whose year may be counted otherwise; None for years of calendars that can't be told apart."""
    year, month, day = on
    if 1900 <= year < 2200:
        return on
    if 2440 <= year < 2700:  # no other calendar is there yet
        return year - BUDDHIST, month, day
    if 1300 <= year < 1500 and _PERSIAN_DIGIT.search(around):
        return _from_jalali(year, month, day)
    return None


def _may(order: str, around: str) -> bool:
    return order != _EASTERN or _CJK.search(around) is not None


def _exists(on: Ymd) -> bool:
    try:
        calendar_date(*on)
    except ValueError:
        return False
    return True
