"""What an address is, whatever way it was written: whether mail could be delivered to it, and the other names of the same mailbox."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from mailloom.mail.people.address import LABEL_LENGTH, folded, key

LOCAL_LENGTH, ADDRESS_LENGTH = 64, 254
"""Octets: RFC 5321 section 4.5.3.1.1, and RFC 3696 erratum 1690 (a path has 256 with its brackets)."""

# RFC 5321 section 4.1.2 with the letters of RFC 6531 section 3.3.
_DOT_ATOM = re.compile(r"[^\s\x00-\x20\x7f-\x9f()<>\[\]:;@\\,.\"]++(?:\.[^\s\x00-\x20\x7f-\x9f()<>\[\]:;@\\,.\"]++)*+")
_QUOTED = re.compile(r"\"(?:[^\x00-\x1f\x7f\"\\]|\\[ -~])*+\"")
_BLANK = re.compile(r"\s")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{3}}")
_GROUP = re.compile(r"[0-9a-f]{1,4}", re.IGNORECASE)
_IPV6_TAG: Final = "ipv6:"


@lru_cache(maxsize=4096)
def valid(address: str) -> bool:
    """Could mail be sent to it as it stands: is it a Mailbox of RFC 5321 section 4.1.2, with the letters of RFC 6531?

    Comments, blanks around the dots and obsolete forms, which RFC 5322 knows in header fields, are not part of an address. Whether
    a domain exists is another question.
    """
    local, at, domain = address.rpartition("@")
    if (
        not at
        or len(local.encode("utf-8", "replace")) > LOCAL_LENGTH
        or len(address.encode("utf-8", "replace")) > ADDRESS_LENGTH
    ):
        return False
    if not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        return False
    if domain.startswith("[") and domain.endswith("]"):
        return _is_literal(domain[1:-1])
    if _BLANK.search(domain) or domain.endswith("."):
        return False
    labels = key(f"a@{domain}").rpartition("@")[2].split(".")
    return all(_is_label(label) for label in labels)


def _is_label(label: str) -> bool:
    """RFC 5321 Let-dig and Ldh-str; what begins like an A-label is one (RFC 5890 section 2.3.2.1)."""
    if len(label) > LABEL_LENGTH or not _LABEL.fullmatch(label):
        return False
    if label[:4] != "xn--":
        return True
    try:
        letters = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    return not letters.isascii() and letters == letters.lower()


def _is_literal(inside: str) -> bool:
    """RFC 5321 section 4.1.3, of the tags only IPv6: no other was ever registered."""
    if inside[:5].lower() != _IPV6_TAG:
        return _IPV4.fullmatch(inside) is not None
    head, gap, tail = inside[5:].partition("::")
    groups = [*(head.split(":") if head else ()), *(tail.split(":") if tail else ())]
    count = len(groups)
    if groups and "." in groups[-1]:
        if not _IPV4.fullmatch(groups.pop()):
            return False
        count += 1
    # "::" stands for two groups or more (section 4.1.3).
    return all(_GROUP.fullmatch(group) for group in groups) and (count <= 6 if gap else count == 8)


# ---------------------------------------------------------------- other names of a mailbox


class Identity(NamedTuple):
    """A further key and why it is one: folded, provider, tagged, sender (of an envelope that was rewritten), exchange."""

    kind: str
    key: str


# Domain -> (the provider's main domain, characters that don't count in a local part), as the providers' help pages say; all know
# tags behind "+". Yahoo's and Apple's aliases are names of their own.
_PROVIDERS: Final[dict[str, tuple[str, str]]] = {
    "gmail.com": ("gmail.com", "."),
    "googlemail.com": ("gmail.com", "."),
    "proton.me": ("proton.me", "._-"),
    "protonmail.com": ("proton.me", "._-"),
    "pm.me": ("proton.me", "._-"),
    "icloud.com": ("icloud.com", ""),
    "me.com": ("icloud.com", ""),
    "mac.com": ("icloud.com", ""),
    "yandex.ru": ("yandex.ru", ""),
    "yandex.com": ("yandex.ru", ""),
    "ya.ru": ("yandex.ru", ""),
}

# Sender Rewriting Scheme: SRS0=hash=day=domain=local, SRS1=hash=forwarder==hash=day=domain=local.
_SRS = re.compile(r"srs(?:0[=+-]|1[=+-][^=]*=[^=]*=[=+-])[^=]*=[^=]*=([^=]+)=(.+)", re.IGNORECASE)
# Bounce Address Tag Validation: prvs=tag=local (draft-levine-smtp-batv); Barracuda writes btv1==tag==local.
_BATV = re.compile(r"(?:prvs=[^=]*=|btv1==[^=]*==)(.+)", re.IGNORECASE)
# An address of Exchange in the clothes of the Internet ([MS-OXCMAIL] section 2.1.3.4.2): "_" is "/", "+XX" a byte.
_IMCEA = re.compile(r"imcea(ex|x400|notes|fax|sms)-(.+)", re.IGNORECASE)
_BYTE = re.compile(r"\+([0-9A-Fa-f]{2})")


def identities(address: str) -> tuple[Identity, ...]:
    """Further keys of an address, each with its kind, none of them its own; () where there is none.

    Nothing is merged by them: who joins mailboxes by one of them chooses it by kind. `folded` is the key in lower case, as every
    large provider delivers; `provider` what that provider delivers to one mailbox; `tagged` the local part without what follows
    "+" (RFC 5233), which is only a custom elsewhere; `sender` who stands in an envelope that a forwarder rewrote.
    """
    own = key(address)
    out: dict[str, str] = {}
    sender = _sender(own or address.strip())
    plain = folded(own)
    local, _, domain = plain.rpartition("@")
    if plain != own:
        out[plain] = "folded"
    if domain in _PROVIDERS and local[:1] != '"':
        main, ignored = _PROVIDERS[domain]
        name = local.partition("+")[0]
        for sign in ignored:
            name = name.replace(sign, "")
        if name:
            out.setdefault(f"{name}@{main}", "provider")
    elif "+" in local[1:] and local[:1] != '"' and not sender:
        out.setdefault(f"{local.partition('+')[0]}@{domain}", "tagged")
    if sender:
        out.setdefault(*sender)
    out.pop(own, None)
    out.pop("", None)
    return tuple(Identity(kind, further) for further, kind in out.items())


def _sender(address: str) -> tuple[str, str] | None:
    """(key, kind) of who stands inside a rewritten address."""
    local, _, domain = address.rpartition("@")
    if address[:1] == "/" and "=" in address:
        return address.lower(), "exchange"
    if found := _SRS.fullmatch(local):
        return key(f"{found[2]}@{found[1]}"), "sender"
    if found := _BATV.fullmatch(local):
        return key(f"{found[1]}@{domain}"), "sender"
    if found := _IMCEA.fullmatch(local):
        inner = _BYTE.sub(lambda m: chr(int(m[1], 16)), found[2].replace("_", "/"))
        return inner.lower(), "exchange"
    return None
