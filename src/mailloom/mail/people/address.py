"""Address fields -> mailboxes, as RFC 5322 section 3.4 has them and as clients write them.

The usual forms are read by one regular expression; everything else by a scanner that takes one token at a time and never looks
back, so that fifty thousand open brackets cost no more than fifty thousand letters. What was written is kept; keys are for joining.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from mailloom.mail.model import Address
from mailloom.mail.parts import header

# Per field. Providers stop at some hundred to two thousand recipients (RFC 5321 section 4.5.3.1.8 asks for a hundred).
RECIPIENTS = 10_000
# RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain. Local parts of bounce and tracking addresses are longer.
KEY_LENGTH, DOMAIN_LENGTH, LABEL_LENGTH = 998, 255, 63
# Characters of a field, or of a mailbox in it, up to which it is kept for the next mail.
KEPT_LENGTH = 1000

_ATOM = r"[\w!#$%&'*+\-/=?^`{|}~.]++"
_USUAL = re.compile(
    rf"""\s*+(?:(?:"([^"\\]*+)"|([^"<>(),:;@\\\[\]]*+))\s*+<({_ATOM}@[\w.\-]++)>|({_ATOM}@[\w.\-]++))\s*+(?:,\s*+|$)"""
)
# Each alternative is bounded or ends where the next token may begin, so that a failed try is never repeated over the same text.
_TOKEN = re.compile(
    r"""(?P<word>=\?[^?\s"<>]{1,80}\?[bBqQ]\?(?:[^?"<>]|\?(?!=)){0,500}+\?=)|(?P<blank>\s++)|(?P<quoted>"(?:[^"\\]|\\.){0,1000}+")"""
    r"""|(?P<comment>\()|(?P<mailto>\[\s*+(?:mailto|smtp):[^\[\]\s]*+\s*+\])|(?P<angle><(?:"(?:[^"\\]|\\.){0,66}+"@[^<>]*+>|[^<>]*+>?))|(?P<mark>[,;:>")]|\\.?)"""
    r"""|(?P<text>[^\s"(<>,;:)\\\[=]++|.)""",
    re.DOTALL | re.IGNORECASE,
)
_PLAIN = re.compile(rf"{_ATOM}@[\w\-]++(?:\.[\w\-]++)++")
_DOMAIN = re.compile(r"@(?:\[[^\[\]\s]{1,255}\]|[^\s,;:<>()\[\]\"]++)")
_COMMENT = re.compile(r"\([^()]*+\)")
_PAREN = re.compile(r"\\.|[()]", re.DOTALL)
_ROUTE = re.compile(r"@[^:<>]*+:")
_SWALLOWED = re.compile(r"<[^<>@\s]+@[^<>\s]+>\s*+[,;]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_QUOTES = frozenset("'\"`\u2018")
_DOTS = re.compile("[\u3002\uff0e\uff61]")
_NO_WIDTH = re.compile("[\xad\u034f\u200b\u2060\ufe00-\ufe0f\ufeff]+")
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f<>(),;]")


def addresses(value: str, limit: int = RECIPIENTS) -> tuple[Address, ...]:
    """The mailboxes of a From, To, Cc... field, at most `limit`.

    `value` is unfolded but its encoded words (RFC 2047) are not decoded yet: they are decoded here, in names only, where a comma
    or a bracket inside can do no harm. A group's members carry its name; an empty group is one mailbox without an address.
    """
    return _short(value) if len(value) <= KEPT_LENGTH and limit == RECIPIENTS else _addresses(value, limit)


def _addresses(value: str, limit: int) -> tuple[Address, ...]:
    found: list[Address] = []
    at, size = 0, len(value)
    while at < size:
        usual = _USUAL.match(value, at)
        if not usual:
            found.extend(_Scanner(value, at, limit - len(found)).run())
            break
        quoted, name, angle, bare = usual.groups()
        name = quoted or name or ""
        box = _mailbox if usual.end() - at <= KEPT_LENGTH else _one_mailbox
        found.append(box(name, angle or bare))
        at = usual.end()
        if len(found) >= limit:
            break
    if "=?" in value and not any("@" in one.address for one in found):
        # Some programs encode the whole field, brackets and all.
        plain = header.words(value)
        if "@" in plain and "=?" not in plain:
            return _addresses(plain, limit)
    return tuple(found[:limit])


# The mails of a thread have most fields alike, and nine of ten mailboxes of the others.
@lru_cache(maxsize=1024)
def _short(value: str) -> tuple[Address, ...]:
    return _addresses(value, RECIPIENTS)


def _one_mailbox(name: str, address: str) -> Address:
    if "=?" in name:
        name = header.words(name)
    return Address(shown(name, address), address, key(address))


_mailbox = lru_cache(maxsize=4096)(_one_mailbox)


def shown(name: str, address: str) -> str:
    """A name as a reader sees it: blanks folded, without a second pair of quotes; "" for one that only repeats the address."""
    if "  " in name or name[:1].isspace() or name[-1:].isspace() or "\t" in name:
        name = " ".join(name.split())
    if name[:1] in _QUOTES and len(name) > 1 and name[-1] == name[0] and name.count(name[0]) == 2:
        name = name[1:-1].strip()
    return "" if "@" in name and name.strip("<>[]()'").lower() == address.lower() else name


@dataclass(slots=True)
class _Box:
    """A mailbox being read: the words of its name, the same as written (an address may be among them), an address in brackets."""

    words: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    angle: str = ""
    bracketed: bool = False
    named: int = 0  # words before the brackets

    @property
    def empty(self) -> bool:
        return not (self.bracketed or self.comments or "".join(self.written).strip())


class _Scanner:
    def __init__(self, value: str, at: int, limit: int) -> None:
        self.value, self.at, self.limit = value, at, limit
        self.found: list[Address] = []
        self.box = _Box()
        self.group = ""
        self.in_group = False
        self.members = 0
        self.surname = ""  # of "Smith, Ann <ann@example.org>" without the quotes
        self.closing = _closing_parens(value, at) if "(" in value else {}

    def run(self) -> list[Address]:
        value, size = self.value, len(self.value)
        while self.at < size and len(self.found) < self.limit:
            token = _TOKEN.match(value, self.at)
            if not token:  # pragma: no cover - the last alternative takes any character
                break
            start, self.at = self.at, token.end()
            self._take(token.lastgroup or "text", token.group(), start)
        self._finish("")
        if self.in_group and not self.members:
            self._empty_group()
        return self.found

    def _take(self, kind: str, text: str, start: int) -> None:
        box = self.box
        if kind == "blank":
            box.words.append(" ")
            box.written.append(" ")
        elif kind == "word":
            box.words.append(text)
            box.written.append(text)
        elif kind == "quoted":
            self._quoted(text, start)
        elif kind == "comment":
            end = self.closing.get(start)
            if end is not None:
                box.comments.append(self.value[start + 1 : end])
                self.at = end + 1
                box.words.append(" ")
        elif kind == "mailto":
            self._address(text[1:-1].partition(":")[2].strip())
        elif kind == "angle":
            self._angle(text, start)
        elif kind == "mark":
            self._mark(text)
        else:
            box.words.append(text)
            box.written.append(text)

    def _quoted(self, text: str, start: int) -> None:
        inner = text[1:-1]
        if _SWALLOWED.search(inner):  # the quote was never closed and met the next mailbox's
            self.at = start + 1
            return
        domain = _DOMAIN.match(self.value, self.at)
        if domain and not self.box.bracketed:  # "ann smith"@example.org (RFC 5321 section 4.1.2)
            self.at = domain.end()
            self._address(text + domain[0])
            return
        self.box.written.append(text)
        self.box.words.append(_ESCAPE.sub(r"\1", inner) if "\\" in inner else inner)

    def _angle(self, text: str, start: int) -> None:
        if text.endswith(">"):
            self._address(text[1:-1])
            return
        # No closing bracket: the address ends where the next mailbox may begin.
        inner = text[1:]
        cut = min((at for at in (inner.find(","), inner.find(";")) if at >= 0), default=len(inner))
        if "@" in inner[:cut]:
            self._address(inner[:cut])
            self.at = start + 1 + cut
        elif inner.strip() and inner.strip() == "".join(self.box.words).strip():
            pass  # "Ann <Ann <ann@example.org>>"
        else:
            self.at = start + 1

    def _address(self, inner: str) -> None:
        box = self.box
        if (
            box.bracketed and "@" in box.angle
        ):  # a second one without a comma between: "<a@example.org> <b@example.org>"
            if "@" not in inner:
                return
            later = box.words[box.named :]
            del box.words[box.named :]
            self._finish(" ")
            box = self.box
            box.words = later  # "Foo <foo@example.org> on behalf of Bar <bar@example.org>"
        box.angle, box.bracketed, box.named = inner, True, len(box.words)

    def _mark(self, mark: str) -> None:
        if mark == ",":
            self._finish(",")
        elif mark == ";":
            self._finish(";")
            if self.in_group:
                if not self.members:
                    self._empty_group()
                self.in_group, self.group = False, ""
        elif mark == ":":
            self._colon()
        # A lone quote, bracket or backslash is dropped.

    def _colon(self) -> None:
        box = self.box
        # A group's name has few words; in a field of colons each would be looked at again.
        written = "".join(box.written).strip() if len(box.written) <= 40 else ""
        if written.lower() == "mailto":
            box.words.clear()
            box.written.clear()
        elif written and not box.bracketed and not self.in_group and "@" not in written and "/" not in written:
            self.group, self.in_group, self.members = _named("".join(box.words)), True, 0
            self.surname = ""
            self.box = _Box()
        else:
            box.words.append(":")
            box.written.append(":")

    def _finish(self, by: str) -> None:
        """The end of a mailbox, by a separator."""
        box, self.box = self.box, _Box()
        surname, self.surname = self.surname, ""
        if box.empty:
            if surname:
                self._add(surname, "")
            return
        name = _named("".join(box.words))
        if box.bracketed:
            if surname:
                name = f"{surname}, {name}" if name else surname
            self._add(name or _comment_name(box.comments), _clean(box.angle))
            return
        if surname:
            self._add(surname, "")
        written = "".join(box.written)
        if written.count("@") > 1 and '"' not in written and (several := _several(written)):
            for address in several:
                self._add("", _clean(address))
        elif "@" in written:
            self._add(*_bare(written, box.comments))
        elif " at " in written and key(written.strip()):
            self._add(_comment_name(box.comments), written.strip())
        elif by == "," and name and "=?" not in name:
            self.surname = name  # perhaps a surname: the next mailbox tells
        else:
            self._add(name or _comment_name(box.comments), "")

    def _add(self, name: str, address: str) -> None:
        if name or address:
            self.members += 1
            self.found.append(Address(shown(name, address), address, key(address), self.group))

    def _empty_group(self) -> None:
        self.found.append(Address("", "", "", self.group))


def _closing_parens(value: str, at: int) -> dict[int, int]:
    """Where each comment that is closed at all closes (comments nest, RFC 5322 section 3.2.2); only outermost ones are asked for."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for paren in _PAREN.finditer(value, at):
        if paren.group() == "(":
            opened.append(paren.start())
        elif paren.group() == ")" and opened:
            closing[opened.pop()] = paren.start()
    return closing


def _named(text: str) -> str:
    if "=?" in text:
        text = header.words(text)
    return " ".join(text.split())


def _comment_name(comments: list[str]) -> str:
    return _named(_ESCAPE.sub(r"\1", comments[0])) if comments else ""


def _several(written: str) -> list[str]:
    """Addresses with only blanks between ("ann@example.org bob@example.net"), or none where there is anything else."""
    tokens = written.split()
    return tokens if len(tokens) > 1 and all(_PLAIN.fullmatch(token) for token in tokens) else []


def _bare(written: str, comments: list[str]) -> tuple[str, str]:
    """An address without brackets: the word with the @, or the words around a lone one; other words are a name."""
    tokens = written.split()
    place = next(i for i, token in enumerate(tokens) if "@" in token)
    local, _, domain = tokens[place].rpartition("@")
    if "/" in local and "." not in domain and "=" not in local:
        return _named(written.replace('"', "")), ""  # a name in Lotus Notes: "Ann Lee/Sales/Example@Example"
    first = last = place
    # Blanks may stand around the @ and the dots (RFC 5322 section 4.4).
    while first and (tokens[first][0] in "@." or tokens[first - 1][-1] == "."):
        first -= 1
    while last + 1 < len(tokens) and (tokens[last][-1] in "@." or tokens[last + 1][0] == "."):
        last += 1
    address = "".join(tokens[first : last + 1])
    name = _named(" ".join(tokens[:first] + tokens[last + 1 :]).replace('"', ""))
    return name or _comment_name(comments), _clean(address)


def _clean(address: str) -> str:
    """The address of brackets: without comments, blanks around the dots and the @, an old route (RFC 5322 section 4.4),
    "mailto:", and the quotes that Outlook puts around.
    """
    if "(" in address and address[:1] != '"':
        address = _COMMENT.sub("", address)
    address = address.strip()
    if address[:7].lower() == "mailto:":
        address = address[7:]
    route = _ROUTE.match(address)
    if route:
        address = address[route.end() :]
    address = address.strip(" \t'`,;")
    if " " in address and "@" in address and '"' not in address:
        address = "".join(address.split())
    return address


def key(address: str) -> str:
    """What mailboxes are joined by: the domain in lower case and IDNA-normal (A-labels, RFC 5890), the local part as it is.

    "" for what can't be delivered to by RFC 5321: no local part, no domain, blanks, longer than any address.
    """
    local, at, domain = address.rpartition("@")
    if not at and " at " in address:
        local, at, domain = _as_archived(address)
    if not at or not local or len(address) > KEY_LENGTH:
        return ""
    plain = _plain_domain(domain)
    if not plain or (_UNUSABLE.search(local) and not (local.startswith('"') and local.endswith('"'))):
        return ""
    return f"{local}@{plain}"


def _as_archived(address: str) -> tuple[str, str, str]:
    """The archives of Mailman and others write "ann at example.org", against collectors of addresses."""
    local, _, domain = address.partition(" at ")
    plain = "." in domain.strip() and " " not in domain.strip() and " " not in local.strip()
    return (local.strip(), "@", domain) if plain else ("", "", "")


def folded(key: str) -> str:
    """What people match by: the local part in lower case too, as every large provider delivers."""
    return key.lower()


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str:
    domain = domain.strip().rstrip(".")
    domain = domain.lower() if domain.isascii() else domain
    if not domain or len(domain) > DOMAIN_LENGTH or _UNUSABLE.search(domain):
        return ""
    if domain.isascii():
        return domain
    # UTS 46 without its tables: compatible forms are one, what has no width is nothing, each letter's lower case on its own (a
    # final sigma is not one), the sharp s stays.
    domain = unicodedata.normalize("NFKC", _DOTS.sub(".", _NO_WIDTH.sub("", domain)))
    domain = unicodedata.normalize("NFKC", "".join([c.lower() for c in domain]))
    if _UNUSABLE.search(domain) or "@" in domain:  # some letters fall apart into blanks and signs
        return ""
    labels = [_a_label(label) for label in domain.split(".")]
    plain = ".".join(labels)
    return plain if all(labels) and len(plain) <= DOMAIN_LENGTH else ""


def _a_label(label: str) -> str:
    # RFC 5891 section 4.4, without the table of letters it allows: a key must not depend on a Unicode version more than it has to.
    if label.isascii():
        return label
    coded = "xn--" + label.encode("punycode").decode("ascii")
    return coded if len(coded) <= LABEL_LENGTH else ""
