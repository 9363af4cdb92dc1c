"""What `explain` says of ids and of what is looked for, for somebody who knows mail and not this program. Pure: values in, words out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from mailloom.archive.story import Sought, Tie
from mailloom.cli import draw
from mailloom.mail.model import MessageId
from mailloom.thread.clues import REPLY_DAYS, SUBJECT_DAYS
from mailloom.thread.index import shared
from mailloom.thread.keys import MAX_CITERS
from mailloom.thread.path import Way
from mailloom.thread.telling import minute_of

_HEADERS = {
    "message-id": "Message-ID",
    "in-reply-to": "In-Reply-To",
    "references": "References",
    "alias": "other id",
    "thread-index": "Thread-Index",
}


def tie_line(ties: Sequence[Tie]) -> str:
    """One id, whichever headers state it."""
    tie, kinds = ties[0], [one.link.kind for one in ties]
    if tie.link.kind == "twin":
        return "the same mail came under another id"
    headers = " and ".join(_HEADERS.get(kind, kind) for kind in kinds)
    if tie.link.kind == "thread-index":
        return f"its {headers} says {index_level(tie)} conversation {shared(tie.link.detail)}"
    if tie.link.owns and tie.state == "alone":
        return f"its {headers}, which nobody here cites: {draw.safe(tie.link.detail)}"
    says = "is" if tie.link.owns else "name" if len(kinds) > 1 or kinds[0] == "references" else "names"
    return f"its {headers} {says} {draw.safe(tie.link.detail)}"


def index_level(tie: Tie) -> str:
    """How deep Outlook counted an answer."""
    return "that it began" if tie.level == 0 else f"that it is {tie.level} deep in"


def why_unused(tie: Tie) -> str:
    """Why an id joins nobody, "" for one that may."""
    if tie.why == "reused":
        return "not used: this id was given to mails with different subjects, so it can't tell which one is meant"
    if tie.why == "shared":
        return (
            f"not used: shared by automatic mail, it seems: {_counted(tie.senders)} senders cite it under "
            f"{_counted(tie.subjects)} subjects, and no mail here has it"
        )
    return f"not used: kept apart by hand (edit {tie.wall})" if tie.wall else ""


def _counted(count: int) -> str:
    return f"{count} or more" if count >= MAX_CITERS else str(count)


def step_words(way: Way, other: str, value: str) -> str:
    """How a mail hangs together with another one, whose name is `other`."""
    match way:
        case "cites":
            return f"cites {other}"
        case "cited":
            return f"is cited by {other}"
        case "both cite":
            return f"cites {draw.clip(draw.safe(value), 40)}, as does {other}"
        case "same":
            return f"has the same id as {other}" if value else f"is the same mail as {other}"
        case "index":
            return f"shares its Thread-Index with {other}"
        case "follows":
            return f"follows {other}"
        case "followed":
            return f"is followed by {other}"


# ------------------------------------------------------------------------------------------------ what is looked for
def sought_lines(sought: Iterable[Sought]) -> Iterator[tuple[Sought, str]]:
    """Each thing that is looked for, in words. What others quote as well, or answer as well, goes with what it belongs to."""
    every = list(sought)
    said = {(one.what, one.minute) for one in every if one.kind.startswith("wrote")}
    titled = {one.what for one in every if one.kind == "subject"}
    for one in every:
        if one.kind == "siblings" and (one.what, one.minute) in said:
            continue
        if one.kind == "replies" and one.what in titled:
            continue
        yield _merged(one, every), _sought_line(one)


def _merged(one: Sought, every: Iterable[Sought]) -> Sought:
    """With what was found by the line that goes with it."""
    partner = {"wrote": "siblings", "wrote there": "siblings", "subject": "replies"}.get(one.kind, "")
    found = {m for other in every if other.kind == partner and other[1:3] == one[1:3] for m in other.found}
    return one._replace(found=tuple(sorted(found.union(one.found))))


def _sought_line(one: Sought) -> str:
    what = draw.safe(one.what)
    match one.kind:
        case "wrote":
            return f"what {what} wrote on {minute_of(one.minute)} UTC, or others who quote it"
        case "wrote there":
            return f"what {what} wrote on {minute_of(one.minute)} by some clock, or others who quote it"
        case "siblings":
            return f"who else quotes what {what} wrote on {minute_of(one.minute)}"
        case "text":
            stand = "a phrase stands" if one.values == 1 else f"{one.values} phrases stand"
            return f"a mail in which {stand} that it quotes"
        case "subject":
            return f"mails titled '{what}' ({SUBJECT_DAYS} days back) and answers to them ({REPLY_DAYS} days back)"
        case "replies":
            return f"answers to mails titled '{what}' ({REPLY_DAYS} days back)"
        case "again":
            return f"mails titled '{what}' ({SUBJECT_DAYS} days back), with or without the mark"
        case "ticket":
            return f"mails of the same ticket as '{what}' ({REPLY_DAYS} days back)"
        case "series":
            return f"other parts of the series, of which it is {what}"
        case _:
            return f"{one.kind}: {what}"


def answer_line(one: Sought, linked: Collection[MessageId]) -> str:
    """What came of looking. `linked` are those that it follows."""
    if not one.common:
        common = ""
    elif one.common < one.values:
        common = f"{one.common} of them too common to count; "
    elif one.found:
        common = "too many mails have that; else "
    else:
        return "too many mails have that to tell threads apart"
    others = len(set(one.found).difference(linked))
    if others == len(one.found):
        return common + (f"{draw.several(others, 'mail')} here" if others else "none here")
    return common + (f"{draw.several(others, 'mail')} here beside that one" if others else "only that one here")
