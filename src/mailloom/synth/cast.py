"""Who writes: people with a client, a language and habits, and the lists they meet on."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from mailloom.synth.mailers import MAILERS
from mailloom.synth.mime import phrase
from mailloom.synth.shape import Shape, mix
from mailloom.synth.words import Language, language, pick, weighted

COMPANIES = (
    "Amberlock", "Brightquay", "Coppermill", "Dovetail Freight", "Elmgate", "Fernhollow", "Gildenroute", "Hartwell Scales",
    "Inkberry", "Juniper Cold Chain", "Kestrel Works", "Larkspur Labs", "Millrace", "Nettlefold", "Oakum Trading", "Pinwheel",
    "Quarrystone", "Rushlight", "Saltmarsh", "Thistledown",
)  # fmt: skip
ENDINGS = ("example.com", "example.org", "example.net")
ZONES = {
    "en": (0, 60, -300, -480, 330, 600),
    "de": (60, 120),
    "fr": (60, 120, -300),
    "es": (60, 120, -180, -360),
    "pt": (-180, 60),
    "ru": (180, 300, 420),
    "ja": (540,),
    "zh": (480,),
    "it": (60, 120),
    "nl": (60, 120),
    "sv": (60, 120),
    "pl": (60, 120),
    "ar": (180, 120),
}
SUBJECTS_OF_LISTS = (
    "scales",
    "label-print",
    "cold-chain",
    "routing",
    "parser-dev",
    "ops",
    "users",
    "announce",
    "field-notes",
)


@dataclass(frozen=True, slots=True)
class Person:
    """One who writes. `mailbox` is name and address as a header holds them; `style` a number that fixes small habits;
    `charset` what this client sends where it can; `signature` lines, or none;
    `notice` a confidentiality notice, or ""; `ui` the language that the client speaks.
    """

    name: str
    given: str
    address: str
    mailbox: str
    client: str
    lang: Language
    ui: Language
    zone: int
    charset: str
    style: int
    signature: tuple[str, ...]
    notice: str
    host: str


@dataclass(frozen=True, slots=True)
class Circle:
    """A mailing list: its name and domain, and the lines at the end of every mail."""

    name: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.name}@{self.domain}"

    @property
    def footer(self) -> str:
        return (
            "_______________________________________________\n"
            f"{self.name} mailing list\n{self.address}\nhttps://{self.domain}/mailman/listinfo/{self.name}\n"
        )


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, by language, and the lists."""

    people: dict[str, tuple[Person, ...]]
    circles: tuple[Circle, ...]


def cast(shape: Shape, rng: Random) -> Cast:
    """People in the languages' shares, at least two for each language, and nine lists."""
    clients = mix("clients", shape.clients)
    people = {
        code: tuple(
            person(language(code), weighted(rng, clients), number, rng)
            for number in range(max(2, round(shape.people * part)))
        )
        for code, part in mix("langs", shape.langs)
        if part > 0
    }
    circles = tuple(Circle(name, f"lists.{pick(rng, ENDINGS)}") for name in SUBJECTS_OF_LISTS)
    return Cast(people, circles)


def person(lang: Language, client: str, number: int, rng: Random) -> Person:
    given, given_key = pick(rng, lang.given)
    family, family_key = pick(rng, lang.family)
    company = pick(rng, COMPANIES)
    style = int(rng.random() * 1000)
    host = f"{company.split()[0].lower()}.{pick(rng, ENDINGS)}"
    mailer = MAILERS[client]
    if mailer.provider or client == "iphone":
        host = pick(rng, (mailer.provider or "me.example.com", host))
    name = f"{family}{given}" if lang.code == "zh" else f"{family} {given}" if lang.tight else f"{given} {family}"
    # Companies with Exchange often show the family name first, with a comma that must be quoted.
    if mailer.exchange and not lang.tight and style % 10 < 3:
        name = f"{family}, {given}"
    address = f"{given_key}.{family_key}{number if number >= 20 else ''}@{host}"
    charset = "utf-8" if mailer.unicode else pick(rng, lang.charsets)
    signature: tuple[str, ...] = ()
    if rng.random() < 0.6 and not mailer.phone:
        shown = f"{given} {family}" if "," in name else name
        signature = signed(shown, pick(rng, lang.jobs), company, address, style)
    try:
        name.encode(charset)
        coded = phrase(name, charset, lang.wide)
    except UnicodeEncodeError:
        coded = phrase(name, "utf-8", lang.wide)
    return Person(
        name=name,
        given=given,
        address=address,
        mailbox=f"{coded} <{address}>",
        client=client,
        lang=lang,
        # Some leave their client in English.
        ui=language("en") if style % 8 == 5 else lang,
        zone=pick(rng, ZONES[lang.code]),
        charset=charset,
        style=style,
        signature=signature,
        notice=lang.notice if mailer.exchange and style % 7 == 0 else "",
        host=host,
    )


def signed(name: str, job: str, company: str, address: str, style: int) -> tuple[str, ...]:
    """The lines of a signature, in one of the shapes that people give it."""
    host = address.partition("@")[2]
    phone = f"+00 555 {style:03} {style * 7 % 10000:04}"
    shapes: tuple[tuple[str, ...], ...] = (
        (name, f"{job}, {company}", phone, f"https://{host}/"),
        (name, f"{job}, {company}"),
        (name, job, company, f"T {phone} | M +00 556 {style:03} 00", address),
        (f"{name} | {job} | {company}", f"{phone} | www.{host}"),
        (
            name,
            company,
            f"P.O. Box {style + 100}, 00555 {company.partition(' ')[0]}ville",
            f"Tel.: {phone}",
            f"www.{host}",
        ),
        (f"{name}, {company}",),
        (name, f"{job}, {company}", phone),
    )
    return shapes[style // 10 % len(shapes)]
