"""What heads and attribution lines state: people and dates as clients write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from effort import linear
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mailloom.mail.inside import stated as stated_module
from mailloom.mail.inside.stated import author, people, stated
from mailloom.mail.inside.when import when


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


@pytest.mark.parametrize(
    ("line", "name", "address"),
    [
        ("On Thu, Sep 3, 2026 at 2:14 PM Ann Lee <ann@example.org> wrote:","Ann Lee","ann@example.org"),
        ("On Thu, Sep 3, 2026 at 2:14 PM Ann Lee via Plans <plans@lists.example.org> wrote:","Ann Lee via Plans","plans@lists.example.org"),
        ("On Thursday, September 3rd, 2026 at 14:14, Ann Lee <ann@example.org> wrote:","Ann Lee","ann@example.org"),
        ("On 3 Sep 2026, at 14:14, Lee, Ann (Example Ltd) <ann@example.org> wrote:","Lee, Ann (Example Ltd)","ann@example.org"),
        ("On 9/3/26 2:14 PM, April May wrote:","April May",""),
        ("April May wrote on Sep 3, 2026 at 2:14 PM:","April May",""),
        ("On 2026-09-03 14:14, A. Smith wrote:","A. Smith",""),
        ("Am Do., 3. Sept. 2026 um 14:14 Uhr schrieb Jürgen Groß <jg@example.de>:","Jürgen Groß","jg@example.de"),
        ("Am 03.09.26 um 14:14 schrieb Jürgen Groß:","Jürgen Groß",""),
        ("Jürgen Groß schrieb am 03.09.2026 um 14:14:","Jürgen Groß",""),
        ("Zitat von Jürgen Groß <jg@example.org>:","Jürgen Groß","jg@example.org"),
        ("Le jeu. 3 sept. 2026 à 14:14, Zoé d'Arc <zoe@example.fr> a écrit :","Zoé d'Arc","zoe@example.fr"),
        ("Zoé d'Arc a écrit le 03/09/2026 à 14:14 :","Zoé d'Arc",""),
        ("El jue, 3 sept 2026 a las 14:14, José Ñandú (<jose@example.es>) escribió:","José Ñandú","jose@example.es"),
        ("Em qui., 3 de set. de 2026 às 14:14, João Conceição <joao@example.br> escreveu:","João Conceição","joao@example.br"),
        ("Il giorno gio 3 set 2026 alle ore 14:14 Nicolò Verdi <nv@example.it> ha scritto:","Nicolò Verdi","nv@example.it"),
        ("Il 03/09/26 14:14, Nicolò Verdi ha scritto:","Nicolò Verdi",""),
        ("Op do 3 sep. 2026 om 14:14 schreef Jan de Vries <jan@example.nl>:","Jan de Vries","jan@example.nl"),
        ("Op 3-9-2026 om 14:14 schreef De Vries, Jan:","De Vries, Jan",""),
        ("Den tors 3 sep. 2026 kl 14:14 skrev Åsa Öberg <asa@example.se>:","Åsa Öberg","asa@example.se"),
        ("Den 2026-09-03 kl. 14:14, skrev Åsa Öberg:","Åsa Öberg",""),
        ("to 3. syysk. 2026 klo 14.14 Väinö Mäki (vaino@example.fi) kirjoitti:","Väinö Mäki","vaino@example.fi"),
        ("Väinö Mäki kirjoitti 3.9.2026 klo 14.14:","Väinö Mäki",""),
        ("czw., 3 wrz 2026 o 14:14 Łukasz Żak <lz@example.pl> napisał(a):","Łukasz Żak","lz@example.pl"),
        ("W dniu 3.09.2026 o 14:14, Łukasz Żak pisze:","Łukasz Żak",""),
        ("čt 3. 9. 2026 v 14:14 odesílatel Jiří Čech <jc@example.cz> napsal:","Jiří Čech","jc@example.cz"),
        ("чт, 3 сент. 2026 г. в 14:14, Пётр Иванов <petr@example.ru>:","Пётр Иванов","petr@example.ru"),
        ("03.09.2026 14:14, Пётр Иванов пишет:","Пётр Иванов",""),
        ("чт, 3 вер. 2026 р. о 14:14 Олена Шевчук <olena@example.ua> пише:","Олена Шевчук","olena@example.ua"),
        ("Στις Πέμ 3 Σεπ 2026 στις 2:14 μ.μ., ο χρήστης Νίκος Παπάς <np@example.gr> έγραψε:","Νίκος Παπάς","np@example.gr"),
        ("3 Eyl 2026 Per, 14:14 tarihinde Ayşe Işık <ayse@example.tr> şunu yazdı:","Ayşe Işık","ayse@example.tr"),
        ("Ann Lee <ann@example.org> ezt írta (időpont: 2026. szept. 3., Cs, 14:14):","Ann Lee","ann@example.org"),
        ("În joi, 3 sept. 2026 la 14:14, Ștefan Țară <st@example.ro> a scris:","Ștefan Țară","st@example.ro"),
        ("2026年9月3日(木) 14:14 山田 花子 <hanako@example.jp>:","山田 花子","hanako@example.jp"),
        ("山田 花子さんは書きました:","山田 花子",""),
        ("王小明 <wang@example.cn> 于2026年9月3日周四 下午2:14写道：","王小明","wang@example.cn"),
        ("李 <li@example.cn> 於 2026年9月3日 週四 下午2:14寫道：","李","li@example.cn"),
        ("2026년 9월 3일 (목) 오후 2:14, 김철수 <kim@example.kr>님이 작성:","김철수","kim@example.kr"),
        ("\u202bفي الخميس، 3 سبتمبر 2026 في 2:14 م تمت كتابة ما يلي بواسطة \u202aليلى حسن\u202c\u200f <\u202aleila@example.org\u202c\u200f>:\u202c","ليلى حسن","leila@example.org"),
        ("\u202bבתאריך יום ה׳, 3 בספט׳ 2026 ב-14:14 מאת \u202aדנה כהן\u202c\u200f <\u202adana@example.il\u202c\u200f>:\u202c","דנה כהן","dana@example.il"),
        ("در تاریخ پنجشنبه ۱۲ شهریور ۱۴۰۵،\u200f ۱۴:۱۴ مریم رضایی <maryam@example.ir> نوشت:","مریم رضایی","maryam@example.ir"),
        ("Vào Th 5, 3 thg 9, 2026 vào lúc 14:14 Nguyễn An <an@example.vn> đã viết:","Nguyễn An","an@example.vn"),
        ("ในวันที่ พฤ. 3 ก.ย. 2026 เวลา 14:14 สมชาย ใจดี <somchai@example.th> เขียนว่า:","สมชาย ใจดี","somchai@example.th"),
        ("Pada tanggal Kam, 3 Sep 2026 pukul 14.14 Budi Santoso <budi@example.id> menulis:","Budi Santoso","budi@example.id"),
        ("ann@example.org (Ann Lee) wrote on 3 Sep 2026 14:14:","Ann Lee","ann@example.org"),
        ("ann@example.org <mailto:ann@example.org> wrote:","","ann@example.org"),
        ("Ann Lee <ann@example.org <mailto:ann@example.org>> wrote:","Ann Lee","ann@example.org"),
        ('"Ann Lee" <ann@example.org> writes:',"Ann Lee","ann@example.org"),
        ("'Ann Lee' <ann@example.org> writes:","Ann Lee","ann@example.org"),
        ("Ann Lee (2026-09-03 14:14):","Ann Lee",""),
        ("On 01/09/2025 04.47, Ann Lee < ann at example.org > wrote:","Ann Lee","ann at example.org"),
        ("On Thu, 3 Sep 2026 14:14:00 +0200, Ann Lee wrote:","Ann Lee",""),
        ("On Thu, Sep 03, 2026 at 02:14:00PM +0200, Ann Lee wrote:","Ann Lee",""),
        ("Dana Scully wrote:","Dana Scully",""),
        ("On Kawara wrote:","On Kawara",""),
        ("* Ann Lee (ann@example.org) [260903 14:14]:","Ann Lee","ann@example.org"),
        ("В чт, 03/09/2026 в 14:14 +0300, Пётр Иванов пишет:","Пётр Иванов",""),
        ("Il giorno 03/set/2026, alle ore 14:14, Nicolò Verdi ha scritto:","Nicolò Verdi",""),
        ("Dne 3. 9. 2026 v 14:14 Jiří Čech napsal(a):","Jiří Čech",""),
        ("Dňa 3. 9. 2026 o 14:14 Ján Novák napísal(a):","Ján Novák",""),
        ("---- On Thu, 03 Sep 2026 14:14:00 +0200 Ann Lee <ann@example.org> wrote ----","Ann Lee","ann@example.org"),
        ("Ann Lee <ann@example.org> 於 2026-09-03 14:14 寫道：","Ann Lee","ann@example.org"),
    ],
)  # fmt: skip
def test_who_wrote_in_any_order_and_script(line, name, address):
    found = stated(line)
    assert pair(found.from_) == [(name, address)]
    wrapped = stated(line.replace(", ", ",\n", 1))
    assert pair(wrapped.from_) == [(name, address)]
    assert pair(stated("> " + line.replace(" <", "\n> <", 1)).from_) == [(name, address)]
    if "2026" in line and "260903" not in line:
        assert found.date.ms == wrapped.date.ms
        assert found.date.ms is not None


@pytest.mark.parametrize(
    ("value", "who"),
    [
        ("Ann Lee [mailto:ann@example.org] On Behalf Of Bob Ray", [("Bob Ray", "")]),
        ("plans-bounces@lists.example.org [mailto:plans-bounces@lists.example.org] On Behalf Of Ray, Bob", [("Ray, Bob", "")]),
        ("Ann Lee <ann@example.org> im Auftrag von Bob Ray <bob@example.net>", [("Bob Ray", "bob@example.net")]),
        ("Lee, Ann", [("Lee, Ann", "")]),
        ("Ann Lee", [("Ann Lee", "")]),
        ("Ann Lee <ann@example.org>; Bob <bob@example.net>", [("Ann Lee", "ann@example.org")]),
        ("", []),
    ],
)  # fmt: skip
def test_a_from_line_names_one(value, who):
    assert pair(author(value)) == who


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("Ray, Bob; Doe, Eve", [("Ray, Bob", ""), ("Doe, Eve", "")]),
        ("Ann Lee <ann@example.org>; Ray, Bob <bob@example.net>; Doe, Eve", [("Ann Lee", "ann@example.org"), ("Ray, Bob", "bob@example.net"), ("Doe, Eve", "")]),
        ("Ann Lee [ann@example.org]", [("Ann Lee", "ann@example.org")]),
        ("Ann Lee (ann@example.org)", [("Ann Lee", "ann@example.org")]),
        ("Ann Lee (Example) <ann@example.org>, Bob", [("Ann Lee (Example)", "ann@example.org"), ("Bob", "")]),
        ("Ann Lee [mailto:ann@example.org]; 'Bob' [SMTP:bob@example.net]", [("Ann Lee", "ann@example.org"), ("Bob", "bob@example.net")]),
        ("Ann Lee<mailto:ann@example.org>", [("Ann Lee", "ann@example.org")]),
        ('"Ann Lee"<ann@example.org<mailto:ann@example.org>>, Bob<bob@example.net<mailto:bob@example.net>>', [("Ann Lee", "ann@example.org"), ("Bob", "bob@example.net")]),
        ("Ann Lee/Sales/Example@Example", [("Ann Lee/Sales/Example@Example", "")]),
        ("\u202aAnn Lee\u202c\u200f <\u202aann@example.org\u202c\u200f>", [("Ann Lee", "ann@example.org")]),
    ],
)  # fmt: skip
def test_people_of_labelled_lines(value, want):
    assert pair(people(value)) == want


def test_who_forwarded_did_not_write():
    found = stated(
        "---------------------- Forwarded by Ann Lee/Sales/Example on 09/03/2026 02:14 PM ---------------------------"
    )
    assert (found.from_, found.date.ms) == ((), None)


@given(st.text(st.sampled_from("ab <>()[]\"',:@.-/\0\1\n>123年 um"), max_size=60))
def test_no_head_raises(text):
    stated(text)
    stated(f"On 3 Sep 2026, {text} <ann@example.org> wrote:")
    people(text)
    author(text)


@pytest.mark.parametrize(
    "unit", ["<a@", "(", "a@b ", "[mailto:", " at ", "<a at b.c ", "x;", "On Behalf Of ", "3 Sep ", "\u200f"]
)
def test_four_times_the_line_is_four_times_the_work(unit):
    def read(text):
        stated(text + " wrote:")
        people(text)
        author(text)

    linear(read, lambda n: unit * n, 5_000 // len(unit))


NAMES = st.lists(
    st.sampled_from(
        [
            "Ann",
            "Lee",
            "O'Neil",
            "Jean-Luc",
            "J.",
            "Li",
            "van",
            "De",
            "Sun",
            "LI",
            "Jr.",
            "Ünal",
            "Lee,",
            "at",
        ]
    ),
    min_size=1,
    max_size=4,
).map(" ".join)
USUAL = st.builds(
    "On {0}{1} {2:02}:{3:02}{4}{5}{6} {7}{8} wrote:".format,
    st.sampled_from(["", "Thu, ", "Sun, "]),
    st.one_of(
        st.builds(
            "{} {} {}".format, st.integers(1, 31), st.sampled_from(stated_module._MONTHS), st.integers(1899, 2201)
        ),
        st.builds(
            "{} {}, {} at".format, st.sampled_from(stated_module._MONTHS), st.integers(0, 32), st.integers(1990, 2030)
        ),
        st.builds(
            "{} {:02}, {}".format, st.sampled_from(stated_module._MONTHS), st.integers(0, 32), st.integers(1990, 2030)
        ),
    ),
    st.integers(0, 24),
    st.integers(0, 60),
    st.sampled_from(["", ":30"]),
    st.sampled_from(["", " AM", " PM", "PM"]),
    st.sampled_from(["", ",", " +0200", " -0000,", " +0530,", " -0730", " +9900"]),
    NAMES,
    st.sampled_from(["", " <ann@example.org>", " < a.b+c@mail.example.com>", " <ann@localhost>"]),
)


@given(USUAL)
@settings(max_examples=400)
def test_the_usual_form_is_read_like_any_other(line):
    usual = stated_module._usual(line)
    event("usual" if usual else "other")
    assert usual in (None, stated_module._attributed(line))


def test_the_usual_forms_of_clients_are_usual():
    for line in (
        "On Thu, Sep 3, 2026 at 2:14 AM Ann Lee <ann@example.org> wrote:",
        "On Thu, 3 Sep 2026 02:14:30 +0200\nAnn Lee <ann@example.org> wrote:",
        "On Thu, Sep 03, 2026 at 02:14:30PM +0200, Ann Lee wrote:",
    ):
        assert stated_module._usual(line) == stated_module._attributed(" ".join(line.split())) == stated(line)


def test_names_like_words_of_dates_are_names_in_the_usual_form():
    found = stated("On Sun, 1 Mar 2026 08:00:00 +0000, Jan May <jan@example.org> wrote:")
    assert (pair(found.from_), found.date.ms) == ([("Jan May", "jan@example.org")], 1772352000000)


@pytest.mark.parametrize(
    ("line", "name", "day"),
    [
        ("On 05/03/2024 19:43, Ann Lee wrote:", "Ann Lee", "2024-03-05"),
        ("On 05/03/24 19:43, Ann Lee wrote:", "Ann Lee", None),
        ("On 5/3/2024 19:43, Ann Lee wrote:", "Ann Lee", None),
        ("On 05/03/2024 07:43 PM, Ann Lee wrote:", "Ann Lee", "2024-05-03"),
        ("On Mar 4, 2024, at 2:29 PM, Sam Lee <sam@example.org> wrote:", "Sam Lee", "2024-03-04"),
        ("On 08/03/2024 00:24, Sam Lee wrote:", "Sam Lee", "2024-03-08"),
        ("Op 05-03-2024 om 11:33 schreef de Vries, Ann:", "de Vries, Ann", "2024-03-05"),
        (
            "Wiadomość napisana przez Ann Lee <ann@example.org> w dniu 4 mar 2024, o godz. 01:26:",
            "Ann Lee",
            "2024-03-04",
        ),
        ("Em 5 de março de 2024 às 15:28:41 BRT, Ann Lee <ann@example.org> escreveu:", "Ann Lee", "2024-03-05"),
    ],
)
def test_what_stands_beside_a_date_is_told_from_a_name(line, name, day):
    found = stated(line)
    assert found.from_[0].name == name
    assert (found.date.ms and str(datetime.fromtimestamp(found.date.ms / 1000, UTC).date())) == day


def test_a_half_of_the_day_in_arabic_tells_its_order():
    found = stated(
        "من: Ann <ann@example.org>\nالتاريخ: 07/03/2024  11:32 ص  (GMT+02:00)\nإلى: b@example.org\nالموضوع: x"
    )
    assert found.date.ms == 1709803920000
