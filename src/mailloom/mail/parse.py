"""bytes -> Message: what one mail says, with the messages inside it. Never raises, whatever the bytes.

Attached messages are read like the mail itself, each with its own headers, body and attachments, by a list of work to do: no
sender chooses how deep Python recurses.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from mailloom.mail.cut.segment import cut
from mailloom.mail.inside.nested import inline
from mailloom.mail.model import Address, Attachment, Message, Nested, Problem, Trace
from mailloom.mail.parts import header
from mailloom.mail.parts.mime import LIMITS, Mime, Part, scan
from mailloom.mail.people.address import RECIPIENTS, addresses
from mailloom.mail.people.author import ORIGINAL, authors
from mailloom.mail.people.mailbox import valid
from mailloom.mail.text.body import Body, body
from mailloom.mail.text.kinds import kinds

# Messages inside messages inside messages: real ladders end below ten. Each level reads its bytes once more, so that this bounds
# the work to so many times the size of the mail.
NESTED_DEPTH = 20
# A day's digest of a busy list has some hundred messages.
NESTED_MESSAGES = 1000

# RFC 5322 section 3.6: at most one of each.
_SINGULAR = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "content-type",
)  # fmt: skip
_ALIASES = ("resent-message-id", "x-original-message-id", "original-message-id", "x-microsoft-original-message-id")
# Each field that is read -> what it is asked for by.
_NEEDED = {
    **{name: name for name in (*_SINGULAR, *_ALIASES, *ORIGINAL, "thread-index", "list-id", "auto-submitted")},
    **{name: name for name in ("received", "return-path", "bcc", "resent-bcc", "x-keywords", "x-folder")},
    **dict.fromkeys(("delivered-to", "x-original-to", "x-delivered-to", "envelope-to", "x-envelope-to"), "delivered"),
    **dict.fromkeys(("x-gmail-labels", "keywords", "x-label"), "labels"),
}
# The headers of a message, which a report is about (RFC 6522 section 4, RFC 6533 section 5): no body is missing there.
_HEADERS_ONLY = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "message/news"}) | _HEADERS_ONLY
_CARRIERS = frozenset(
    {"application/octet-stream", "application/x-message", "application/eml", "application/x-eml", "text/plain"}
)
_LOOKS_LIKE_MAIL = re.compile(
    rb"(?:[\r\n]*(?:>?From [^\n]*\n)?)(?:return-path|received|from|to|cc|subject|date|message-id|mime-version|x-[\w\-]+)[ \t]*:[^\n]*\n"
    rb"(?:[ \t][^\n]*\n)*+[\w\-]+[ \t]*:",
    re.IGNORECASE,
)
_NO_REPLY = re.compile(r"(?:do[-_.]?)?not?[-_.]?reply(?![a-z])", re.IGNORECASE)
_BOUNCERS = frozenset({"mailer-daemon", "mail-daemon", "postmaster"})
# RFC 2142 and the shared mailboxes of companies.
_ROLES = re.compile(
    r"abuse|accounts|admin|administrator|billing|contact|enquiries|feedback|hello|help|helpdesk|hostmaster|hr|info|inquiries|jobs"
    r"|mail|marketing|news|newsletter|noc|notifications?|office|orders|press|root|sales|security|service|support|team|webmaster"
)


def parse(raw: bytes) -> Message:
    """One mail as a value. Any bytes are a mail: what is odd in them is told in `problems`."""
    return message(scan(raw))


def read(raw: bytes) -> tuple[Mime, Message]:
    """The same with the structure, for those who need both."""
    mime = scan(raw)
    return mime, message(mime)


def message(mime: Mime) -> Message:
    """A mail as a value, for one whose structure is known already."""
    head = _Head.of(mime)
    main = body(mime)
    subject = head.text("subject")
    segments, uncut = cut(main.text, main.marks, subject, _names(head.people("from")))
    files, carried = _leaves(mime, main)
    limits: list[Problem] = []
    inside = inline(main.text, segments, subject=subject, problems=limits)
    nested = _nested(carried, inside, limits, mime.inflated)
    from_, reply_to, cc = head.people("from"), head.people("reply-to"), head.people("cc")
    list_id = head.text("list-id")
    auto = head.text("auto-submitted").partition(";")[0].strip().lower()
    references, in_reply_to = head.ids("references"), head.ids("in-reply-to")
    date = header.date(head.text("date"))
    if date.text and date.ms is None:
        head.problems.append(Problem("date not read", "date", date.text[:80]))
    return Message(
        message_id=next(iter(head.ids("message-id")), ""),
        in_reply_to=in_reply_to,
        in_reply_to_text=head.text("in-reply-to"),
        references=references,
        aliases=tuple(dict.fromkeys(one for name in _ALIASES for one in head.ids(name))),
        thread_index=_thread_index(head.text("thread-index")),
        date=date,
        subject=subject,
        from_=from_,
        sender=head.people("sender"),
        reply_to=reply_to,
        to=head.people("to"),
        cc=cc,
        author=authors(from_, reply_to, cc, head.written),
        list_id=_list_id(list_id),
        auto_submitted=auto,
        marks=_marks(mime, from_, list_id, auto),
        text=main.text,
        text_origin=main.origin,
        segments=segments,
        nested=nested,
        attachments=files,
        problems=(*head.problems, *mime.problems, *main.problems, *uncut, *limits),
        headers=head.fields,
        trace=_trace(head),
    )


@dataclass(slots=True)
class _Head:
    """The fields of one header block that a message is made of. `written` (lower-case name -> values) still have their encoded
    words, for what must be taken apart before decoding.
    """

    fields: header.Headers
    written: Mapping[str, Sequence[str]]
    problems: list[Problem]

    @classmethod
    def of(cls, mime: Mime) -> _Head:
        block = mime.head(0)
        hint = "" if block.isascii() else next((part.charset for part in mime.parts if part.charset), "")
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        written = header.named(block, _NEEDED, hint)
        repeated = [Problem("repeated field", name) for name in _SINGULAR if len(written.get(name, ())) > 1]
        return cls(header.Headers(block, hint), written, repeated)

    def text(self, name: str) -> str:
        """The decoded value of a field, the first that isn't empty."""
        for value in self.written.get(name, ()):
            if value:
                return header.words(value) if "=?" in value else value
        return ""

    def ids(self, name: str) -> tuple[str, ...]:
        value = self.text(name)
        if not value:
            return ()
        found = header.all_ids(value)
        if len(found) > header.IDS_FIRST + header.IDS_LAST:
            self.problems.append(Problem("too many ids", name, str(len(found))))
            return found[: header.IDS_FIRST] + found[-header.IDS_LAST :]
        return found

    def people(self, *names: str) -> tuple[Address, ...]:
        found: tuple[Address, ...] = ()
        for name in names:
            for value in self.written.get(name, ()):
                more = addresses(value)
                if len(more) >= RECIPIENTS:
                    self.problems.append(Problem("too many recipients", name, f"the first {RECIPIENTS}"))
                odd = next((one for one in more if one.address and not valid(one.address)), None)
                if odd is not None:
                    self.problems.append(Problem("address not valid", name, odd.address[:80]))
                found = found + more if found else more
        return found

    def all(self, name: str) -> tuple[str, ...]:
        """Decoded values of the fields of a name or group, in the order of the mail."""
        return tuple([header.words(v) if "=?" in v else v for v in self.written.get(name, ())])


def _list_id(text: str) -> str:
    """RFC 2919: the id stands in brackets behind a phrase, and case doesn't count."""
    start = text.rfind("<")
    return (text[start + 1 :].partition(">")[0] if start >= 0 else text).strip().lower()


def _thread_index(text: str) -> bytes:
    letters = "".join(text.split())
    if not letters or len(letters) > header.ID_LENGTH or not letters.isascii():
        return b""
    try:
        return a2b_base64(letters)
    except BinasciiError:
        return b""


def _trace(head: _Head) -> Trace:
    labels = [label.strip() for text in head.all("labels") for label in text.split(",")]
    labels += [label for text in head.all("x-keywords") for label in text.split()]
    labels += head.all("x-folder")
    return Trace(
        received=head.all("received"),
        return_path=head.text("return-path").strip("<> "),
        delivered_to=tuple(dict.fromkeys(head.all("delivered"))),
        bcc=head.people("bcc", "resent-bcc"),
        labels=tuple(dict.fromkeys(label for label in labels if label)),
    )


def _names(from_: Sequence[Address]) -> tuple[str, ...]:
    return (from_[0].name, from_[0].address) if from_ else ()


def _marks(mime: Mime, from_: Sequence[Address], list_id: str, auto: str) -> tuple[str, ...]:
    """What kind of mail this is, from that alone which copies have in common: Precedence, Return-Path and the like are changed
    by lists and servers on the way.
    """
    local = from_[0].address.partition("@")[0].lower() if from_ else ""
    marks = []
    if auto not in {"", "no"}:
        marks.append("automatic")
    marks += kinds(mime)
    if local in _BOUNCERS and "bounce" not in marks:
        marks.append("bounce")
    if list_id:
        marks.append("list")
    if local and _NO_REPLY.search(local):
        marks.append("no-reply")
    if _ROLES.fullmatch(local):
        marks.append("role")
    return tuple(marks)


@dataclass(frozen=True, slots=True)
class _Attached:
    """A leaf that is a message: its bytes, and the index of the part. Of a `bare` one there are the headers alone."""

    part: int
    raw: bytes
    bare: bool


def _leaves(mime: Mime, main: Body) -> tuple[tuple[Attachment, ...], list[_Attached]]:
    """The leaves that are not the body, and those among them that are messages."""
    if len(mime.parts) == len(main.parts):
        return (), []
    files: list[Attachment] = []
    carried: list[_Attached] = []
    for part in mime.parts:
        if part.multipart or part.index in main.parts:
            continue
        data = mime.payload(part.index)
        related = bool(part.content_id) and part.parent >= 0 and mime.parts[part.parent].type == "multipart/related"
        files.append(
            Attachment(
                part=part.index,
                name=part.name,
                type=part.type,
                size=len(data),
                sha256=sha256(data).hexdigest(),
                content_id=part.content_id,
                inline=part.disposition == "inline" or related,
                inside=part.inside,
            )
        )
        if _is_message(part, data):
            carried.append(_Attached(part.index, data, part.type in _HEADERS_ONLY))
    return tuple(files), carried


def _is_message(part: Part, data: bytes) -> bool:
    if part.type in _MESSAGE_TYPES:
        return bool(data.strip())
    if part.type not in _CARRIERS:
        return False
    name = part.name.lower()
    # A file with another suffix, and text without one, are what they say they are.
    named = name.endswith(".eml") or (part.type != "text/plain" and "." not in name)
    return named and _LOOKS_LIKE_MAIL.match(data) is not None


@dataclass(frozen=True, slots=True)
class _Level:
    """Messages attached to one message, which has this path and depth ("" and 0 for the mail itself), and what stands in its text."""

    path: str
    depth: int
    carried: Sequence[_Attached]
    inside: Sequence[Nested]


def _nested(
    carried: Sequence[_Attached], inside: Sequence[Nested], problems: list[Problem], inflated: int
) -> tuple[Nested, ...]:
    """All messages inside, in the order of their paths. Attached ones are counted first, then those in the text, so that a
    better rule for texts changes no attached message's path.
    """
    if not carried:
        return tuple(inside)
    out: list[Nested] = []
    attached = 0
    work = [_Level("", 0, carried, inside)]
    while work:
        level = work.pop()
        out.extend(_renumbered(level))
        if level.carried and level.depth >= NESTED_DEPTH:
            problems.append(Problem("messages nested too deep", level.path, f"{level.depth} levels"))
            continue
        for number, one in enumerate(level.carried, 1):
            if attached >= NESTED_MESSAGES:
                problems.append(Problem("too many attached messages", level.path, f"the first {NESTED_MESSAGES}"))
                break
            attached += 1
            path = f"{level.path}.{number}" if level.path else str(number)
            # One purse for all of a mail: a thousand attached ones may each hold a bomb.
            limits = replace(LIMITS, inflated=LIMITS.inflated - inflated) if inflated else LIMITS
            mime = scan(one.raw, limits)
            inflated += mime.inflated
            nested, deeper = _read(one, mime, path, level.depth + 1, problems)
            out.append(nested)
            if deeper.carried or deeper.inside:
                work.append(deeper)
    out.sort(key=lambda nested: [int(step) for step in nested.path.split(".")])
    return tuple(out)


def _renumbered(level: _Level) -> Sequence[Nested]:
    """The messages of a text, counted on from the attached ones."""
    if not level.carried:
        return level.inside
    place = level.path.count(".") + 1 if level.path else 0
    out = []
    for one in level.inside:
        steps = one.path.split(".")
        steps[place] = str(int(steps[place]) + len(level.carried))
        out.append(one._replace(path=".".join(steps)))
    return out


def _read(attached: _Attached, mime: Mime, path: str, depth: int, problems: list[Problem]) -> tuple[Nested, _Level]:
    head = _Head.of(mime)
    main = body(mime)
    subject = head.text("subject")
    segments, uncut = cut(main.text, main.marks, subject, _names(head.people("from")))
    files, carried = _leaves(mime, main)
    nested = Nested(
        path=path,
        kind="attached",
        depth=depth,
        message_id=next(iter(head.ids("message-id")), ""),
        from_=head.people("from"),
        to=head.people("to"),
        cc=head.people("cc"),
        date=header.date(head.text("date")),
        subject=subject,
        text=main.text,
        attachments=files,
        part=attached.part,
        start=0,
        end=0,
    )
    odd = head.problems if attached.bare else (*head.problems, *mime.problems, *main.problems, *uncut)
    problems.extend(replace(problem, where=f"nested {path}: {problem.where}") for problem in odd)
    inside = inline(main.text, segments, path=path, depth=depth + 1, subject=subject, problems=problems)
    return nested, _Level(path, depth, carried, inside)
