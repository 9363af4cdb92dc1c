"""From a draft to the bytes that arrive: headers, attachments, a list's additions, and the trace that each delivery leaves."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from random import Random

from mailloom.synth.cast import Person
from mailloom.synth.damage import Whole
from mailloom.synth.dates import rfc_date
from mailloom.synth.letter import Draft, Letter, fitting
from mailloom.synth.mailers import MAILERS
from mailloom.synth.mime import Part, attachment, block, multipart, picture, text_part, words
from mailloom.synth.words import fill, paragraph, pick


@dataclass(frozen=True, slots=True)
class Headers:
    """What binds a mail to others: its own id, and what it states of those before it (empty where lost)."""

    id: str
    in_reply_to: str
    references: tuple[str, ...]
    index: bytes


# RFC 5322 sets no end to References; clients cut the middle out before a header gets too long for them.
REFERENCES_KEPT = 20


def new_id(author: Person, seconds: int, number: int, rng: Random) -> str:
    """A Message-ID in the manner of the author's client; `number` makes it the only one."""
    mailer = MAILERS[author.client]
    return f"{mailer.id(rng, seconds, number)}@{mailer.provider or author.host}"


def whole(letter: Letter, draft: Draft, headers: Headers, parts: tuple[Part, ...], rng: Random) -> Whole:
    """The mail without its trace. `parts` are attachments."""
    author, circle = letter.author, letter.circle
    wide, mailer = letter.lang.wide, MAILERS[author.client]
    content = body(letter, draft, parts, rng)
    subject = draft.prefix + letter.subject
    if circle is not None and circle.name != "users":
        subject = f"{draft.prefix}[{circle.name}] {letter.subject}"
    charset = fitting(subject, draft.charset)
    fields = [("MIME-Version", "1.0")] if author.client == "gmail" else []
    if headers.references:
        fields.append(("References", "\n ".join([f"<{reference}>" for reference in headers.references])))
    if headers.in_reply_to:
        fields.append(("In-Reply-To", f"<{headers.in_reply_to}>"))
    fields += (
        ("From", author.mailbox),
        ("Date", rfc_date(letter.seconds, author.zone)),
        ("Message-ID", f"<{headers.id}>"),
        ("Subject", words(subject, charset, wide)),
    )
    to = [person.mailbox for person in letter.to]
    cc = [person.mailbox for person in letter.cc]
    if circle is not None:
        to, cc = [circle.address], [*to, *cc] if letter.kind == "reply" else []
    fields.append(("To", ",\n\t".join(to)))
    if cc:
        fields.append(("Cc", ",\n\t".join(cc)))
    if headers.index:
        fields += (
            ("Thread-Topic", words(letter.subject, charset, wide)),
            ("Thread-Index", index_text(headers.index)),
        )
    if author.client != "gmail":
        fields.append(("MIME-Version", "1.0"))
    if mailer.header is not None:
        fields.append(mailer.header)
    if circle is not None:
        fields += (
            ("List-Id", f"<{circle.name}.{circle.domain}>"),
            ("List-Post", f"<mailto:{circle.address}>"),
            ("List-Unsubscribe", f"<https://{circle.domain}/mailman/options/{circle.name}>"),
            ("Precedence", "list"),
        )
    parent_date = rfc_date(letter.parent.seconds, letter.parent.author.zone) if letter.parent else ""
    return Whole((*fields, *content.fields), content.body, subject, draft.text.isascii(), parent_date)


def index_text(index: bytes) -> str:
    """Thread-Index in base64, a long one folded as Exchange folds it."""
    coded = b64encode(index).decode()
    return "\n ".join(coded[at : at + 60] for at in range(0, len(coded), 60))


def footed(draft: Draft) -> bool:
    """Whether Mailman writes its footer into the text: into a mail of one plain part. To any other it adds a part."""
    return not draft.page and draft.encoding != "base64"


def body(letter: Letter, draft: Draft, parts: tuple[Part, ...], rng: Random) -> Part:
    """Alternatives, attachments and a list's footer, nested as the clients and Mailman do."""
    circle = letter.circle
    single = not draft.page and not parts
    plain = draft.body
    if circle is not None and single and footed(draft):
        plain += f"\n{circle.footer}"
    pieces: list[Part] = []
    if plain or not draft.page:
        pieces.append(text_part("plain", plain, draft.charset, draft.encoding, draft.extra))
    if draft.page:
        pieces.append(text_part("html", draft.page, draft.charset, draft.encoding))
    mailer = MAILERS[letter.author.client]
    preamble, boundary = mailer.preamble, mailer.boundary
    content = pieces[0] if len(pieces) == 1 else multipart("alternative", boundary(rng), pieces, preamble=preamble)
    if draft.picture:
        kind = f' type="{"multipart/alternative" if len(pieces) > 1 else "text/html"}";'
        content = multipart("related", boundary(rng), (content, picture(draft.picture)), kind, preamble)
    if parts:
        content = multipart("mixed", boundary(rng), (content, *parts), preamble=preamble)
    if circle is not None and not (single and footed(draft)):
        footer = text_part("plain", circle.footer, "us-ascii", "7bit")
        content = multipart("mixed", f"==============={rng.getrandbits(62):019}==", (content, footer))
    return content


KINDS = {
    "pdf": ("application/pdf", b"%PDF-1.4\n"),
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK\x03\x04"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
    "log": ("text/plain", b""),
    "diff": ("text/x-patch", b""),
}
# The tail of the sizes ends here: what large providers still accept.
LARGEST_ATTACHMENT = 20_000_000


def attachments(letter: Letter, count: int, median: int, rng: Random) -> tuple[tuple[str, ...], tuple[Part, ...]]:
    """So many attachments, their names and parts; sizes are log-normal around the median."""
    names, parts = [], []
    for _ in range(count):
        name = fill(letter.lang, pick(rng, letter.lang.files), rng, ("",))
        kind, magic = KINDS[name.rpartition(".")[2]]
        size = min(LARGEST_ATTACHMENT, int(rng.lognormvariate(0, 1) * median) + 1)
        if kind.startswith("text/"):
            line = paragraph(letter.lang, rng, (letter.author.given,), 4).encode() + b"\n"
            data = (line * (size // len(line) + 1))[:size]
            data = data.decode(errors="ignore").encode()
        else:
            data = magic + rng.randbytes(max(1, size - len(magic)))
        names.append(name)
        parts.append(attachment(name, kind, data, "2047" if MAILERS[letter.author.client].exchange else "2231"))
    return tuple(names), tuple(parts)


def trace(letter: Letter, reader: Person, delivered: int, rng: Random, copy: bool) -> bytes:
    """The lines on top that differ between deliveries of one mail; a copy's may hold Bcc and labels."""
    author = letter.author
    relay = f"relay{int(rng.random() * 9)}.{reader.host}"
    fields: list[tuple[str, str]] = [("Return-Path", f"<{author.address}>"), ("Delivered-To", reader.address)]
    hop = delivered
    by, source = f"mx.{reader.host}", relay
    for n in range(1 + int(rng.random() * 3)):
        host = f"{source} ({source} [192.0.2.{int(rng.random() * 254) + 1}])"
        via = f"by {by} (Postfix) with ESMTPS id {rng.getrandbits(44):011X}"
        fields.append(("Received", f"from {host}\n\t{via}\n\tfor <{reader.address}>; {rfc_date(hop, 0)}"))
        by, source = source, f"out{n}.{author.host}"
        hop -= int(rng.random() * 3)
    if author.client == "gmail" and not copy:
        signature = urlsafe_b64encode(rng.randbytes(192)).decode()
        folded = "\n         ".join(signature[at : at + 64] for at in range(0, len(signature), 64))
        fields.append(
            (
                "DKIM-Signature",
                f"v=1; a=rsa-sha256; c=relaxed/relaxed;\n        d={author.host}; s=s1; h=from:to:subject;\n         b={folded}",
            )
        )
    if copy and rng.random() < 0.3:
        fields.append(("Bcc", reader.mailbox))
    if copy and rng.random() < 0.3:
        fields.append(("X-Gmail-Labels", pick(rng, ("Inbox,Important", "Sent", "Archived,Projects/Scales"))))
    return block(tuple(fields))
