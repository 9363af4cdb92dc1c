"""The generator's promises: the same bytes for the same seed, mail that says what its truth says, bounded memory."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tracemalloc
from base64 import b64decode
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.synth import DEFAULT, Mail, Shape, generate
from mailloom.synth.damage import KINDS
from mailloom.synth.gmail import folded
from mailloom.synth.letter import quoted
from mailloom.synth.mime import parameter
from mailloom.synth.outlook import EPOCH, first_index, next_index
from mailloom.synth.plain import flow, flow_tight
from mailloom.synth.shape import MIXES, SHARES

TRACE = {"return-path", "delivered-to", "received", "dkim-signature", "bcc", "x-gmail-labels"}


@cache
def sample(mails: int = 1000, seed: int = 5, **changes: object) -> tuple[Mail, ...]:
    return tuple(generate(mails, seed, Shape(**changes)))


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """Some ten thousand mails with their truth, kept, would slow each collection of garbage in the modules that follow."""
    yield
    sample.cache_clear()


def sha(mails: object) -> str:
    whole = hashlib.sha256()
    for mail in mails:
        whole.update(mail.raw + repr((mail.delivered, mail.envelope, mail.truth)).encode())
    return whole.hexdigest()


def squeezed(text: str) -> str:
    """Without blanks, line breaks and quote marks at the start of lines: how lines are broken counts for nothing."""
    return "".join(re.sub(r"(?m)^[> ]+", "", text).split())


def parts(mail: Mail) -> list[Message]:
    """Leaf parts of the mail itself, not of the mails attached to it."""
    found, todo = [], [message_from_bytes(mail.raw)]
    while todo:
        part = todo.pop()
        if part.get_content_type() == "message/rfc822":
            continue
        if part.is_multipart():
            todo += reversed(part.get_payload())
        else:
            found.append(part)
    return found


def decoded(part: Message) -> str:
    return part.get_payload(decode=True).decode(part.get_content_charset()).replace("\r\n", "\n")


def shown(part: Message) -> str:
    """Its text, html without its tags."""
    text = decoded(part)
    if part.get_content_subtype() == "html":
        text = unescape(re.sub(r"<[^>]*>", "", re.sub(r"(?s)<style[^>]*>.*?</style>", "", text)))
    return text


def visible(mail: Mail) -> str:
    """The first text part."""
    return shown(next(p for p in parts(mail) if p.get_content_maintype() == "text"))


def bodies(mail: Mail) -> list[str]:
    """Each alternative of the body: attachments and the list's footer aside."""
    texts = [p for p in parts(mail) if p.get_content_maintype() == "text" and not p.get_filename()]
    return [shown(p) for p in texts if "mailman/listinfo" not in decoded(p) or len(texts) == 1]


EVERYONE = {"clients": "+".join(MIXES["clients"]), "langs": "+".join(MIXES["langs"]), "broken": 0, "attached": 0}


def test_same_seed_same_bytes_other_seed_others() -> None:
    assert sha(generate(300, 1)) == sha(generate(300, 1))
    assert sha(generate(300, 1)) != sha(generate(300, 2))


def test_hash_seed_and_process_make_no_difference() -> None:
    code = (
        "import hashlib; from mailloom.synth import generate; h = hashlib.sha256()\n"
        "for m in generate(200, 9): h.update(m.raw)\n"
        "print(h.hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("mails", [0, 1, 2, 17, 501])
def test_as_many_as_asked(mails: int) -> None:
    assert len(list(generate(mails, 3, Shape(again=0.5, late=0.5)))) == mails


def test_every_id_in_the_truth_is_delivered_and_threads_are_closed() -> None:
    mails = sample()
    by_id = {mail.truth.id: mail.truth for mail in mails}
    assert len(by_id) == sum(mail.truth.duplicate_of is None for mail in mails), "ids are unique"
    for truth in by_id.values():
        root = by_id[truth.thread]
        assert root.thread == root.id
        assert root.parent is None
        assert by_id[truth.topic].thread == truth.thread
        if truth.parent is None:
            assert truth.thread == truth.id
        else:
            assert by_id[truth.parent].thread == truth.thread


def test_headers_state_the_parent_unless_lost() -> None:
    lost = 0
    for mail in sample():
        head = message_from_bytes(mail.raw)
        truth = mail.truth
        cited = f"{head['In-Reply-To']} {head['References']}"
        if truth.parent is None:
            assert head["References"] is None
        elif truth.lost_headers:
            lost += 1
            assert head["In-Reply-To"] is head["References"] is None
            assert head["Thread-Index"] is None or len(b64decode(head["Thread-Index"])) == 22
        else:
            assert f"<{truth.parent}>" in cited
        if truth.broken != "no-message-id":
            assert head["Message-ID"] == f"<{truth.id}>"
    assert lost > 10


def test_missing_mail_is_named_but_not_there() -> None:
    mails = sample(600, 5, missing=0.3)
    ids = {mail.truth.id for mail in mails}
    assert any(mail.truth.parent and mail.truth.parent not in ids for mail in mails)


def test_what_the_truth_says_stands_in_every_alternative() -> None:
    seen = set()
    for mail in sample(2500, people=2000, forwards=0.2, attachments=0, **EVERYONE):
        truth = mail.truth
        for body in bodies(mail):
            text = squeezed(body)
            for block in truth.reply_text.split("\n\n"):
                assert squeezed(block) in text, truth
            assert squeezed(truth.signature) in text
            assert squeezed(truth.notice) in text
            assert squeezed(body).startswith(squeezed(truth.banner))
            for inner in truth.nested:
                for block in inner.text.split("\n\n"):
                    assert squeezed(block) in text, (inner, body)
                assert squeezed(inner.name) in text
                assert squeezed(inner.subject) in text
                for name, address in (*inner.to, *inner.cc):
                    assert squeezed(name) in text
                    assert address in text
        seen |= {(truth.client, inner.kind) for inner in truth.nested[:1]}
        seen |= {(truth.client, truth.lang), (truth.client, truth.placed)}
    for client in MIXES["clients"]:
        assert seen >= {(client, kind) for kind in ("quoted", "forwarded", "new", "forward", *MIXES["langs"])}
    assert {client for client, placed in seen if placed == "between"} == {"apple", "gmail", "plain", "thunderbird"}
    assert {client for client, placed in seen if placed == "bottom"} == {"k9", "plain", "thunderbird"}


def test_greeting_and_signoff_are_the_ends_of_what_is_said() -> None:
    seen = set()
    for mail in sample():
        truth = mail.truth
        assert squeezed(truth.reply_text).startswith(squeezed(truth.greeting))
        assert squeezed(truth.reply_text).endswith(squeezed(truth.signoff))
        assert truth.reply_full.startswith(truth.reply_text)
        assert truth.reply_full.endswith(truth.signature)
        assert (truth.placed == "new") == (not truth.nested or truth.nested[0].kind == "attached")
        seen.add((bool(truth.greeting), bool(truth.signoff)))
    assert len(seen) == 4


def test_no_mark_of_bold_goes_out_and_stars_only_where_html_was_bold() -> None:
    starred = set()
    for mail in sample(800, forwards=0.2, **EVERYONE | {"clients": "gmail+outlook+thunderbird", "langs": "en+fr"}):
        assert not any(set("\2\3") & set(body) for body in bodies(mail))
        if re.search(r"(?m)^[> ]*\*[^ *]+:\* ", visible(mail)):
            starred.add(mail.truth.client)
    assert starred >= {"gmail", "thunderbird"}
    assert "outlook" not in starred


@pytest.mark.parametrize("lang", MIXES["langs"])
def test_dates_are_stated_as_the_truth_says(lang: str) -> None:
    """Day, year, hour and minute of each inner message stand near its sender: in 12 or 24 hours, as two digits or one."""
    checked = 0
    for mail in sample(300, 3, forwards=0.2, attachments=0, **{**EVERYONE, "langs": lang}):
        text = visible(mail)
        for inner in mail.truth.nested:
            day, time = inner.date[:16].split("T")
            hour = int(time[:2])
            numbers = set(map(int, re.findall(r"\d+", text)))
            assert {int(day[8:]), int(time[3:])} <= numbers
            assert {int(day[:4]), int(day[2:4])} & numbers
            assert {hour, hour % 12 or 12} & numbers
            checked += 1
    assert checked > 200


@given(st.text(alphabet="ab >-F rom\n", max_size=300))
def test_flowed_lines_read_back_as_they_were(text: str) -> None:
    """Whatever RFC 3676 takes away or joins, no character but blanks changes; nothing at a line's end invites to join by chance."""
    assert flow(text).replace(" ", "") == text.replace(" ", "")
    for line, made in zip(text.split("\n"), flow(text).split("\n"), strict=True):
        if made.endswith(" ") and not made.endswith("-- "):
            assert len(line) > 36
        assert made.removeprefix(" ").rstrip(" ") == line.rstrip(" ") or made.rstrip(" ") == line.rstrip(" ")


def test_delsp_breaks_after_two_blanks_inside_quotes_too() -> None:
    words = " ".join(["word"] * 40)
    first, *_, last = flow_tight(f">> {words}").split("\n")
    assert first.startswith(">> word")
    assert first.endswith("word  ")
    assert len(first) <= 78
    assert last.startswith(">> word")
    assert not last.endswith(" ")


def test_gmail_breaks_its_line_at_a_blank_or_before_the_address() -> None:
    line = "On Mon, Mar 4, 2024 at 9:12 AM Somebody Withalongname <somebody.withalongname@mail.example.com> wrote:"
    assert folded(line).split("\n") == [line[:55], line[55:]]
    assert line[54] == "<"
    short = line.replace("Withalongname", "W")
    assert folded(short).replace("\n", " ").replace("< ", "<") == short
    assert max(map(len, folded(short).split("\n"))) <= 78
    assert folded("x" * 200) == "x" * 200


def test_depths_never_skip_a_level_and_stay_in_bounds() -> None:
    deepest = 0
    for mail in sample(600, 5, depth=3, replies=0.95):
        before = 0
        for inner in mail.truth.nested:
            assert 1 <= inner.depth <= before + 1
            before = inner.depth
            if inner.kind != "attached" and mail.truth.nested[0].kind != "attached":
                deepest = max(deepest, inner.depth)
    assert deepest == 3


def test_forwards_of_answers_to_forwards_occur() -> None:
    chains = {tuple(inner.kind for inner in mail.truth.nested[:4]) for mail in sample(600, 5, forwards=0.4, attached=0)}
    assert chains >= {("forwarded", "quoted", "forwarded", "quoted"), ("quoted", "forwarded", "quoted", "forwarded")}


def test_new_text_is_not_what_is_quoted() -> None:
    for mail in sample():
        for inner in mail.truth.nested:
            assert inner.text != mail.truth.reply_text


def test_the_truth_has_all_that_is_new_in_plain_answers() -> None:
    checked = 0
    for mail in sample(clients="plain", broken=0, forwards=0, attachments=0, attached=0):
        if mail.truth.parent is None:
            continue
        lines = re.split(r"(?m)^(?:-- ?$|____)", visible(mail))[0].split("\n")
        first = next(n for n, line in enumerate(lines) if line.startswith(">"))
        new = [line for n, line in enumerate(lines) if not line.startswith(">") and n != first - 1]
        assert squeezed("\n".join(new)) == squeezed(mail.truth.reply_text)
        checked += 1
    assert checked > 500


def test_quotes_mark_every_line() -> None:
    assert quoted("one\n\n> two\n>> three\n-- ") == "> one\n>\n>> two\n>>> three\n> -- "


def test_copies_arrive_later() -> None:
    mails = sample(500, 5, again=0.5, late=0)
    first = {mail.truth.id: n for n, mail in reversed(list(enumerate(mails)))}
    gaps = [n - first[mail.truth.id] for n, mail in enumerate(mails) if mail.truth.duplicate_of is not None]
    assert min(gaps) > 0
    assert max(gaps) > 20


def test_copies_differ_in_the_trace_alone() -> None:
    def content(mail: Mail) -> tuple[list[tuple[str, str]], bytes]:
        raw = mail.raw.replace(b"\r\n", b"\n")
        fields = [(n, str(v)) for n, v in message_from_bytes(raw).items() if n.lower() not in TRACE]
        return fields, raw.partition(b"\n\n")[2]

    mails = sample(again=0.08)
    originals = {mail.truth.id: mail for mail in mails if mail.truth.duplicate_of is None}
    copies = [mail for mail in mails if mail.truth.duplicate_of is not None]
    assert len(copies) > 20
    for copy in copies:
        original = originals[copy.truth.duplicate_of]
        assert content(copy) == content(original)
        assert copy.raw != original.raw
    assert any(b"\nBcc: " in copy.raw for copy in copies)


def test_every_charset_of_every_language_occurs_and_decodes_strictly() -> None:
    seen = set()
    for mail in sample(1600, 8, langs="+".join(MIXES["langs"]), broken=0, attachments=0):
        for part in parts(mail):
            if part.get_content_maintype() == "text":
                decoded(part)
                seen.add(part.get_content_charset())
                assert part.get_payload(decode=True).decode(part.get_content_charset()) is not None
    assert seen == {
        "us-ascii", "utf-8", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
        "windows-1256", "koi8-r", "iso-2022-jp", "shift_jis", "gb18030",
    }  # fmt: skip


def test_encodings_keep_their_word() -> None:
    seen = set()
    for mail in sample(broken=0):
        for part in parts(mail):
            encoding = part["Content-Transfer-Encoding"]
            seen.add(encoding)
            body = part._payload.encode("ascii", "surrogateescape")
            assert body.isascii() or encoding == "8bit"
        assert max(map(len, mail.raw.split(b"\n"))) <= 998
    assert seen == {"7bit", "8bit", "quoted-printable", "base64"}


def test_encoded_words_are_short_enough_and_say_the_subject() -> None:
    for mail in sample():
        head = message_from_bytes(mail.raw)
        if mail.truth.broken == "raw-8bit-header":
            continue
        for word in re.findall(r"=\?[^? ]+\?[BQ]\?[^? ]*\?=", head["Subject"] + head["From"]):
            assert len(word) <= 75
        assert "=?" not in str(make_header(decode_header(head["Subject"])))
        assert str(make_header(decode_header(head["From"]))).isprintable()


@pytest.mark.parametrize(
    "name", ["plain.pdf", "größe.pdf", "отчёт за март и за апрель.docx", "請求書" * 9 + ".pdf", "a*b (é).png"]
)
def test_file_names_survive(name: str) -> None:
    for style in ("2231", "2047"):
        part = message_from_bytes(
            f"Content-Disposition: attachment;\n\t{parameter('filename', name, style)}\n\n".encode()
        )
        assert str(make_header(decode_header(part.get_filename()))) == name


def test_thread_index_grows_by_five_bytes_a_reply() -> None:
    mails = sample(clients="outlook", lost=0, broken=0, forwards=0, attached=0)
    index = {m.truth.id: b64decode(message_from_bytes(m.raw)["Thread-Index"]) for m in mails}
    grown = 0
    for mail in mails:
        own = index[mail.truth.id]
        assert own[0] == 1
        if mail.truth.parent is None:
            assert len(own) == 22
            head = int.from_bytes(own[:6], "big") << 16
            date = parsedate_to_datetime(message_from_bytes(mail.raw)["Date"]).timestamp()
            assert abs(head / 10_000_000 - EPOCH - date) < 1, "the head is the FILETIME of the date, to 2**16 ticks"
        else:
            grown += 1
            assert own[:-5] == index[mail.truth.parent]
    assert grown > 400


@given(st.integers(0, 4_000_000_000), st.integers(0, 200_000_000), st.randoms(use_true_random=False))
def test_thread_index_blocks_are_always_five_bytes(seconds: int, later: int, rng: object) -> None:
    head = first_index(seconds, rng)
    assert len(head) == 22
    grown = next_index(head, seconds + later, rng)
    assert grown[:22] == head
    assert len(grown) == 27
    near = not grown[22] & 0x80
    passed = (int.from_bytes(grown[22:26], "big") & 0x7FFFFFFF) << (18 if near else 23)
    assert abs(passed / 10_000_000 - later) < 2, "the block tells the time since the head"


def test_attachments_are_named_and_attached_mails_are_mails_of_the_same_traffic() -> None:
    mails = sample(600, 5, attachments=0.5, attached=0.2, attachment_size=500, broken=0)
    ids = {mail.truth.id for mail in mails}
    kinds = set()
    for mail in mails:
        names = []
        for part in parts(mail):
            name = part.get_filename()
            if part.get_content_disposition() == "attachment":
                said = str(make_header(decode_header(name)))
                if part.get_content_type() == "application/octet-stream" and said.endswith(".eml"):
                    attached = message_from_bytes(part.get_payload(decode=True))
                    assert attached["Message-ID"].strip("<>") in ids
                    kinds.add("eml")
                else:
                    names.append(said)
                    assert part.get_payload(decode=True)
        assert tuple(names) == mail.truth.attachments
        for part in message_from_bytes(mail.raw).walk():
            if part.get_content_type() == "message/rfc822":
                kinds.add("rfc822")
                assert part.get_payload(0)["Message-ID"].strip("<>") in ids
        top = message_from_bytes(mail.raw)
        enclosed = [p for p in top.walk() if p.get_content_type() == "message/rfc822"]
        assert bool(enclosed) <= any(inner.kind == "attached" for inner in mail.truth.nested)
    assert kinds == {"eml", "rfc822"}


def test_every_damage_happens_and_is_named() -> None:
    mails = sample(800, 4, broken=1.0, again=0)
    assert {mail.truth.broken for mail in mails} == set(KINDS)
    for mail in mails:
        head = message_from_bytes(mail.raw)
        match mail.truth.broken:
            case "no-date":
                assert head["Date"] is None
            case "bad-date":
                with pytest.raises(ValueError, match=r".*"):
                    parsedate_to_datetime(head["Date"])
            case "no-message-id":
                assert head["Message-ID"] is None
            case "raw-8bit-header":
                assert not mail.raw.partition(b"\n\n")[0].isascii()
            case "garbled-in-reply-to":
                assert head["References"] is None
                assert head["In-Reply-To"].strip() != f"<{mail.truth.parent}>"
            case "truncated":
                assert f"--{head.get_boundary()}--".encode() not in mail.raw
            case "wrong-charset":
                part = next(p for p in parts(mail) if p.get_content_maintype() == "text")
                if mail.truth.reply_text.isascii():
                    continue  # what is not ASCII is in the signature or in a quote
                try:
                    assert squeezed(mail.truth.reply_text) not in squeezed(decoded(part)), "mojibake"
                except UnicodeDecodeError:
                    assert part.get_content_charset() == "us-ascii"
            case "bad-base64":
                assert b"!*-" in mail.raw


def test_lists_sign_their_mail() -> None:
    mails = [mail for mail in sample(broken=0) if mail.truth.list]
    assert len(mails) > 100
    for mail in mails:
        head = message_from_bytes(mail.raw)
        assert head["To"] == mail.truth.list
        assert mail.truth.list.replace("@", ".") in head["List-Id"]
        assert any("mailman/listinfo" in decoded(p) for p in parts(mail) if p.get_content_charset())
        assert "mailman/listinfo" not in mail.truth.reply_text


def test_dates_rise_unless_mail_is_late() -> None:
    def dates(mails: tuple[Mail, ...]) -> list[float]:
        return [parsedate_to_datetime(message_from_bytes(mail.raw)["Date"]).timestamp() for mail in mails]

    in_order = dates(sample(500, 5, late=0, again=0, broken=0))
    assert in_order == sorted(in_order)
    late = dates(sample(500, 5, late=0.3, again=0, broken=0))
    assert late != sorted(late)


def test_conversations_have_the_share_of_replies_and_a_heavy_tail() -> None:
    mails = sample(4000, 5, again=0, forwards=0, attached=0, attachments=0)
    replies = sum(mail.truth.parent is not None for mail in mails) / len(mails)
    assert 0.65 < replies < 0.75
    sizes: dict[str, int] = {}
    for mail in mails:
        sizes[mail.truth.thread] = sizes.get(mail.truth.thread, 0) + 1
    ordered = sorted(sizes.values())
    assert ordered[len(ordered) // 2] <= 2
    assert ordered[-1] >= 30
    assert max(s for s in sizes.values()) <= DEFAULT.longest


def test_no_foreign_domain() -> None:
    for mail in sample(broken=0):
        for domain in re.findall(rb"[\w.+=-]+@([\w.-]+)", mail.raw.replace(b"\r", b"").partition(b"\n\n")[0]):
            assert re.search(rb"(^|\.)example\.(com|org|net)$", domain), domain


def test_mean_size_is_steered() -> None:
    sizes = [len(mail.raw) for mail in generate(1500, 3, Shape(size=12_000, attachments=0))]
    assert 10_000 < sum(sizes[500:]) / len(sizes[500:]) < 14_500


def test_memory_does_not_grow_with_the_stream() -> None:
    def peak(mails: int) -> int:
        tracemalloc.start()
        for _ in generate(mails, 1, shape):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    shape = Shape(concurrency=5, delay=10, attachments=0, people=20, langs="en:1+ja:1")
    peak(10)  # reads the languages
    assert peak(900) < 1.8 * peak(300)


def test_long_mails_are_not_kept_whole() -> None:
    """Answers to long mails quote their beginning."""
    mails = list(generate(500, 2, Shape(size=300_000, attachments=0, html=0)))
    assert any(len(mail.truth.reply_text) > 30_000 for mail in mails)
    for mail in mails:
        for inner in mail.truth.nested:
            assert len(inner.text) <= 24_000


@given(
    st.builds(
        Shape,
        **{name: st.sampled_from((0.0, 0.5, 1.0)) for name in SHARES - {"missing"}},
        missing=st.sampled_from((0.0, 0.5)),
        concurrency=st.integers(1, 5),
        longest=st.integers(1, 5),
        depth=st.integers(0, 3),
        delay=st.integers(1, 9),
        people=st.integers(2, 30),
        size=st.sampled_from((0, 1, 3000)),
        attachment_size=st.sampled_from((1, 300)),
        clients=st.sampled_from((*MIXES["clients"], DEFAULT.clients)),
        langs=st.sampled_from((*MIXES["langs"], DEFAULT.langs)),
    ),
    st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_any_shape_gives_mail(shape: Shape, seed: int) -> None:
    mails = list(generate(25, seed, shape))
    assert len(mails) == 25
    for mail in mails:
        assert message_from_bytes(mail.raw)["From"]
        assert mail.raw.count(b"\r\n") in {0, mail.raw.count(b"\n")}, "all lines end alike"
