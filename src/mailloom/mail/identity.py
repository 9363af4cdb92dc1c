"""What a message is called. Its name follows from its content, never from where or when it was seen.

Two copies of one mail (an inbox's and an archive's, an mbox's and a Maildir's) get one id; everything else gets its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

from mailloom.mail.model import Address, Date, Message, MessageId, Record
from mailloom.mail.parts.mime import Mime

FIRST_MS = 315_532_800_000  # 1980-01-01: no mail that is dated earlier was sent then
LAST_MS = 4_102_444_800_000  # 2100-01-01
UNDATED = (1 << 48) - 1  # sorts behind every date, so an undated mail never names a conversation that has a dated one

_END = b"\x1e"


def identify(mime: Mime, message: Message) -> Record:
    """The Record of a message.

    The content hash is SHA-256 over what its author and its author's client made (design: docs/ARCHITECTURE.md, "Identity"):
    the headers that a reader sees, ids (also those that resending adds), and every part with its place, type, charset, name and decoded bytes. It leaves out
    all that a copy picks up on its way. `twin` is the same without the ids.
    """
    parts = _parts(mime, message)
    said = _said(message)
    ids = _ids(message)
    content = sha256(_END.join((said, ids, parts))).digest()
    twin = sha256(_END.join((b"twin", said, parts))).digest()
    return Record(
        id=message_id(message.date, content),
        content_hash=content,
        twin=twin,
        base_subject=base_subject(message.subject),
        message=message,
    )


def message_id(date: Date, content: bytes) -> MessageId:
    """16 bytes, a UUIDv8 (RFC 9562 section 5.8): 48 bits of the Date in milliseconds, then 74 bits of the content hash.

    Compared as bytes, ids are in the order of dates: the smallest id in a conversation is its oldest message.
    """
    ms = date.ms if date.ms is not None and FIRST_MS <= date.ms < LAST_MS else UNDATED
    rest = int.from_bytes(content[:10], "big")
    value = ms << 80 | 0x8 << 76 | (rest >> 62 & 0xFFF) << 64 | 0b10 << 62 | rest & ((1 << 62) - 1)
    return MessageId(value.to_bytes(16, "big"))


def _said(message: Message) -> bytes:
    people = [message.from_, message.sender, message.reply_to, message.to, message.cc]
    if message.author != message.from_:
        people.append(message.author)
    fields = [
        *map(_people, people),
        _fold(message.subject),
        _when(message.date),
        _fold(message.list_id),
        _fold(message.auto_submitted),
    ]
    return "\x1f".join(fields).encode("utf-8", "surrogatepass")


def _ids(message: Message) -> bytes:
    lists = (
        (message.message_id,),
        message.in_reply_to,
        message.references,
        (message.in_reply_to_text,),
        message.aliases,
    )
    stated = "\x1f".join([" ".join(ids) for ids in lists])
    return stated.encode("utf-8", "surrogatepass") + b"\x1f" + message.thread_index


def _people(addresses: tuple[Address, ...]) -> str:
    return ",".join([f"{_fold(a.name)}<{a.address}>{a.group}" for a in addresses]) if addresses else ""


def _when(date: Date) -> str:
    return f"{date.ms} {date.zone}" if date.ms is not None else _fold(date.text)


def _fold(text: str) -> str:
    return " ".join(text.split())


def _parts(mime: Mime, message: Message) -> bytes:
    """Each part's place in the tree counts too: the same leaves under `alternative` and under `mixed` read differently."""
    known = {a.part: a.sha256 for a in message.attachments}
    hashed = []
    for part in mime.parts:
        if part.inside:  # it follows from the part it lay in, and from how well that could be read
            break
        leaf = not part.type.startswith("multipart/")
        digest = (known.get(part.index) or sha256(mime.payload(part.index)).hexdigest()) if leaf else ""
        flowed = f"{part.params.get('format', '')};{part.params.get('delsp', '')}" if part.type == "text/plain" else ""
        report = part.params.get("report-type", "") if part.type == "multipart/report" else ""
        place = (
            str(part.parent),
            part.type,
            part.charset,
            part.name,
            part.disposition,
            part.content_id,
            flowed,
            report,
            digest,
        )
        hashed.append("\x1f".join(place).encode("utf-8", "surrogatepass"))
    return b"\x1d".join(hashed)


# ------------------------------------------------------------------------------------------------ base subject
# Reply and forward prefixes of mail clients, by language. "Re" in its many spellings: German AW, Scandinavian SV and VS, Dutch
# Antw, French RE/RÉF, Italian R/RIF/I, Portuguese and Spanish RES/RV, Polish ODP, Turkish YNT, Hungarian VÁ, Finnish VS,
# Indonesian BLS, Greek ΑΠ/ΣΧΕΤ, Chinese 回复/答复/回覆, Japanese 返信, Korean 답장/회신, Hebrew השב, Arabic رد, Russian На/Отв;
# forwards: Fwd/Fw, WG, VB, TR, ENC, PD, İLT, TOV, VL, ΠΡΘ, 转发/轉寄, 転送, 전달, הועבר, إعادة توجيه, Пересл.
_PREFIX = (
    r"re|r|i|aw|sv|vs|antw|antwort|r[eé]f|réponse|rif|res|rv|odp|ynt|vá|bls|απ|σχετ|回复|回覆|答复|答覆|返信|답장|회신|השב|رد|отв|ha|на|"
    r"fwd?|wg|vb|tr|enc|rén|pd|ilt|i̇lt|doorst|tov|továbbítás|vl|πρθ|转发|轉寄|轉發|転送|전달|הועבר|إعادة توجيه|пересл|fs|videresend"
)
_LEADER = re.compile(
    rf"\s*(?:(?:{_PREFIX})\s?(?:\[\d{{1,4}}\]|\(\d{{1,4}}\)|\^\d{{1,4}}|\*\d{{1,4}}|\d{{1,3}})?\.?\s?[:：]|\[[^\[\]]{{0,60}}\](?!\s*$)|\((?:{_PREFIX})\)(?!\s*$))",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"\s*\((?:fwd?|forwarded|was:[^()]{0,200})\)\s*$", re.IGNORECASE)
REPLY = re.compile(
    rf"\s*(?:\[[^\[\]]{{0,60}}\]\s*){{0,3}}\[?(?:{_PREFIX})\s?(?:[\[(]\d{{1,4}}[\])]|\^\d{{1,4}})?\.?\s?[:：]",
    re.IGNORECASE,
)
MAX_PREFIXES = (
    50  # a ping-pong of two clients' prefixes is rarely over 20 long; the bound keeps a hostile subject cheap
)
MAX_SUBJECT = 1000  # RFC 5322 section 2.1.1 allows 998 characters a line; what comes after tells no two threads apart


def base_subject(subject: str) -> str:
    """What a subject is about: RFC 5256 section 2.1 without its stop at ASCII, with the prefixes of clients in other languages.

    Reply and forward prefixes, bracketed list tags in front and "(fwd)" behind go; blanks fold; case folds. A subject
    of nothing but a tag keeps it.
    """
    return _base(subject[:MAX_SUBJECT])


@lru_cache(maxsize=512)  # a thread's mails come close together
def _base(subject: str) -> str:
    text = " ".join(subject.split()).casefold()
    for _ in range(MAX_PREFIXES):
        if trailer := _TRAILER.search(text, max(0, len(text) - 220)):
            text = text[: trailer.start()]
        elif text.startswith("[fwd:") and text.endswith("]"):  # Mozilla's, RFC 5256 section 2.1 (6)
            text = text[5:-1]
        elif leader := _LEADER.match(text):
            text = text[leader.end() :]
        else:
            break
    return text.strip()
