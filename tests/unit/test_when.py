"""Dates as clients state them: every language of the table in the forms of many clients, and nothing where two readings are left."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pkgutil import get_data

import pytest
from effort import linear
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.mail.cut.months import calendar, fold
from mailloom.mail.inside.when import find, when
from mailloom.mail.parts.dates import date as header_date

TABLE = tomllib.loads((get_data("mailloom.mail.cut", "months.toml") or b"").decode())
NAMED = [language for language, words in TABLE.items() if words["months"]]
MINUTES = st.integers(631_152_000 // 60, 3_124_223_999 // 60).map(
    lambda n: datetime.fromtimestamp(60 * n, UTC)
)  # 1990 to 2068


def minute(got):
    return None if got.ms is None else datetime.fromtimestamp(got.ms / 1000, UTC)


def forms(language, name, number):
    """The spellings of a month or a day in a language."""
    written = TABLE[language].get(name, "").split("|")
    return (
        [form.replace(".", " ") if language != "th" else form for form in written[number].split()] if written[0] else []
    )


def ambiguous(word):
    senses = calendar().months.get(fold(word.replace(" ", "")), ())
    return len({month for _, month in senses}) > 1


def test_at_least_36_languages():
    assert len(TABLE) >= 50
    for words in TABLE.values():
        for name, count in (("months", 12), ("days", 7), ("jalali", 12)):
            assert not words.get(name) or len(words[name].split("|")) == count


# Gmail, Apple Mail, Outlook, Thunderbird, Yahoo, Proton, mutt: what is left when the language's words are put in.
CLIENTS = [
    "{weekday}, {day} {month} {year} {at} {hour:02}:{minute:02}",
    "{weekday} {day}. {month} {year} {hour:02}:{minute:02}",
    "{weekday}., {day} {month}. {year} {at} {hour}:{minute:02}",
    "{day}. {month}. {year} {at} {hour:02}:{minute:02}:00",
    "{month} {day}, {year} {at} {hour}:{minute:02}",
    "{year} {month} {day}, {weekday} {hour:02}:{minute:02}",
    "{year}. {month} {day}., {weekday}, {hour:02}:{minute:02}",
    "{day} {month} {year}, {hour:02}h{minute:02}",
    "{day}. {month} {year} {at} {hour:02}.{minute:02}",
    "{day}-{month}-{year} {hour:02}:{minute:02}",
    "{hour:02}:{minute:02}, {day} {month} {year}",
    "{day} {month} {year} {hour:02}:{minute:02} {weekday}",
]


@given(st.sampled_from(NAMED), st.sampled_from(CLIENTS), MINUTES, st.data())
def test_every_month_and_day_of_every_language(language, client, moment, data):
    month = data.draw(st.sampled_from(forms(language, "months", moment.month - 1)))
    weekday = data.draw(st.sampled_from([*forms(language, "days", moment.weekday()), ""]))
    at = data.draw(st.sampled_from([*TABLE[language].get("at", "").split(), ""]))
    words = {"month": month, "weekday": weekday, "at": at, "day": moment.day, "year": moment.year}
    text = client.format(**words, hour=moment.hour, minute=moment.minute)
    got = minute(when(text))
    assert got == moment or (got is None and ambiguous(month)), text
    assert when(text).text == text
    assert when(text).zone is None


@pytest.mark.parametrize("language", NAMED)
def test_each_month_once(language):
    for number in range(12):
        for form in forms(language, "months", number):
            for shown in (form, form.upper(), form.title()):
                want = datetime(2026, number + 1, 3, 14, 14, tzinfo=UTC)
                assert minute(when(f"3 {shown}. 2026 14:14")) == want or ambiguous(form)


HALVES = [(language, hours, form) for language, words in TABLE.items() for hours, name in ((0, "am"), (12, "pm"))
          for form in words.get(name, "").split() if form not in {"преди", "след"}]  # fmt: skip


@pytest.mark.parametrize(("language", "hours", "form"), HALVES)
def test_halves_of_the_day(language, hours, form):
    for hour in range(1, 13):
        at = hour % 12 + hours
        # What is a weekday or a preposition in another language has a dot there.
        before = f"{form}." if fold(form) in calendar().days or fold(form) in calendar().at else form
        for text in (
            f"2026-09-03 {hour}:14 {form}",
            f"2026-09-03, {before} {hour}:14",
            f"3.9.2026 {before} {hour}:14:00",
        ):
            assert minute(when(text)).hour == at, text


def test_every_client_of_one_language():
    same = datetime(2026, 9, 3, 14, 14, tzinfo=UTC)
    for text in (
        "Thu, Sep 3, 2026 at 2:14\u202fPM", "Thursday, September 3, 2026 2:14 PM", "Thursday, September 3rd, 2026 at 2:14 PM",
        "3 Sep 2026, at 14:14", "September 3, 2026 at 2:14:00 PM", "9/3/2026 2:14 PM", "9/3/26, 2:14 PM", "09/03/2026 02:14 PM",
        "2026-09-03 2:14 p.m.", "Thu Sep  3 14:14:00 2026", "Thu, 3 Sep 2026 14:14:00", "03-Sep-26 14:14", "3rd of September 2026 14:14",
        "2026年9月3日(木) 14:14", "2026年9月3日 木曜日 午後 2:14", "2026年9月3日周四 下午2:14", "2026年9月3日星期四下午2:14", "2026年9月3日 14時14分",
        "2026년 9월 3일 (목) 오후 2:14", "2026. 9. 3. 오후 2:14", "26. 9. 3. 오후 2:14", "2026/09/03 14:14", "2026-09-03T14:14",
        "Th 5, 3 thg 9, 2026 lúc 14:14", "3 tháng 9 năm 2026 2:14 CH", "พฤ. 3 ก.ย. 2026 เวลา 14:14", "3 กันยายน 2569 14:14",
        "3/9/2569 14:14 น.", "٣ سبتمبر ٢٠٢٦ ٢:١٤ م", "پنجشنبه ۱۲ شهریور ۱۴۰۵،\u200f ۱۴:۱۴", "۱۴۰۵/۶/۱۲ ۱۴:۱۴", "۳ سپتامبر ۲۰۲۶ ۲:۱۴ ب.ظ.",
        "יום ה׳, 3 בספט׳ 2026 ב-14:14", '3 בספטמבר 2026 בשעה 2:14 אחה"צ', "Πέμ, 3 Σεπ 2026 στις 2:14 μ.μ.", "3 Σεπ 2026 2:14 ΜΜ",
        "3 Eylül 2026 Perşembe ÖS 2:14", "2026. szept. 3., Cs, du. 2:14", "3 de septiembre de 2026, 2:14 p. m.", "03/09/2026 02:14 p. m.",
        "jeu. 3 sept. 2026 à 14 h 14", "le 03/09/2026 à 14h14", "3.9.2026 klo 14.14", "3. syyskuuta 2026 klo 14.14.00", "torsdag 3. sep. 2026 kl. 14.14",
        "Do., 3. Sept. 2026 um 14:14 Uhr", "03.09.26, 14:14", "03. 09. 26 v 14:14", "ion 5.4 #0 SMP Thu Sep 3 14:14:00 2026", "3. 9. 2026 14:14", "03. 09. 2026. u 14:14", "2026 m. rugsėjo 3 d. 14:14",
        "2026. gada 3. septembris plkst. 14:14", "og., 2026(e)ko ira. 3(a) (14:14)", "3 de setembre de 2026 a les 14:14",
        "Thu 03/09/2026 14:14", "la 03/09/2026 14:14", "do 03/09/2026 14:14", "3/09/2026 2:14 PM", "03/09/2026 14.14", "3 Sept 2026 14:14",
    ):  # fmt: skip
        assert minute(when(text)) == same, text


def test_languages_decide_where_a_word_means_two_months():
    assert minute(when("3 listopad 2026 14:14")) is None
    for text, month in (
        ("czw., 3 listopada 2026 14:14", 11), ("utorak, 3. listopada 2026. u 14:14", None), ("čtvrtek 3. listopad 2026 14:14", 11),
    ):  # fmt: skip
        got = minute(when(text))
        assert (got and got.month) == month or (month is None and got.month in {10, 11})
    assert minute(when("3 listopad 2026 14:14", "Dnia 3 listopad 2026 14:14 Ann napisał:")).month == 11
    assert minute(when("3 listopad 2026 14:14", "Dana 3 listopad 2026 14:14 Ann je napisao:")).month == 10


@pytest.mark.parametrize(
    ("line", "month"),
    [
        ("Le 03/09/2026 14:14, Ann a écrit :", 9),
        ("Op 03-09-2026 14:14 schreef Ann:", 9),
        ("El 03/09/2026 14:14, Ann escribió:", 9),
        ("Em 03/09/2026 14:14, Ann escreveu:", 9),
        ("Il 03/09/26 14:14, Ann ha scritto:", 9),
        ("Από: Ann\nΣτάλθηκε: 03/09/2026 14:14\nΘέμα: x", 9),
        ("On 03/09/2026 14:14, Ann wrote:", None),
        ("On 03/09/2026 2:14 PM, Ann wrote:", 3),
        ("On 3/9/26 2:14 PM, Ann wrote:", 3),
        ("On 03/09/2026 2:14 pm, Ann wrote:", None),
        ("On 03-09-26 14:14, Ann wrote:", None),
        ("03/09/2026 14:14", None),
        ("On 03/09/2026 14:14, Jan de Vries wrote:", None),
        ("On 03/09/2026 14:14, Ann a écrit wrote:", None),
        ("On 23/09/2026 14:14, Ann wrote:", 9),
        ("On 23/09/26 14:14, Ann wrote:", 9),
        ("差出人: Ann\n送信日時: 26/09/03 14:14\n件名: x", 9),
        ("名: Ann\n日付: 26/09/03 14:14\n件名: x", None),
        ("On 09/23/2026 14:14, Ann wrote:", 9),
    ],
)
def test_which_of_two_numbers_is_the_day(line, month):
    start = next(i for i, c in enumerate(line) if c.isdigit())
    end = max(i for i, c in enumerate(line) if c.isdigit()) + 1
    stop = end + 3 if line[end : end + 3].strip().lower() in {"am", "pm"} else end
    got = minute(when(line[start:stop], line))
    assert (got and got.month) == month


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1990, 2060), st.sampled_from("/-"))
def test_two_small_numbers_are_never_guessed(day, month, year, sign):
    got = minute(when(f"{day:02}{sign}{month:02}{sign}{year} 14:14"))
    assert got is None or day == month


@given(st.integers(1, 31), st.integers(1, 12), st.integers(1990, 2060), st.booleans())
def test_a_weekday_tells_the_order_or_nothing_does(day, month, year, american):
    try:
        moment = datetime(year, month, day, 14, 14, tzinfo=UTC)
    except ValueError:
        return
    numbers = f"{month:02}/{day:02}" if american else f"{day:02}/{month:02}"
    got = minute(when(f"{moment:%A} {numbers}/{year} 14:14"))
    assert got in {None, moment}
    if got is None:
        assert datetime(year, day, month, tzinfo=UTC).weekday() == moment.weekday()


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("3 Sep 2026 14:14 GMT+02:00", 120), ("3 Sep 2026 14:14 GMT+2", 120), ("3 Sep 2026 14:14 UTC+2", 120), ("3 Sep 2026 14:14 +0200", 120),
        ("Thu, 3 Sep 2026 14:14:05 +0200 (CEST)", 120), ("3 Sep 2026 14:14 (CEST)", 120), ("3. September 2026 um 14:14 Uhr MESZ", 120),
        ("3 settembre 2026 alle ore 14:14:00 CEST", 120), ("Thursday, September 3, 2026 2:14 PM (UTC+01:00) Amsterdam, Berlin", 60),
        ("2026년 9월 3일 (목) 오후 2:14 (GMT+09:00)", 540), ("2026-09-03T14:14:00Z", 0), ("3 Sep 2026 14:14 -0700 (PDT)", -420),
        ("3 Sep 2026 14:14 -0000", None), ("3 Sep 2026 14:14 EDT", -240), ("3 Sep 2026 14:14 XYZT", None), ("Sep 3 14:14:05 UTC 2026", 0),
        ("14:14 03-09-2026 Thu", None), ("3 sep. 2026 14:14 met", None), ("2026-09-03 14:14 +05:30", 330), ("(UTC+02:00) 2026-09-03 14:14", None),
    ],
)  # fmt: skip
def test_zones(text, zone):
    got = when(text)
    assert got.ms is not None
    assert got.zone == zone
    local = datetime.fromtimestamp(got.ms / 1000, timezone(timedelta(minutes=zone or 0)))
    assert (local.month, local.day, local.hour, local.minute) == (9, 3, 14, 14)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "99/99/9999 99:99", "3 September 2026", "September 2026 14:14", "14:14", "令和8年9月3日 14:14", "平成30年9月3日 14:14",
        "民國115年9月3日 14:14", "3 ก.ย. 69 14:14", "1447/3/21 14:14", "٢١/٣/١٤٤٧ ١٤:١٤", "31 February 2026 14:14", "3 Sep 2026 25:14",
        "3 Sep 2026 14:74", "3 Sep 20267 14:14", "3 Quintilis 2026 14:14", "2026-13-03 14:14", "0/0/2026 14:14",
    ],
)  # fmt: skip
def test_no_date_rather_than_a_wrong_one(text):
    assert when(text).ms is None
    assert when(text).text == text


@pytest.mark.parametrize(("year", "nowruz"), [(1358, "1979-03-21"), (1375, "1996-03-20"), (1399, "2020-03-20"), (1400, "2021-03-21"), (1403, "2024-03-20"), (1404, "2025-03-21")])  # fmt: skip
def test_persian_new_year(year, nowruz):
    assert minute(when(f"1 فروردین {year} 00:00")).strftime("%Y-%m-%d") == nowruz


@given(MINUTES)
def test_what_the_header_has_is_read_like_the_header(moment):
    text = moment.strftime("%a, %d %b %Y %H:%M:%S +0000")
    assert when(text) == header_date(text)


@given(st.text(max_size=120))
@example("1/1/1 1:11")
@example("0000-00-00 00:00")
@example("١٢٣٤/٥/٦ ١:٢٣")
@example("3 may 0000 1:11 +9999")
@example("²/²/2²2 2:²2")
def test_no_text_raises(text):
    assert when(text, text).text == text
    found = find(text)
    if found is not None:
        assert 0 <= found.outer <= found.start < found.end <= found.outer_end <= len(text)


@given(st.lists(st.sampled_from(["3", "9", "2026", " ", "/", ".", "-", ":", "14", "Sep", "mar", "may", "PM", "p. m.", "+02", "年", "月", "Thu", "26", "(", "Th 5", "thg", "\0", "م", "de"]), max_size=14))  # fmt: skip
def test_no_mixture_raises(pieces):
    text = "".join(pieces)
    when(text, text)
    find(text)


@given(st.sampled_from(NAMED), st.sampled_from(CLIENTS), MINUTES, st.data())
def test_the_date_is_found_whole_between_names(language, client, moment, data):
    month = data.draw(st.sampled_from(forms(language, "months", moment.month - 1)))
    text = client.format(
        month=month, weekday="", at="", day=moment.day, year=moment.year, hour=moment.hour, minute=moment.minute
    )
    line = f"Xqann\0{text.strip()}\0Xqbob"
    found = find(line)
    assert found.outer > 5
    assert found.outer_end < len(line) - 5
    assert minute(found.date) == moment or ambiguous(month)


@pytest.mark.parametrize(
    "unit", ["3 ", "Sep ", "14:14 ", "3.9.", "2026-", "3/9/", "年9月", "a", "м. ", "(", "th 5, ", "1:"]
)
def test_long_lines_cost_no_more_than_their_length(unit):
    def read(text):
        for _ in range(20):
            when(text, text)
            find(text)

    linear(read, lambda n: unit * n, 5000)
