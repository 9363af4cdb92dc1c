"""What lies inside parts that are no multiparts: files in texts, OpenPGP armour, S/MIME, winmail.dat."""

from __future__ import annotations

import base64
import binascii
import quopri
import struct
import zlib
from pathlib import Path

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.forms import armour, cms, rtf, uuencode
from mailloom.mail.forms.enriched import readable
from mailloom.mail.forms.tnef import tnef
from mailloom.mail.model import Message
from mailloom.mail.parse import parse, read
from mailloom.mail.parts.mime import Limits, scan

FILE = bytes(range(256)) * 3


def mail(body: bytes, kind: bytes = b"text/plain", more: bytes = b"") -> bytes:
    return b"From: ann@example.org\nSubject: s\nContent-Type: " + kind + b"\n" + more + b"\n" + body


def kinds(one: Message) -> set[str]:
    return {problem.kind for problem in one.problems}


# ---------------------------------------------------------------- uuencode and yEnc


def uu(data: bytes, name: bytes = b"a file.bin", *, mode: bytes = b"644") -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45], backtick=True) for at in range(0, len(data), 45)]
    return b"begin " + mode + b" " + name + b"\n" + b"".join(lines) + b"`\nend\n"


def yenc(data: bytes, name: bytes = b"a file.bin") -> bytes:
    coded = b"".join(
        bytes((61, (v + 106) % 256)) if (v + 42) % 256 in (0, 10, 13, 61) else bytes(((v + 42) % 256,)) for v in data
    )
    lines = []
    while coded:
        cut = 129 if coded[127:128] == b"=" else 128
        lines.append(coded[:cut])
        coded = coded[cut:]
    crc = b"%08x" % binascii.crc32(data)
    size = b"%d" % len(data)
    return (
        b"=ybegin line=128 size=" + size + b" name=" + name + b"\n" + b"\n".join(lines)
        + b"\n=yend size=" + size + b" crc32=" + crc + b"\n"
    )  # fmt: skip


@pytest.mark.parametrize(("coded", "form"), [(uu(FILE), "uuencode"), (yenc(FILE), "yenc")])
@pytest.mark.parametrize("crlf", [False, True])
def test_a_file_in_a_text_is_a_file_and_no_text(coded: bytes, form: str, crlf: bool) -> None:
    raw = mail(b"Here it is:\n" + coded + b"Regards\n", more=b"Content-Transfer-Encoding: 8bit\n")
    one = parse(raw.replace(b"\n", b"\r\n") if crlf else raw)
    assert one.text == "Here it is:\nRegards"
    (file,) = one.attachments
    assert (file.name, file.size, file.inside) == ("a file.bin", len(FILE), form)
    assert scan(raw).payload(file.part) == FILE
    assert not one.problems


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary"])
def test_files_and_armour_are_seen_through_every_encoding(encoding: str) -> None:
    text = (b"Hi\n" + uu(FILE) + SIGNED + b"Bye\n").replace(b"\n", b"\r\n")
    coded = {
        "base64": base64.encodebytes(text).replace(b"\n", b"\r\n"),
        "quoted-printable": quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"),
        "binary": text,
    }[encoding]
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n"
    mime, one = read(head + coded)
    assert one.text == "Hi\nHi Bob,\n-- \n- first\nsecond\nBye"
    assert [a.inside for a in one.attachments] == ["pgp", "uuencode"]
    assert mime.payload(one.attachments[1].part) == FILE


def test_the_part_that_holds_a_file_keeps_all_its_bytes() -> None:
    mime = scan(mail(b"x\n" + uu(FILE)))
    assert mime.payload(0) == (b"x\n" + uu(FILE)).rstrip()
    assert mime.parts[1].parent == 0
    assert mime.text(0) == "x\n"


def test_a_file_inside_does_not_change_what_a_message_is_called() -> None:
    from mailloom.mail.identity import identify

    raw = mail(b"x\n" + uu(FILE))
    mime, one = read(raw)
    mime.parts = mime.parts[:1]
    assert identify(mime, one).id == identify(*read(raw)).id


def test_base64_in_the_form_of_uuencode() -> None:
    coded = base64.encodebytes(FILE)
    one = parse(mail(b"x\nbegin-base64 644 f\n" + coded + b"====\ny\n"))
    assert (one.text, one.attachments[0].size) == ("x\ny", len(FILE))


@pytest.mark.parametrize(
    "prose",
    [
        b"begin 600 yards behind the house.\nThen go on.\n",
        b"begin 644\n",
        b"begin 644 file\nend\n"[:14],
        b"We begin 644 x\nM" + b"A" * 60 + b"\n",
        b"> begin 644 x\n> M" + b"A" * 60 + b"\n> end\n",
        b"=ybegin with this\n",
        b"begin-base64 644 f\nwhat is this?\n",
    ],
)
def test_prose_stays_prose(prose: bytes) -> None:
    one = parse(mail(b"Hello\n" + prose + b"Bye\n"))
    assert one.text == (b"Hello\n" + prose + b"Bye").decode()
    assert one.attachments == ()


def test_a_block_that_was_cut_off_is_kept_and_told() -> None:
    whole = uu(FILE[:200])  # four lines and a short one
    for cut in range(len(whole)):
        one = parse(mail(b"x\n" + whole[:cut]))
        mime = scan(mail(b"x\n" + whole[:cut]))
        if one.attachments:
            # The last byte may be made of half a letter.
            assert FILE.startswith(mime.payload(1).rstrip(b"\0")[:-1])
            assert ("uuencode" in kinds(one)) == (cut < len(whole) - 1)


def test_yenc_tells_when_bytes_are_missing() -> None:
    whole = yenc(FILE)
    assert "yenc" in kinds(parse(mail(b"x\n" + whole[:300])))
    broken = whole.replace(b"crc32=", b"crc32=f")
    assert [b.fault for b in uuencode.blocks(broken)] == ["checksum differs"]
    assert [b.fault for b in uuencode.blocks(whole.replace(b"=yend size=768", b"=yend size=769"))] == [
        "769 bytes promised, 768 found"
    ]


@given(st.binary(min_size=1, max_size=300))
def test_both_forms_give_back_any_bytes(data: bytes) -> None:
    for coded in (uu(data), yenc(data), uu(data).replace(b"`", b" ")):
        assert [block.content for block in uuencode.blocks(coded)] == [data]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_blocks_lie_in_the_data_in_order(noise: bytes, cut: int) -> None:
    data = (noise + b"\n" + uu(b"abc") + noise + b"\n" + yenc(b"abc"))[:cut] + uu(b"x")
    at = 0
    for block in uuencode.blocks(data):
        assert at <= block.start < block.end <= len(data)
        at = block.end


@pytest.mark.parametrize(
    "unit",
    [b"begin 644 a\n", b"begin 644 a\n#0\n", uu(b"abc"), b"=ybegin line=1 name=x\n", b"begin-base64 644 a\nAAAA\n",
     b"-----BEGIN PGP SIGNED MESSAGE-----\n\n", b"-----BEGIN PGP MESSAGE-----\nA: b\n", b"-----BEGIN PGP SIGNATURE-----\n"],
)  # fmt: skip
def test_texts_of_many_blocks_take_linear_time(unit: bytes) -> None:
    linear(scan, lambda n: mail(unit * n), 2000)


# ---------------------------------------------------------------- OpenPGP

SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHi Bob,\n- -- \n- - first\nsecond\n"
    b"-----BEGIN PGP SIGNATURE-----\nVersion: x\n\niQEzBAEB\n=abcd\n-----END PGP SIGNATURE-----\n"
)


def test_what_was_clear_signed_is_text_and_the_signature_a_file() -> None:
    one = parse(mail(SIGNED + b"_______\nlist footer\n"))
    assert one.text == "Hi Bob,\n-- \n- first\nsecond\n_______\nlist footer"
    (file,) = one.attachments
    assert (file.name, file.type, file.inside) == ("signature.asc", "application/pgp-signature", "pgp")
    assert one.marks == ("signed",)


def test_a_quoted_signed_text_is_a_quote() -> None:
    quoted = b"".join(b"> " + line + b"\n" for line in SIGNED.splitlines())
    one = parse(mail(b"No.\n\n" + quoted))
    assert "BEGIN PGP SIGNED" in one.text
    assert one.marks == one.attachments == ()


def test_a_signed_text_without_its_end_is_still_read() -> None:
    one = parse(mail(SIGNED[: SIGNED.index(b"second")]))
    assert one.text == "Hi Bob,\n-- \n- first"
    assert kinds(one) == {"pgp"}


def test_an_encrypted_block_is_listed_and_marked() -> None:
    block = b"-----BEGIN PGP MESSAGE-----\n\nhQEMA8w5\n=abcd\n-----END PGP MESSAGE-----\n"
    one = parse(mail(b"see below\n" + block))
    assert (one.text, one.marks) == ("see below", ("encrypted",))
    assert [(a.name, a.type, a.size) for a in one.attachments] == [
        ("message.asc", "application/pgp-encrypted", len(block.rstrip()))
    ]
    compressed = parse(mail(block.replace(b"hQEM", b"owEB")))
    assert compressed.marks == ()
    assert parse(mail(block[:60])).text == block[:60].decode().strip()


@given(st.binary(max_size=300))
def test_armour_of_anything(data: bytes) -> None:
    for one in armour.armoured(SIGNED[:40] + data + SIGNED):
        assert 0 <= one.start < one.end <= len(SIGNED) + 40 + len(data)


# ---------------------------------------------------------------- S/MIME


def der(tag: int, *values: bytes) -> bytes:
    body = b"".join(values)
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes(4, "big").lstrip(b"\0")
    return bytes((tag, 0x80 | len(length))) + length + body


def ber(tag: int, *values: bytes) -> bytes:
    """The same with its end marked instead of its length stated."""
    return bytes((tag, 0x80)) + b"".join(values) + b"\0\0"


OID = {
    "signed": bytes.fromhex("2a864886f70d010702"), "enveloped": bytes.fromhex("2a864886f70d010703"),
    "data": bytes.fromhex("2a864886f70d010701"), "compressed": bytes.fromhex("2a864886f70d0109100109"),
}  # fmt: skip


def opaque(entity: bytes, kind: str = "signed", *, open_ended: bool = False, pieces: int = 0) -> bytes:
    node = ber if open_ended else der
    octets = der(4, entity)
    if pieces:
        octets = node(0x24, *(der(4, entity[at : at + pieces]) for at in range(0, len(entity), pieces)))
    inner = node(0x30, der(6, OID["data"]), node(0xA0, octets))
    algorithms = node(0x31, node(0x30, der(6, b"\x60\x86\x48"), der(5)))
    return node(0x30, der(6, OID[kind]), node(0xA0, node(0x30, der(2, b"\1"), algorithms, inner, der(0x31, b"tail"))))


ENTITY = (
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Signed w\xc3\xb6rds.\r\n--i\r\nContent-Type: image/png; name=a.png\r\n\r\npng\r\n--i\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\n\r\nhello\r\n--i--\r\n"
)


def p7m(data: bytes, more: bytes = b"") -> bytes:
    return mail(
        base64.encodebytes(data),
        b"application/pkcs7-mime; name=smime.p7m" + more,
        b"Content-Transfer-Encoding: base64\n",
    )


@pytest.mark.parametrize("open_ended", [False, True])
@pytest.mark.parametrize("pieces", [0, 50])
def test_what_was_signed_opaquely_is_read(open_ended: bool, pieces: int) -> None:
    raw = p7m(opaque(ENTITY, open_ended=open_ended, pieces=pieces))
    mime, one = read(raw)
    assert one.text == "Signed w\xf6rds."
    assert one.marks == ("signed",)
    assert [(a.type, a.name, a.inside) for a in one.attachments] == [
        ("application/pkcs7-mime", "smime.p7m", ""), ("image/png", "a.png", "smime"), ("message/rfc822", "", "smime"),
    ]  # fmt: skip
    assert [n.subject for n in one.nested] == ["inner"]
    assert mime.payload(one.attachments[1].part) == b"png"
    assert b"a.png" in mime.head(one.attachments[1].part)
    assert not one.problems


def test_wrapped_twice_compressed_or_by_name_only() -> None:
    inner = b"Content-Type: application/pkcs7-mime\n\n" + opaque(ENTITY)
    assert parse(p7m(opaque(inner))).text == "Signed w\xf6rds."
    packed = zlib.compress(ENTITY)
    compressed = der(
        0x30, der(6, OID["compressed"]),
        der(0xA0, der(0x30, der(2, b"\0"), der(0x30, der(6, b"\x2a")), der(0x30, der(6, OID["data"]), der(0xA0, der(4, packed))))),
    )  # fmt: skip
    one = parse(p7m(compressed))
    assert (one.text, one.marks) == ("Signed w\xf6rds.", ())
    named = p7m(opaque(ENTITY)).replace(b"application/pkcs7-mime", b"application/octet-stream")
    assert parse(named).text == "Signed w\xf6rds."


def test_encrypted_mail_is_listed_and_marked() -> None:
    one = parse(p7m(opaque(b"secret", "enveloped")))
    assert (one.text, one.marks, len(one.attachments)) == ("", ("encrypted",), 1)
    assert not one.problems
    unread = parse(p7m(b"not DER", b"; smime-type=enveloped-data"))
    assert (unread.marks, kinds(unread)) == (("encrypted",), {"smime"})
    pgp = b"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nx\n--b--\n"
    one = parse(mail(pgp, b"multipart/encrypted; boundary=b"))
    assert (one.text, one.marks, len(one.attachments)) == ("", ("encrypted",), 2)


def test_packings_inside_packings_end_with_a_problem() -> None:
    data = ENTITY
    for _ in range(7):
        data = b"Content-Type: application/pkcs7-mime\n\n" + opaque(data)
    one = parse(mail(b"", b"text/plain").split(b"Content-Type", 1)[0] + data)
    assert one.text == ""
    assert kinds(one) == {"packed too deep"}
    assert len(scan(p7m(opaque(ENTITY)), Limits(parts=3)).parts) == 3


def bomb(size: int) -> bytes:
    """A message of a compressed part that says `size` letters and more."""
    packed = zlib.compress(b"Content-Type: text/plain\n\n" + b"a" * size, 9)
    held = der(
        0xA0,
        der(0x30, der(2, b"\0"), der(0x30, der(6, b"\x2a")), der(0x30, der(6, OID["data"]), der(0xA0, der(4, packed)))),
    )
    return b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(
        der(0x30, der(6, OID["compressed"]), held)
    )


@pytest.mark.parametrize("above", [b"", b"Content-Type: message/rfc822\n\n"])
def test_many_bombs_make_no_more_than_one(above: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 50_000
    monkeypatch.setattr("mailloom.mail.parse.LIMITS", Limits(inflated=room))
    raw = mail(b"".join(b"--b\n" + above + bomb(20_000) for _ in range(9)) + b"--b--\n", b"multipart/mixed; boundary=b")
    if above:
        one = parse(raw)
        made = sum(len(n.text) for n in one.nested)
        told = [p.detail for p in one.problems if p.kind == "smime"]
    else:
        mime = scan(raw, Limits(inflated=room))
        made = sum(len(mime.payload(p.index)) for p in mime.parts if p.inside)
        told = [p.detail for p in mime.problems if p.kind == "smime"]
    assert room - 1000 < made <= room
    assert told == ["content cut", *["content not read"] * 6]


@given(st.binary(max_size=60), st.integers(0, 400))
def test_no_bytes_make_the_walk_fail(noise: bytes, cut: int) -> None:
    for whole in (opaque(ENTITY), opaque(ENTITY, open_ended=True, pieces=9)):
        cms.content(whole[:cut] + noise)
        parse(p7m(whole[:cut] + noise + whole[cut + len(noise) :]))
    cms.content(noise)


@pytest.mark.parametrize("unit", [b"\x30\x80", b"\x24\x80", b"\xa0\x80", b"\x04\x00"])
def test_walks_are_linear(unit: bytes) -> None:
    head = opaque(b"", open_ended=True, pieces=1)[:60]
    for at in (15, 19, 40, 50):
        linear(cms.content, lambda n, at=at: head[:at] + unit * n, 20_000)


# ---------------------------------------------------------------- winmail.dat


def attribute(number: int, value: bytes, level: int = 1) -> bytes:
    return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def padded(value: bytes) -> bytes:
    return value + b"\0" * (-len(value) % 4)


def properties(*pairs: tuple[int, int, bytes]) -> bytes:
    out = struct.pack("<I", len(pairs))
    for number, kind, value in pairs:
        out += struct.pack("<HH", kind, number)
        out += padded(value) if kind in (3, 0xB) else struct.pack("<II", 1, len(value)) + padded(value)
    return out


def stream(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22" + b"\x01\x00" + b"".join(attributes)


def attached(name: str, content: bytes, *more: tuple[int, int, bytes]) -> tuple[bytes, ...]:
    wide = (name + "\0").encode("utf-16-le")
    return (
        attribute(0x69002, b"\0" * 14, 2), attribute(0x18010, b"SHORT~1.TXT\0", 2), attribute(0x6800F, content, 2),
        attribute(0x69005, properties((0x3707, 0x1F, wide), *more), 2),
    )  # fmt: skip


def winmail(data: bytes, before: bytes = b"") -> bytes:
    return mail(
        before + b"--b\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(data) + b"--b--\n",
        b"multipart/mixed; boundary=b",
    )  # fmt: skip


CODEPAGE = attribute(0x69007, struct.pack("<II", 1251, 0))


def test_files_of_a_winmail_are_listed_with_their_long_names() -> None:
    png = (0x370E, 0x1E, b"image/png\0")
    data = stream(CODEPAGE, *attached("\u041e\u0442\u0447\u0451\u0442.png", FILE, png), *attached("b.txt", b"words"))
    raw = winmail(data, b"--b\n\nThe mail itself.\n")
    mime, one = read(raw)
    assert one.text == "The mail itself."
    assert [(a.name, a.type, a.size, a.inside) for a in one.attachments] == [
        ("winmail.dat", "application/ms-tnef", len(data), ""),
        ("\u041e\u0442\u0447\u0451\u0442.png", "image/png", len(FILE), "tnef"),
        ("b.txt", "application/octet-stream", 5, "tnef"),
    ]
    assert mime.payload(one.attachments[1].part) == FILE
    assert not one.problems


def test_the_body_of_a_winmail_counts_where_there_is_no_other() -> None:
    plain = (0x1000, 0x1E, "\u041f\u0440\u0438\u0432\u0435\u0442\0".encode("cp1251"))
    html = (
        0x1013,
        0x102,
        "<p>\u041f\u0440\u0438\u0432\u0435\u0442 <b>\u0410\u043d\u043d\u0430</b></p>".encode("cp1251"),
    )
    wide = (0x1000, 0x1F, "\u4f60\u597d\0".encode("utf-16-le"))
    for props, text, origin in (
        ((plain, html), "\u041f\u0440\u0438\u0432\u0435\u0442", "plain"),
        ((html,), "\u041f\u0440\u0438\u0432\u0435\u0442 \u0410\u043d\u043d\u0430", "html"),
        ((wide,), "\u4f60\u597d", "plain"),
    ):
        one = parse(winmail(stream(CODEPAGE, attribute(0x69003, properties(*props)))))
        assert (one.text, one.text_origin) == (text, origin)
        assert [a.name for a in one.attachments] == ["winmail.dat"]
    body = attribute(0x2800C, b"old form\0")
    assert parse(winmail(stream(body))).text == "old form"
    assert parse(winmail(stream(body), b"--b\n\n \n")).text == "old form"
    assert parse(winmail(stream(body), b"--b\n\nother\n")).text == "other"


def test_a_message_inside_a_winmail_gives_its_files() -> None:
    inner = stream(*attached("deep.txt", b"deep"))
    interface = bytes.fromhex("0703020000000000c000000000000046")
    outer = stream(*attached("Re: mail", b"", (0x3701, 0x0D, interface + inner)))
    one = parse(winmail(outer, b"--b\n\nx\n"))
    assert [(a.name, a.type) for a in one.attachments][1:] == [
        ("Re: mail", "application/ms-tnef"), ("deep.txt", "application/octet-stream")
    ]  # fmt: skip


def test_named_and_many_valued_properties_are_passed_over() -> None:
    guid = bytes(16)
    named = struct.pack("<HH", 0x1F, 0x8001) + guid + struct.pack("<II", 1, 6) + padded(b"a\0b\0c\0")
    named += struct.pack("<II", 1, 2) + padded(b"x\0")
    number = struct.pack("<HH", 3, 0x8002) + guid + struct.pack("<III", 0, 7, 9)
    many = struct.pack("<HH", 0x101E, 0x1234) + struct.pack("<I", 2) + (struct.pack("<I", 3) + padded(b"ab\0")) * 2
    many_fixed = struct.pack("<HH", 0x1002, 0x1235) + struct.pack("<I", 2) + b"\1\0\0\0\2\0\0\0"
    text = struct.pack("<HH", 0x1E, 0x1000) + struct.pack("<II", 1, 3) + padded(b"hi\0")
    found = tnef(stream(attribute(0x69003, struct.pack("<I", 5) + named + number + many + many_fixed + text)))
    assert (found.text, found.faults) == (b"hi", [])


def test_a_winmail_that_is_cut_anywhere_gives_what_is_left() -> None:
    whole = stream(CODEPAGE, attribute(0x69003, properties((0x1000, 0x1E, b"body\0"))), *attached("a.txt", b"content"))
    for cut in range(len(whole)):
        found = tnef(whole[:cut])
        assert all(b"content".startswith(f.content) for f in found.files)
        parse(winmail(whole[:cut]))
    assert "tnef" in kinds(parse(winmail(whole[:-20])))
    assert "tnef" in kinds(parse(winmail(b"not one")))


@given(st.binary(max_size=200))
def test_no_bytes_make_tnef_fail(noise: bytes) -> None:
    tnef(stream(noise))
    tnef(stream(attribute(0x69003, noise), attribute(0x69005, noise)))


# ---------------------------------------------------------------- RTF

RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fswiss Arial;}}{\*\generator x;}\uc1\pard Caf\'e9 \b bold\b0  \u8364?5\par"
    b"\n" + rb"\{next\} \ldblquote q\rdblquote\tab t\par}"
)


def lzfu(plain: bytes, raw_size: int | None = None) -> bytes:
    """Literal bytes only, as a compressor may write, and the end."""
    out = b""
    for at in range(0, len(plain), 8):
        out += b"\0" + plain[at : at + 8]
    place = (207 + len(plain)) % 4096
    end = bytes((place >> 4, (place & 15) << 4))
    rest = len(plain) % 8
    if rest:
        head = out[: -(rest + 1)]
        out = head + bytes((1 << rest,)) + plain[-rest:] + end
    else:
        out += b"\1" + end
    size = len(plain) if raw_size is None else raw_size
    return struct.pack("<III", len(out) + 12, size, 0x75465A4C) + b"\0\0\0\0" + out


def test_rich_text_is_read_as_a_reader_saw_it() -> None:
    assert rtf.inflate(lzfu(RTF)) == (RTF, "")
    text, kind = rtf.read(RTF)
    assert (text, kind) == ("Caf\xe9 bold \u20ac5\n{next} \u201cq\u201d\tt\n", "plain")


def test_references_reach_back_into_the_dictionary_and_over_themselves() -> None:
    # "{\rtf1\ansi" from the dictionary by one reference (place 0, 11 letters), then "ab" repeated over itself.
    body = bytes((0b00001001,)) + bytes((0 >> 4, (0 & 15) << 4 | 9)) + b"ab"
    place = 207 + 11
    body += bytes((place >> 4, (place & 15) << 4 | 4))
    end = (207 + 11 + 2 + 6) % 4096
    body = bytes((0b00011001,)) + body[1:] + bytes((end >> 4, (end & 15) << 4))
    data = struct.pack("<III", len(body) + 12, 19, 0x75465A4C) + b"\0" * 4 + body
    assert rtf.inflate(data) == (rb"{\rtf1\ansiabababab", "")


def test_html_that_was_made_into_rich_text_is_got_back() -> None:
    page = (
        rb"{\rtf1\ansi\ansicpg1252\fromhtml1 \deff0{\fonttbl{\f0 Arial;}}"
        rb"{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Hello {\*\htmltag84 <b>}\htmlrtf {\b \htmlrtf0 you{\*\htmltag92 </b>}"
        rb"\htmlrtf }\htmlrtf0 {\*\htmltag84 &amp;}\'e9{\*\htmltag72 </p>}\htmlrtf \par}\htmlrtf0 }"
    )
    assert rtf.read(page) == ("<p>Hello <b>you</b>&amp;\xe9</p>", "html")
    one = parse(winmail(stream(attribute(0x69003, properties((0x1009, 0x102, lzfu(page)))))))
    assert (one.text, one.text_origin) == ("Hello you&\xe9", "html")


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_make_rich_text_fail(noise: bytes, cut: int) -> None:
    rtf.inflate(lzfu(RTF)[:cut] + noise)
    assert len(rtf.inflate(lzfu(b"")[:16] + noise)[0]) <= 9 * len(noise)
    rtf.read(RTF[:cut] + noise)[0].encode()


@pytest.mark.parametrize("unit", [b"{", b"{\\*\\x ", b"\\u1?", b"\\'e9", b"\\par ", b"}", b"a"])
def test_rich_text_takes_linear_time(unit: bytes) -> None:
    linear(rtf.read, lambda n: b"{\\rtf1 " + unit * n, 10_000)


# ---------------------------------------------------------------- enriched


def test_enriched_text_keeps_paragraphs_and_drops_looks() -> None:
    text = (
        "<bold>Now</bold> is\nthe <color><param>red</param>time</color>\n\nfor <<all>\n\n\nmen <nofill>a\n b</nofill>"
    )
    assert readable(text, rich=False) == "Now is the time\nfor <all>\n\nmen a\n b"
    old = "<bold>Now</bold> is<nl>the time<comment>hidden <b>x</b></comment> 1 <lt> 2\nso<paragraph>end</paragraph>"
    assert readable(old, rich=True) == "Now is\nthe time 1 < 2 so\n\nend\n\n"
    one = parse(mail(b"<bold>Hi</bold>\nthere\n\nBob\n", b"text/enriched"))
    assert one.text == "Hi there\nBob"


@given(st.text(alphabet="<>/aparmnofilct\n ", max_size=60))
def test_any_enriched_text_is_read(text: str) -> None:
    assert len(readable(text, rich=False)) <= len(text)
    readable(text, rich=True)


def test_what_lay_inside_is_saved_as_any_attachment(tmp_path: Path) -> None:
    from mailloom.cli.save import save

    raw = winmail(stream(*attached("a.txt", b"words")), b"--b\n\nx\n" + uu(FILE, b"../b.bin"))
    assert {saved.path.name: saved.path.read_bytes() for saved in save(raw, tmp_path)}["a.txt"] == b"words"
    assert (tmp_path / "b.bin").read_bytes() == FILE
    carried = p7m(opaque(ENTITY.replace(b"hello", b"hello\r\n" + uu(FILE, b"deep.bin"))))
    names = {saved.path.name: (saved.carrier, saved.path.read_bytes()) for saved in save(carried, tmp_path / "two")}
    assert names["deep.bin"] == ("1", FILE)
