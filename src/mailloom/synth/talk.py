"""Conversations: who answers what, and when. The state of the traffic, advanced one mail at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from random import Random
from typing import Literal

from mailloom.synth import post
from mailloom.synth.android import k9, samsung
from mailloom.synth.apple import apple, iphone
from mailloom.synth.cast import Cast, Circle, Person
from mailloom.synth.damage import damage
from mailloom.synth.dates import stated
from mailloom.synth.exchange import outlook_app, outlook_web
from mailloom.synth.gmail import gmail
from mailloom.synth.letter import Draft, Letter, Sent, encodable, mailboxes, shown
from mailloom.synth.mailers import MAILERS
from mailloom.synth.mime import Part, attached_mail, block
from mailloom.synth.outlook import first_index, next_index, outlook
from mailloom.synth.plain import plain
from mailloom.synth.shape import Shape, mix
from mailloom.synth.thunderbird import thunderbird
from mailloom.synth.truth import Inner, Truth
from mailloom.synth.webmail import proton, yahoo
from mailloom.synth.words import Language, fill, paragraph, pick, weighted

Kind = Literal["new", "reply", "forward"]
People = tuple[Person, ...]
CLIENTS: dict[str, Callable[[Letter], Draft]] = {
    "gmail": gmail, "outlook": outlook, "outlook-mac": outlook, "outlook-web": outlook_web, "outlook-app": outlook_app, "apple": apple, "iphone": iphone,
    "thunderbird": thunderbird, "yahoo": yahoo, "proton": proton, "samsung": samsung, "k9": k9, "plain": plain,
}  # fmt: skip
"""How each client writes: a further one is a function here and a Mailer in mailers.py."""

# A conversation's newest mails are the ones that get answered; older ones are forgotten, which bounds memory.
REMEMBERED = 4
# Characters of old text, beyond which people cut the quotes of quotes away, and characters of the last author's beyond which
# they keep its beginning. Both bound memory too.
QUOTE_KEPT = 24_000
SAID_KEPT = 8_000
# Only small mails are kept to be attached to another one, and only some.
RAW_KEPT = 32_000
# Where the mean size is steered: mails in the mean, and between two looks at it. Shorter ones swing with every big attachment.
STEER_WINDOW = 400
STEER_EVERY = 50
# About what a mail without any text has: longer texts don't add to that.
HEADERS = 1500


@dataclass(slots=True)
class Conversation:
    """People talking: the id of its first mail, its newest mails, how many there were."""

    id: str
    lang: Language
    members: list[Person]
    circle: Circle | None
    count: int = 0
    newest: list[Sent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Posted:
    """A mail as sent, to be delivered once or more: everything but the trace."""

    letter: Letter
    core: bytes
    truth: Truth


@dataclass(slots=True)
class Traffic:
    """All that changes while mail is made. `alive` holds conversations, one as often as it was lively lately: a draw from it
    prefers the long ones, whence the heavy tail; each new mail overwrites a place at random, whence forgetting.
    """

    shape: Shape
    cast: Cast
    rng: Random
    clock: float
    langs: tuple[tuple[str, float], ...]
    alive: list[Conversation] = field(default_factory=list)
    number: int = 0
    stretch: float = 1.0
    mean_size: float = 0.0
    mean_stretch: float = 1.0

    def step(self) -> Posted:
        """The next mail that somebody sends."""
        rng, shape = self.rng, self.shape
        self.clock += rng.expovariate(shape.per_day / 86_400)
        self.number += 1
        talk = pick(rng, self.alive) if self.alive and rng.random() < shape.replies else None
        if talk is not None and (talk.count >= shape.longest or not talk.newest):
            talk = None
        if self.alive and rng.random() < shape.attached:
            posted = self.pass_on()
        elif talk is None:
            posted = self.begin()
        elif rng.random() < shape.forwards:
            posted = self.forward(talk)
        else:
            posted = self.answer(talk)
        self.steer(len(posted.core))
        return posted

    def begin(self) -> Posted:
        rng = self.rng
        code = weighted(rng, self.langs)
        everyone = self.cast.people[code]
        circle = pick(rng, self.cast.circles) if rng.random() < self.shape.lists else None
        size = min(len(everyone), (3 + int(rng.random() * 20)) if circle else 2 + int(rng.random() ** 2 * 5))
        members = rng.sample(everyone, size)
        lang = members[0].lang
        talk = Conversation("", lang, members, circle)
        subject = fill(lang, pick(rng, lang.subjects), rng, given(members))
        return self.send(talk, members[0], tuple(members[1:4]), kind="new", subject=subject)

    def answer(self, talk: Conversation) -> Posted:
        rng = self.rng
        parent = talk.newest[-1] if rng.random() < 0.75 else pick(rng, talk.newest)
        author = pick(rng, talk.members)
        if author is parent.author:
            author = next((person for person in parent.to if person is not author), talk.members[0])
        others = tuple(person for person in (parent.author, *parent.to) if person is not author)[:4]
        subject = parent.subject
        if rng.random() < self.shape.retopic:
            fresh = fill(talk.lang, pick(rng, talk.lang.subjects), rng, given(talk.members))
            subject = fresh if rng.random() < 0.5 else f"{fresh} (was: {subject})"
        return self.send(talk, author, others or (parent.author,), kind="reply", subject=subject, parent=parent)

    def forward(self, talk: Conversation) -> Posted:
        """To somebody new. Where the client states what was forwarded, it stays in the conversation; plain clients don't."""
        rng = self.rng
        parent = talk.newest[-1]
        author = pick(rng, parent.to)
        reader = pick(rng, self.cast.people[talk.lang.code])
        if not MAILERS[author.client].stated:
            talk = Conversation("", talk.lang, [author, reader], None)
        elif talk.circle is None:
            talk.members.append(reader)
        return self.send(talk, author, (reader,), kind="forward", subject=parent.subject, parent=parent)

    def pass_on(self) -> Posted:
        """A mail with one to three others attached begins a conversation of its own."""
        rng = self.rng
        kept = [sent for sent in pick(rng, self.alive).newest if sent.raw] or self.kept()
        if not kept:
            return self.begin()
        author = pick(rng, kept[-1].to)
        reader = pick(rng, self.cast.people[author.lang.code])
        talk = Conversation("", author.lang, [author, reader], None)
        kept = kept[-3:]
        subject = f"Fwd: {kept[-1].subject}" if len(kept) == 1 else f"{len(kept)} × {kept[-1].subject}"
        return self.send(talk, author, (reader,), kind="new", subject=subject, enclosed=tuple(kept))

    def kept(self) -> list[Sent]:
        """A mail that was kept to be attached, from wherever one is found soon."""
        for _ in range(20):
            for sent in pick(self.rng, self.alive).newest:
                if sent.raw:
                    return [sent]
        return []

    def say(self, kind: Kind, names: tuple[str, ...], author: Person) -> tuple[tuple[str, ...], bool, bool]:
        """The paragraphs of a mail, whether the first one greets, and whether the last one takes leave."""
        rng, lang = self.rng, author.lang
        blocks = [fill(lang, pick(rng, lang.greetings), rng, names)] if rng.random() < 0.7 else []
        greeted = bool(blocks)
        if kind == "forward":
            blocks.append(fill(lang, pick(rng, lang.intros), rng, names))
        left = int(rng.lognormvariate(1.2, 0.7) * self.stretch) + (kind != "forward")
        while left > 0:
            sentences = min(left, 1 + int(rng.random() * 4))
            blocks.append(paragraph(lang, rng, names, sentences))
            left -= sentences
        closed = rng.random() < 0.6
        if closed:
            blocks.append(leave(author, pick(rng, lang.closings)))
        return tuple(blocks), greeted, closed

    def answers(self, kind: Kind, names: tuple[str, ...], lang: Language) -> tuple[str, ...]:
        """Paragraphs to put between quotes, if the author feels like it: short ones and full ones."""
        rng = self.rng
        if kind != "reply" or rng.random() < 0.4:
            return ()
        return tuple(
            fill(lang, pick(rng, lang.answers), rng, names)
            if rng.random() < 0.5
            else paragraph(lang, rng, names, max(1, int(self.stretch)))
            for _ in range(1 + int(rng.random() * 3))
        )

    def letter(
        self, talk: Conversation, author: Person, to: People, *, kind: Kind, subject: str, parent: Sent | None
    ) -> Letter:
        """What is going to be said, before a client writes it."""
        rng, shape = self.rng, self.shape
        names = given(to)
        html = author.client != "plain" and rng.random() < shape.html
        copied = 1 if len(to) > 1 and author.style % 3 == 0 else len(to)
        blocks, greeted, closed = self.say(kind, names, author)
        return Letter(
            author=author,
            to=to[:copied],
            cc=to[copied:],
            circle=talk.circle if kind != "forward" else None,
            kind=kind,
            subject=subject,
            seconds=max(int(self.clock), parent.seconds + 1 if parent else 0),
            blocks=blocks,
            greeted=greeted,
            closed=closed,
            answers=self.answers(kind, names, author.lang),
            parent=parent,
            whole=parent is not None and parent.levels < shape.depth,
            html=html,
            only_html=html and rng.random() < shape.html_only,
        )

    def send(
        self,
        talk: Conversation,
        author: Person,
        to: People,
        *,
        kind: Kind,
        subject: str,
        parent: Sent | None = None,
        enclosed: tuple[Sent, ...] = (),
    ) -> Posted:
        """Write it, remember it, and say what is true of it."""
        rng, shape = self.rng, self.shape
        letter = self.letter(talk, author, to, kind=kind, subject=subject, parent=parent)
        draft = CLIENTS[author.client](letter)
        banner = warning(letter, draft.charset)
        if banner:
            draft = warned(draft, banner)
        # The first mail of a conversation belongs to nothing, even where it forwards something.
        related = parent if talk.count else None
        lost = related is not None and rng.random() < shape.lost
        headers = self.headers(letter, None if lost else related)
        names, parts = self.enclose(letter, enclosed)
        mail = post.whole(letter, draft, headers, parts, rng)
        fields, body, broken = mail.fields, mail.body, None
        if rng.random() < shape.broken:
            broken, (fields, body) = damage(mail, rng)
        core = block(fields) + b"\n" + body
        if not talk.count:
            talk.id = headers.id
        truth = Truth(
            id=headers.id,
            thread=talk.id,
            parent=related.id if related is not None else None,
            topic=related.topic if related is not None and related.subject == subject else headers.id,
            reply_text=draft.said,
            signature=draft.signature,
            nested=draft.inline + tuple(inner for sent in enclosed for inner in attached(sent)),
            duplicate_of=None,
            lost_headers=lost,
            broken=broken,
            client=author.client,
            lang=author.lang.code,
            list=letter.circle.address if letter.circle else None,
            attachments=names,
            greeting=letter.blocks[0] if letter.greeted and draft.placed != "between" else "",
            signoff=letter.blocks[-1] if letter.closed else "",
            notice=draft.notice,
            banner=banner,
            placed=draft.placed,
        )
        keep = broken is None and len(core) < RAW_KEPT and rng.random() < 0.15
        self.remember(talk, sent(letter, draft, headers, truth, core if keep else b""))
        return Posted(letter, core, truth)

    def headers(self, letter: Letter, related: Sent | None) -> post.Headers:
        """Its id, and what its client states of the mail it belongs to (None: nothing, or the headers were lost)."""
        rng = self.rng
        own = post.new_id(letter.author, letter.seconds, self.number, rng)
        index = b""
        if MAILERS[letter.author.client].exchange:
            if related is None:
                index = first_index(letter.seconds, rng)
            else:
                # Exchange gives a mail that came without an index one of its own, and answers below that.
                index = next_index(related.index or first_index(related.seconds, rng), letter.seconds, rng)
        if related is None:
            return post.Headers(own, "", (), index)
        # A few clients still state In-Reply-To alone.
        references = related.references if letter.author.client != "plain" or letter.author.style % 11 else ()
        if len(references) > post.REFERENCES_KEPT:
            references = (references[0], *references[1 - post.REFERENCES_KEPT :])
        return post.Headers(own, related.id, references, index)

    def enclose(self, letter: Letter, enclosed: tuple[Sent, ...]) -> tuple[tuple[str, ...], tuple[Part, ...]]:
        rng, shape = self.rng, self.shape
        names: tuple[str, ...] = ()
        parts: tuple[Part, ...] = ()
        if rng.random() < shape.attachments:
            names, parts = post.attachments(letter, 1 + int(rng.random() ** 2 * 3), shape.attachment_size, rng)
        as_file = rng.random() < 0.2
        return names, parts + tuple(attached_mail(sent.raw, f"mail {n}", as_file) for n, sent in enumerate(enclosed, 1))

    def remember(self, talk: Conversation, sent: Sent) -> None:
        talk.count += 1
        talk.newest.append(sent)
        del talk.newest[:-REMEMBERED]
        if len(self.alive) < self.shape.concurrency:
            self.alive.append(talk)
        else:
            self.alive[int(self.rng.random() * len(self.alive))] = talk

    def steer(self, size: int) -> None:
        """Towards the mean size asked for, by making texts longer or shorter: in proportion to what the mean stretch gave lately."""
        part = 1 / min(self.number, STEER_WINDOW)
        self.mean_size += (size - self.mean_size) * part
        self.mean_stretch += (self.stretch - self.mean_stretch) * part
        if self.shape.size and self.number % STEER_EVERY == 0:
            ratio = max(1, self.shape.size - HEADERS) / max(1.0, self.mean_size - HEADERS)
            self.stretch = min(2000.0, max(0.02, self.mean_stretch * min(3.0, max(0.33, ratio))))


def leading(text: str, most: int) -> str:
    """The first paragraphs, at least one, within `most` characters."""
    end = text.rfind("\n\n", 0, most)
    return text[:end] if end > 0 else text.partition("\n\n")[0]


def leave(author: Person, closing: str) -> str:
    """How somebody takes leave: a closing with the name below it or after it, or the name alone."""
    habit = author.style % 9
    if habit == 4:
        return author.given
    if habit == 7:
        return f"{closing}{'' if author.lang.tight else ' '}{author.given}"
    return f"{closing}\n{author.given if habit else author.name}"


def given(people: Sequence[Person]) -> tuple[str, ...]:
    return tuple(person.given for person in people)


def sent(letter: Letter, draft: Draft, headers: post.Headers, truth: Truth, raw: bytes) -> Sent:
    """What is remembered of a mail: of a long one only its beginning."""
    said = draft.said if len(draft.said) < SAID_KEPT else leading(draft.said, SAID_KEPT)
    short = len(said) == len(draft.said) and len(draft.text) + len(draft.html) < QUOTE_KEPT
    text = draft.text if letter.html and draft.html else shown(draft.text)
    if letter.circle is not None and post.footed(draft) and letter.style % 2:
        # On a list people quote its footer too, unless they take care.
        text = f"{text}\n{letter.circle.footer.rstrip()}"
    return Sent(
        id=headers.id,
        # RFC 5322 section 3.6.4: of a mail without References its In-Reply-To is taken.
        references=(*(headers.references or filter(None, (headers.in_reply_to,))), headers.id),
        seconds=letter.seconds,
        author=letter.author,
        to=letter.to,
        cc=letter.cc,
        subject=letter.subject,
        prefix=draft.prefix,
        topic=truth.topic,
        said=said,
        text=text if short else said,
        html=draft.html if short and letter.html else "",
        inline=draft.inline if short else (),
        nested=truth.nested if short else (),
        index=headers.index,
        raw=raw if short else b"",
    )


def warning(letter: Letter, charset: str) -> str:
    """What the server of some companies puts above mail from outside."""
    reader = letter.to[0]
    outside = MAILERS[reader.client].exchange and reader.style % 6 == 1 and reader.host != letter.author.host
    return reader.lang.banner if outside and letter.circle is None and encodable(reader.lang.banner, charset) else ""


def warned(draft: Draft, banner: str) -> Draft:
    start = draft.page.find(">", draft.page.find("<body")) + 1 if "<body" in draft.page else 0
    box = f'<div style="background-color:#FFEB9C; border:1px solid #9C6500; padding:2pt; font-size:10pt">{escape(banner)}</div><br>\n'
    return replace(
        draft,
        body=f"{banner}\n\n{draft.body}" if draft.body else "",
        text=f"{banner}\n\n{draft.text}",
        html=box + draft.html,
        page=f"{draft.page[:start]}{box}{draft.page[start:]}" if draft.page else "",
    )


def attached(sent: Sent) -> tuple[Inner, ...]:
    """An attached mail and all the messages in it."""
    own = Inner(
        kind="attached",
        name=sent.author.name,
        address=sent.author.address,
        date=stated(sent.seconds, sent.author.zone, with_zone=True),
        subject=sent.prefix + sent.subject,
        text=sent.said,
        depth=1,
        to=mailboxes(sent.to),
        cc=mailboxes(sent.cc),
    )
    return (own, *[inner.deeper(1) for inner in sent.nested])


def again(posted: Posted) -> Posted:
    """The same mail, to be delivered once more."""
    return replace(posted, truth=replace(posted.truth, duplicate_of=posted.truth.id))


def traffic(shape: Shape, cast: Cast, rng: Random) -> Traffic:
    return Traffic(shape, cast, rng, float(shape.start), mix("langs", shape.langs))
