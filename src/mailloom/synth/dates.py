"""Dates as clients and standards write them."""

from __future__ import annotations

from time import gmtime

from mailloom.synth.words import Language

ZONES = ("{zone}", "{colon}", "{tz}")
"""The fields of `stamp` that tell a zone."""


def stamp(lang: Language, seconds: int, zone: int) -> dict[str, str]:
    """The fields of a date as a client of that language writes it: `seconds` since 1970 UTC, `zone` in minutes east."""
    t = gmtime(seconds + zone * 60)
    sign = "-" if zone < 0 else "+"
    return {
        "wd": lang.weekday[0][t.tm_wday],
        "weekday": lang.weekday[1][t.tm_wday],
        "mon": lang.month[0][t.tm_mon - 1],
        "month": lang.month[1][t.tm_mon - 1],
        "d": str(t.tm_mday),
        "dd": f"{t.tm_mday:02}",
        "m": str(t.tm_mon),
        "mm": f"{t.tm_mon:02}",
        "yyyy": str(t.tm_year),
        "yy": f"{t.tm_year % 100:02}",
        "H": str(t.tm_hour),
        "HH": f"{t.tm_hour:02}",
        "h": str(t.tm_hour % 12 or 12),
        "hh": f"{t.tm_hour % 12 or 12:02}",
        "MM": f"{t.tm_min:02}",
        "SS": f"{t.tm_sec:02}",
        "ampm": lang.ampm[t.tm_hour >= 12],
        "th": "th" if 10 < t.tm_mday < 20 else ORDINALS.get(t.tm_mday % 10, "th"),
        "zone": f"{sign}{abs(zone) // 60:02}{abs(zone) % 60:02}",
        "colon": f"{sign}{abs(zone) // 60:02}:{abs(zone) % 60:02}",
        "tz": lang.tz.get(zone) or gmt(zone),
    }


def gmt(zone: int) -> str:
    """GMT+1, GMT+5:30: what clients write where a zone has no name in the reader's language."""
    hours, minutes = divmod(abs(zone), 60)
    return f"GMT{'-' if zone < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "") if zone else "GMT"


ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def stated(seconds: int, zone: int, with_zone: bool) -> str:
    """The same date for the truth: YYYY-MM-DDTHH:MM, with +HH:MM where the mail states the zone."""
    t = gmtime(seconds + zone * 60)
    tail = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}" if with_zone else ""
    return f"{t.tm_year}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}{tail}"


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rfc_date(seconds: int, zone: int) -> str:
    """RFC 5322 section 3.3."""
    t = gmtime(seconds + zone * 60)
    sign = "-" if zone < 0 else "+"
    return (
        f"{WEEKDAYS[t.tm_wday]}, {t.tm_mday:02} {MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {sign}{abs(zone) // 60:02}{abs(zone) % 60:02}"
    )


def asctime(seconds: int) -> str:
    """The date of an mbox's From_ line, UTC."""
    t = gmtime(seconds)
    return f"{WEEKDAYS[t.tm_wday]} {MONTHS[t.tm_mon - 1]} {t.tm_mday:2} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {t.tm_year}"
