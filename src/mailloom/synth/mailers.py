"""What betrays a mail client in the headers: its name, its Message-IDs and the boundaries between parts."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

IdMaker = Callable[[Random, int, int], str]
"""(dice, seconds, number) -> what stands before the @; `number` makes it the only one."""


@dataclass(frozen=True, slots=True)
class Mailer:
    """`exchange`: its server adds Thread-Index. `stated`: a forward states what was forwarded, in References or more. `unicode`:
    it sends nothing but utf-8. `phone`: people have no signature there but the app's. `provider`: the host of its
    Message-IDs, "" where it is the author's own. `preamble` stands before the first part.
    """

    header: tuple[str, str] | None
    id: IdMaker
    boundary: Callable[[Random], str]
    exchange: bool = False
    stated: bool = True
    unicode: bool = True
    phone: bool = False
    provider: str = ""
    preamble: bytes = b""


def hexes(rng: Random, count: int) -> str:
    return f"{rng.getrandbits(count * 4):0{count}x}"


def uuid(rng: Random, number: int) -> str:
    """Shaped as a UUID, with the number in its last group."""
    return f"{hexes(rng, 8)}-{hexes(rng, 4)}-4{hexes(rng, 3)}-a{hexes(rng, 3)}-{number:06x}{hexes(rng, 6)}"


def gmail_id(rng: Random, _: int, number: int) -> str:
    return f"CA{urlsafe_b64encode(rng.randbytes(21)).decode()}+{number:x}"


def exchange_id(rng: Random, _: int, number: int) -> str:
    return f"EX{number % 1000:03}MB{rng.getrandbits(80):020X}{number:06X}"


def plain_id(rng: Random, seconds: int, number: int) -> str:
    return f"{seconds}.{number}.{hexes(rng, 8)}"


def yahoo_id(rng: Random, seconds: int, number: int) -> str:
    return f"{number}.{rng.getrandbits(30)}.{seconds}000"


def proton_id(rng: Random, _: int, number: int) -> str:
    return f"{urlsafe_b64encode(rng.randbytes(45)).decode()}{number:x}="


def outlook_boundary(rng: Random) -> str:
    return f"----=_NextPart_000_{rng.getrandbits(16):04X}_{rng.getrandbits(32):08X}.{rng.getrandbits(32):08X}"


MULTI = b"This is a multi-part message in MIME format.\n\n"
GMAIL = Mailer(None, gmail_id, lambda rng: f"000000000000{rng.getrandbits(80):020x}", provider="mail.example.com")
EXCHANGE = Mailer(None, exchange_id, lambda rng: f"_000_EX{hexes(rng, 20).upper()}_", exchange=True, unicode=False)

MAILERS: Final[dict[str, Mailer]] = {
    "gmail": GMAIL,
    "outlook": Mailer(
        ("X-Mailer", "Microsoft Outlook 16.0"), exchange_id, outlook_boundary, exchange=True, unicode=False, preamble=MULTI
    ),
    "outlook-mac": Mailer(
        ("User-Agent", "Microsoft-MacOutlook/16.82.24021116"), exchange_id, EXCHANGE.boundary, exchange=True, unicode=False
    ),
    "outlook-web": EXCHANGE,
    "outlook-app": Mailer(EXCHANGE.header, EXCHANGE.id, EXCHANGE.boundary, exchange=True, unicode=False, phone=True),
    "apple": Mailer(
        ("X-Mailer", "Apple Mail (2.3774.500.171.1.1)"),
        lambda rng, _, number: uuid(rng, number).upper(),
        lambda rng: f"Apple-Mail=_{uuid(rng, 1).upper()}",
        unicode=False,
    ),
    "iphone": Mailer(
        ("X-Mailer", "iPhone Mail (21D61)"),
        lambda rng, _, number: uuid(rng, number).upper(),
        lambda rng: f"Apple-Mail-{uuid(rng, 1).upper()}",
        phone=True,
    ),
    "thunderbird": Mailer(
        ("User-Agent", "Mozilla Thunderbird"),
        lambda rng, _, number: uuid(rng, number),
        lambda rng: f"------------{hexes(rng, 24)}",
        preamble=MULTI,
    ),
    "yahoo": Mailer(
        ("X-Mailer", "WebService/1.1.22129 YMailNorrin"),
        yahoo_id,
        lambda rng: f"----=_Part_{rng.getrandbits(22)}_{rng.getrandbits(30)}.{rng.getrandbits(40)}",
        provider="post.example.net",
    ),
    "proton": Mailer(
        None, proton_id, lambda rng: f"b1={hexes(rng, 43)}", provider="vault.example.org", preamble=MULTI
    ),
    "samsung": Mailer(
        None,
        lambda rng, seconds, number: f"{hexes(rng, 12)}.{number}.{seconds}000",
        lambda rng: f"--_com.samsung.android.email_{rng.getrandbits(48)}",
        phone=True,
    ),
    "k9": Mailer(
        ("User-Agent", "K-9 Mail for Android"),
        lambda rng, _, number: uuid(rng, number).upper(),
        lambda rng: f"----{hexes(rng, 30).upper()}",
        phone=True,
    ),
    "plain": Mailer(
        ("User-Agent", "Lettermill/2.4"), plain_id, lambda rng: f"{rng.getrandbits(64):016x}", stated=False, unicode=False
    ),
}  # fmt: skip
