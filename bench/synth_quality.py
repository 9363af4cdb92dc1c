"""How much of made-up mail is read right, by client and language: a table, the causes counted, and the worst mails.

    python bench/synth_quality.py [--mails 4000] [--seed 7] [--client NAME] [--lang CODE] [--show 10] [--raw]

The mails come from mailloom.synth, whose templates are written from what the clients send, not from the rules that cut. Without
--client and --lang all of them occur alike. Columns, in per cent:

exact    reply_text is the truth's, blanks and line ends aside      f1      its words (characters where no blanks divide words)
full     reply_full likewise                                        leak    of mails with a quote: some of it is left in reply_text
nested   messages inside that were found, by sender and depth       kind, from, date ...: of those found, the field is right
spare    messages found that are not there
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailloom.mail.model import Message, Nested
from mailloom.mail.parse import parse
from mailloom.synth import Inner, Mail, Shape, generate
from mailloom.synth.shape import MIXES

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"))
WORDS = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]|[^\s\u3040-\u30ff\u4e00-\u9fff]+")
FIELDS = ("kind", "from", "date", "subject", "to", "text")
# A paragraph as short as this may stand in both texts by chance.
SHORT = 20


@dataclass
class Score:
    """Sums over the mails of one client, language or both."""

    mails: int = 0
    exact: int = 0
    full: int = 0
    f1: float = 0.0
    quoting: int = 0
    leaked: int = 0
    nested: int = 0
    found: int = 0
    spare: int = 0
    right: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Verdict:
    """One mail: what went wrong, and how far the reply text is from the truth."""

    mail: Mail
    message: Message
    f1: float
    cause: str
    detail: str


def squeezed(text: str) -> str:
    """Without blanks, invisible marks, quote marks at the start of lines, links' targets and the dashes above a signature."""
    return "".join(re.sub(r"(?m)^[> ]+|^-- ?$| ?<https?://[^>\s]*>", "", text.translate(INVISIBLE)).split())


def f1(said: str, truth: str) -> float:
    mine, right = Counter(WORDS.findall(said)), Counter(WORDS.findall(truth))
    both = (mine & right).total()
    total = mine.total() + right.total()
    return 2 * both / total if total else 1.0


def leaks(mail: Mail, said: str) -> bool:
    """Whether a paragraph of a quote stands in what should be new."""
    truth = squeezed(mail.truth.reply_text)
    texts = (squeezed(block) for inner in mail.truth.nested for block in inner.text.split("\n\n"))
    return any(len(text) > SHORT and text in said and text not in truth for text in texts)


def same_sender(inner: Inner, one: Nested) -> bool:
    keys = {a.address.lower() for a in one.from_} | {squeezed(a.name) for a in one.from_}
    return inner.address.lower() in keys or squeezed(inner.name) in keys


def moment(inner: Inner, one: Nested) -> bool:
    """The minute as stated: in UTC where the mail states a zone, else on the clock."""
    if one.date.ms is None:
        return False
    said = datetime(1970, 1, 1) + timedelta(milliseconds=one.date.ms)  # noqa: DTZ001  # compared as clocks
    truth = datetime.fromisoformat(inner.date)
    zone = truth.utcoffset()
    if zone is not None and one.date.zone is not None:
        return said.replace(second=0) == truth.replace(tzinfo=None) - zone
    return said.replace(second=0) + timedelta(minutes=one.date.zone or 0) == truth.replace(tzinfo=None)


def fields_right(inner: Inner, one: Nested) -> set[str]:
    right = {"kind"} if one.kind == inner.kind else set()
    name = one.from_[0].name if one.from_ else ""
    if squeezed(name) == squeezed(inner.name) and (not inner.address or one.from_[0].address == inner.address):
        right.add("from")
    if moment(inner, one):
        right.add("date")
    if squeezed(one.subject) == squeezed(inner.subject):
        right.add("subject")
    if [a.address for a in (*one.to, *one.cc)] == [address for _, address in (*inner.to, *inner.cc)]:
        right.add("to")
    if all(squeezed(block) in squeezed(one.text) for block in inner.text.split("\n\n")):
        right.add("text")
    return right


def match(truth: Iterable[Inner], found: Iterable[Nested]) -> list[tuple[Inner, Nested | None]]:
    """Each message that is inside with the one that was found for it: at its depth, from its sender, in order."""
    left = list(found)
    pairs: list[tuple[Inner, Nested | None]] = []
    for inner in truth:
        hit = next((n for n in left if n.depth == inner.depth and same_sender(inner, n)), None)
        if hit is not None:
            left.remove(hit)
        pairs.append((inner, hit))
    return pairs


def cause(mail: Mail, message: Message) -> tuple[str, str]:
    """The first thing that is wrong with the reply text, in words that can be counted, and where it shows."""
    truth = mail.truth
    said, right = squeezed(message.reply_text), squeezed(truth.reply_text)
    if said == right:
        return "", ""
    if leaks(mail, said):
        return f"quote left in ({truth.placed})", edge(said, right)
    for kind, text in (("signature", truth.signature), ("notice", truth.notice), ("banner", truth.banner)):
        lines = [squeezed(line) for line in text.split("\n")]
        if text and any(len(line) > 3 and line in said and line not in right for line in lines):
            return f"{kind} left in", edge(said, right)
    if truth.list and "mailman" in said:
        return "list footer left in", edge(said, right)
    if all(block in said for block in map(squeezed, truth.reply_text.split("\n\n"))):
        return f"more than was typed ({truth.placed})", edge(said, right)
    if said in right or all(block in right for block in map(squeezed, message.reply_text.split("\n\n"))):
        return f"less than was typed ({truth.placed})", edge(right, said)
    return f"other ({truth.placed})", edge(said, right)


def edge(longer: str, shorter: str) -> str:
    """Where the longer text first goes another way."""
    at = next(
        (n for n, (a, b) in enumerate(zip(longer, shorter, strict=False)) if a != b), min(len(longer), len(shorter))
    )
    return longer[at : at + 70] or shorter[at : at + 70]


def judge(mail: Mail, scores: list[Score]) -> Verdict:
    message = parse(mail.raw)
    truth = mail.truth
    said = squeezed(message.reply_text)
    close = f1(message.reply_text, truth.reply_text)
    pairs = match(truth.nested, message.nested)
    for score in scores:
        score.mails += 1
        score.exact += said == squeezed(truth.reply_text)
        score.full += squeezed(message.reply_full) == squeezed(truth.reply_full)
        score.f1 += close
        if truth.nested:
            score.quoting += 1
            score.leaked += leaks(mail, said)
        score.nested += len(pairs)
        score.spare += len(message.nested) - sum(one is not None for _, one in pairs)
        for inner, one in pairs:
            if one is not None:
                score.found += 1
                score.right.update(fields_right(inner, one))
    why, detail = cause(mail, message)
    if not why:
        missing = next((inner for inner, one in pairs if one is None), None)
        if missing is not None:
            why, detail = f"{missing.kind} not found at depth {missing.depth}", f"{missing.name} {missing.date}"
    return Verdict(mail, message, close, why, detail)


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:6.1f}" if whole else "     -"


def row(name: str, score: Score) -> str:
    cells = [
        share(score.exact, score.mails),
        share(score.f1, score.mails),
        share(score.full, score.mails),
        share(score.leaked, score.quoting),
        share(score.found, score.nested),
        *[share(score.right[one], score.found) for one in FIELDS],
    ]
    return f"{name:14}{score.mails:6}" + "".join(f"{cell:>9}" for cell in cells) + f"{score.spare:7}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--client", choices=MIXES["clients"])
    parser.add_argument("--lang", choices=MIXES["langs"])
    parser.add_argument(
        "--show", type=int, default=10, help="the worst so many, no two of one client, language and cause"
    )
    parser.add_argument("--raw", action="store_true", help="print the text and the segments of the worst, too")
    args = parser.parse_args()
    shape = Shape(
        clients=args.client or "+".join(MIXES["clients"]),
        langs=args.lang or "+".join(MIXES["langs"]),
        forwards=0.15,
        html=0.6,
        html_only=0.2,
        attachments=0.05,
        broken=0,
        again=0,
        late=0,
        concurrency=60,
        people=2000,
    )
    by: dict[str, dict[str, Score]] = {name: defaultdict(Score) for name in ("client", "lang", "placed", "cell")}
    causes: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: dict[tuple[str, str, str], Verdict] = {}
    whole = Score()
    for mail in generate(args.mails, args.seed, shape):
        truth = mail.truth
        scores = [by["client"][truth.client], by["lang"][truth.lang], by["placed"][truth.placed], whole]
        verdict = judge(mail, [*scores, by["cell"][f"{truth.client} {truth.lang}"]])
        if verdict.cause:
            causes[verdict.cause][f"{truth.client} {truth.lang}"] += 1
            key = (truth.client, truth.lang, verdict.cause)
            if key not in wrong or verdict.f1 < wrong[key].f1:
                wrong[key] = verdict
    report(by, whole, causes)
    for verdict in sorted(wrong.values(), key=lambda v: v.f1)[: args.show]:
        truth = verdict.mail.truth
        print(
            f"\n{truth.client} {truth.lang} {truth.placed}, f1 {verdict.f1:.2f}: {verdict.cause}\n    at: {verdict.detail}"
        )
        if args.raw:
            for segment in verdict.message.segments:
                text = verdict.message.text[segment.start : segment.end]
                print(f"    {segment.kind:11} {segment.rule:20} {text[:200]!r}")
            print(f"    truth       {truth.reply_text[:300]!r}")


def report(by: dict[str, dict[str, Score]], whole: Score, causes: dict[str, Counter[str]]) -> None:
    columns = ("exact", "f1", "full", "leak", "nested", *FIELDS)
    head = f"{'':14}{'mails':>6}" + "".join(f"{column:>9}" for column in columns) + f"{'spare':>7}"
    for name in ("client", "lang", "placed"):
        print(head)
        for key, score in sorted(by[name].items()):
            print(row(key, score))
        print()
    print(row("all", whole))
    print("\nexact, by client and language")
    langs = sorted(by["lang"])
    print(f"{'':14}" + "".join(f"{lang:>6}" for lang in langs))
    for client in sorted(by["client"]):
        cells = [by["cell"].get(f"{client} {lang}", Score()) for lang in langs]
        print(f"{client:14}" + "".join(f"{100 * c.exact / c.mails:6.0f}" if c.mails else "     -" for c in cells))
    print("\ncauses")
    for why, where in sorted(causes.items(), key=lambda pair: -pair[1].total()):
        most = ", ".join(f"{place} {count}" for place, count in where.most_common(6))
        print(f"{where.total():6} {why}: {most}")


if __name__ == "__main__":
    main()
