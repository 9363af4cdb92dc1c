"""Who really wrote: behind mailing lists that put themselves into From, and behind those who send on behalf of others.

RFC 5322 section 3.6.2: From is the author, Sender the one who sent, so that From counts. But since DMARC (RFC 7489) a list that
changes a message may not keep its From, and each list software hides the author in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from mailloom.mail.model import Address
from mailloom.mail.people.address import addresses, key, shown

_KEPT: Final = ("x-original-from", "x-original-sender")
"""Fields in which lists keep the author's mailbox: Google Groups and Sympa write the first, Google Groups the second, too, an
address alone. Forwarders write them as well, so that they count only where From is a list's.
"""
_REPLACED: Final = "x-google-original-from"
"""Gmail puts the account into From where it doesn't know the address that the author gave."""
ORIGINAL: Final = (*_KEPT, _REPLACED)
# "'Ann' via Plans" (Mailman, Google Groups), "Ann (via plans Mailing List)" (Sympa), in the languages that these are translated to.
_VIA = re.compile(
    r"[\s(](?:via|über|par|por|a través de|mediante|tramite|przez|za pośrednictwem|через|kautta|aracılığıyla"
    r"|経由|经由|經由|通过|透過)\s+(?=\S)",
    re.IGNORECASE,
)
BEHALF = re.compile(
    r"\b(?:on behalf of|im auftrag von|im namen von|de la part de|en nombre de|per conto di|em nome de|namens|på uppdrag av"
    r"|på vegne af|på vegne av|puolesta|w imieniu|jménem|v mene|în numele|nevében|adına|от имени|від імені|εκ μέρους|בשם"
    r"|نيابة عن)\b|(?<=\s)代表(?=\s)",
    re.IGNORECASE,
)
"""What Outlook and Exchange write between the one who sent and the one who wrote."""
# groups.io writes ann=example.org@groups.io, the IETF ann=40example.org@dmarc.ietf.org.
_ENCODED = re.compile(r"([^@=\s]+)=([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)@[^@\s]+")
_AT_SIGN = "40"
# LISTSERV hides addresses behind numbers of its own.
_HIDDEN = re.compile(r"[0-9a-f]{8,}-dmarc-request@", re.IGNORECASE)


def authors(
    from_: tuple[Address, ...], reply_to: Sequence[Address], cc: Sequence[Address], written: Mapping[str, Sequence[str]]
) -> tuple[Address, ...]:
    """Who wrote a message: From, unless a list or a sender on behalf stands there.

    `written` are the message's fields, lower-case name -> values. "NAME via SOMETHING" counts in mail of lists only, else it is
    the name of a service ("Ann via Example Signatures"). An author whose address nobody kept has address and key "".
    """
    if len(from_) != 1:
        return behalf(from_) if len(from_) > 1 else from_
    one = from_[0]
    if _REPLACED in written:
        for other in addresses(written[_REPLACED][0])[:1]:
            if other.key:
                return _one(other.name or one.name, other.address)
    if "list-id" not in written and not _HIDDEN.match(one.address):
        return behalf(from_)
    name = written_by(one.name)
    encoded = _ENCODED.fullmatch(one.address) if "=" in one.address else None
    if name is None and encoded is None and not _HIDDEN.match(one.address):
        return from_
    name = one.name if name is None else name
    for field in _KEPT:
        for other in addresses(written[field][0])[:1] if field in written else ():
            if other.key and other.key != one.key:
                return _one(other.name or name, other.address)
    if encoded:
        domain = encoded[2].removeprefix(_AT_SIGN) if one.key.endswith("@dmarc.ietf.org") else encoded[2]
        return _one(name, f"{encoded[1]}@{domain}")
    # Mailman puts the author into Reply-To, or into Cc where answers shall go to the list.
    others = [other for other in (*reply_to, *cc) if other.key and other.key != one.key]
    for other in others:
        if _words(other.name) == _words(name):
            return _one(other.name, other.address)
    if len(reply_to) == 1 and others and others[0] is reply_to[0] and not reply_to[0].name:
        return _one(name, reply_to[0].address)
    return _one(name, "")


def _one(name: str, address: str) -> tuple[Address, ...]:
    return (Address(shown(name, address), address, key(address)),)


def _words(name: str) -> frozenset[str]:
    """Of a name in any order: "Lee, Ann" and "Ann Lee" are one."""
    return frozenset(name.casefold().replace(",", " ").replace("'", " ").replace('"', " ").split())


def behalf(people: tuple[Address, ...]) -> tuple[Address, ...]:
    """Those for whom others sent ("Foo <foo@example.org> on behalf of Bar <bar@example.org>"), or all where nobody did."""
    if not any(BEHALF.search(one.name) for one in people):
        return people
    found = [
        Address(one.name[said.end() :].strip(" :'\"") or one.address, one.address, one.key, one.group)
        for one in people
        if (said := BEHALF.search(one.name))
    ]
    return tuple(found)


def written_by(name: str) -> str | None:
    """The name in "NAME via LIST", None where there is none."""
    found = _VIA.search(name)
    return name[: found.start()].strip(" '\"()") if found and found.start() else None
