"""Dates as mail states them -> milliseconds and zone. Linear, and never raises."""

from __future__ import annotations

import re
from datetime import date as calendar_date

from mailloom.mail.model import Date

_COMMENT = re.compile(r"\([^()]*\)")
_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
# RFC 5322 section 4.3, and the names that are used and mean one thing. A name that is not here states no zone.
ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420,
    "mdt": -360, "pst": -480, "pdt": -420, "akst": -540, "akdt": -480, "hst": -600, "bst": 60, "west": 60, "cet": 60,
    "met": 60, "cest": 120, "mest": 120, "eet": 120, "sast": 120, "eest": 180, "msk": 180, "hkt": 480, "sgt": 480,
    "jst": 540, "kst": 540, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780,
}  # fmt: skip
_USUAL = re.compile(
    r"(?:[A-Za-z]{3},? )? ?(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d)(?::(\d\d))?"
    r"(?: ([+-])(\d\d)(\d\d)(?: \([^()]*\))?)?"
)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ,]+(\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?")
_TIME = re.compile(r"\b(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,]\d+)?)?(?: ?([AaPp])\.?[Mm]\b)?")
_TOKEN = re.compile(r"[A-Za-z]+|\d+|[+-]")
_SLASHES = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)\b")
_ZONE = re.compile(r"(?:\b(?:GMT|UTC|UT) ?)?([+-])(\d{1,2}):?(\d\d)?\b(?!-)|([A-Za-z]{1,20})\b", re.IGNORECASE)
# Longer than any way to write a date; the rest of such a header is not looked at.
DATE_LENGTH = 200


def date(value: str) -> Date:
    """A date in the form of RFC 5322 section 3.3, the obsolete one of 4.3, or the broken ones seen in mail: ctime, two-digit
    years, no seconds, AM and PM, ISO 8601, dashes, m/d/y with AM or PM. Out of range or not a date: ms is None.

    `zone` is None where none is stated, where it is -0000 (RFC 5322: the local zone is unknown) and where its name is unknown;
    ms then counts as if in UTC.
    """
    usual = _USUAL.fullmatch(value)
    if usual:
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = usual.groups()
        zone = offset(sign, zone_hours, zone_minutes) if sign else None
        on = int(year), _MONTHS.get(month.lower(), 0), int(day)
        ms = milliseconds(on, (int(hour), int(minute), int(second or 0)), zone)
        return Date(ms, zone if ms is not None and (zone or sign == "+") else None, value)
    return _loose_date(value)


def _loose_date(value: str) -> Date:
    text = value[:DATE_LENGTH]
    for _ in range(3 if "(" in text else 0):  # comments nest
        text = _COMMENT.sub(" ", text)
    text = " ".join(text.split())
    iso = _ISO.match(text)
    if iso:
        numbers = [int(part or 0) for part in iso.groups()]
        on, at = (numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5])
        zone = _stated_zone(text[iso.end() :])
    else:
        time = _TIME.search(text)
        if not time:
            return Date(None, None, value)
        hour = int(time[1])
        if time[4]:
            if not 1 <= hour <= 12:
                return Date(None, None, value)
            hour = hour % 12 + (12 if time[4] in "pP" else 0)
        at = hour, int(time[2]), int(time[3] or 0)
        on = _day(text[: time.start()], text[time.end() :], bool(time[4]))
        zone = _stated_zone(text[time.end() :])
    ms = milliseconds(on, at, zone)
    return Date(ms, zone if ms is not None else None, value)


def _day(before: str, after: str, american: bool) -> tuple[int, int, int]:
    """Year, month and day from what stands around the time; month 0 where there is no date."""
    slashes = _SLASHES.search(before)
    if slashes:
        first, second = int(slashes[1]), int(slashes[2])
        # 3/9/2026 may be in March or in September; AM and PM are American, a number above 12 is a day.
        if second > 12 or (american and first <= 12):
            return full_year(slashes[3]), first, second
        return (full_year(slashes[3]), second, first) if first > 12 else (0, 0, 0)
    month, numbers = 0, []
    for token in _TOKEN.findall(before):
        if token.isdigit():
            numbers.append(token)
        elif not month:
            month = _MONTHS.get(token[:3].lower(), 0)
    if len(numbers) == 1:  # ctime: the year is behind the time, before or after the zone
        tokens = _TOKEN.findall(after)
        numbers += [
            t for i, t in enumerate(tokens) if len(t) == 4 and t.isdigit() and (i == 0 or tokens[i - 1] not in "+-")
        ][:1]
    if len(numbers) != 2:
        return 0, 0, 0
    if len(numbers[0]) == 4:
        numbers.reverse()
    return full_year(numbers[1]), month, int(numbers[0][:3])


def full_year(digits: str) -> int:
    year = int(digits[:5])
    if len(digits) >= 4:
        return year
    # RFC 5322 section 4.3: two digits below 50 are in this century; three digits count from 1900.
    return year + (2000 if len(digits) == 2 and year < 50 else 1900)


def _stated_zone(text: str) -> int | None:
    for sign, hours, minutes, name in _ZONE.findall(text):
        if sign:
            zone = offset(sign, hours, minutes or "0")
            return None if zone == 0 and sign == "-" else zone
        if name.lower() in ZONES:
            return ZONES[name.lower()]
    return None


def offset(sign: str, hours: str, minutes: str) -> int:
    """Minutes east of UTC."""
    size = int(hours) * 60 + int(minutes)
    return size if sign == "+" else -size


def milliseconds(day: tuple[int, int, int], time: tuple[int, int, int], zone: int | None) -> int | None:
    """Of (year, month, day) and (hour, minute, second). Second 60 is a leap second; a year before 1900 is a broken clock."""
    hour, minute, second = time
    if day[0] < 1900 or hour > 23 or minute > 59 or second > 60:
        return None
    # No place on Earth is 16 hours from UTC.
    if zone is not None and abs(zone) >= 16 * 60:
        return None
    try:
        days = calendar_date(*day).toordinal() - 719163  # 1970-01-01
    except ValueError:
        return None
    return ((days * 24 + hour) * 60 + minute - (zone or 0)) * 60_000 + second * 1000
