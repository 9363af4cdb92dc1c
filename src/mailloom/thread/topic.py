"""What a subject says of the talk that a mail belongs to. Pure: texts in, hashes out.

A subject carries more than its words: that it answers, which version or ticket it is about, the subject before it was changed, and
numbers that a list gives to each mail, which tell nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mailloom.mail.identity import REPLY, base_subject
from mailloom.mail.model import Message
from mailloom.thread.keys import short_hash

MIN_SUBJECT = 4  # a base subject of "hi" joins everybody
MAX_SUBJECT = 1000  # characters that are looked at, as in base_subject

_TAG = re.compile(r"\[([^\[\]]{0,60}\d[^\[\]]{0,60})\]")
SERIES = re.compile(r"\[([^\[\]]{0,60}?)\b(\d{1,4})/(\d{1,4})\b[^\[\]]{0,60}\]")
_COUNTER = re.compile(r"\[([a-z][\w.-]{0,40})([ :,])[ #]?\d{1,9}\]", re.IGNORECASE)
"""What fml ("[pumps:00123]"), Mailman and Sympa ("[pumps 123]") put in front: another number in each mail of a list."""
_TRACKERS = "bug|ticket|issue|case|request|task|incident|ref|id|rt|pr|sr|order"
_TICKET = re.compile(
    rf"[\[(](?i:[\w.-]{{1,40}} )?(?:(?i:{_TRACKERS})[ #:-]{{0,2}}(?i:id[: ]{{1,2}})?|#)#?\d[\d-]{{0,20}}[\])]"
    rf"|[\[(]#?[A-Z][A-Z0-9]{{1,9}}-\d{{1,9}}(?:-\d{{1,9}})?[\])]|^\s{{0,4}}(?i:re: ?)?(?i:bug|ticket|issue) ?#\d{{1,9}}(?=:)"
)
"""How trackers write which ticket a mail is about: Bugzilla "[Bug 12]", RT "[example.org #12]", OTRS "[Ticket#2024]", Jira "(PUMP-12)", GitHub
"(#12)", "(Issue #12)", Debian "Bug#12:"."""
_KEY = re.compile(r"(?:[A-Z][A-Z0-9]{1,9}-)?\d[\d-]{0,20}")
"""Of a ticket, without words: GitHub writes (#12), (PR #12) and (Issue #12) of one."""
_NO_TICKET = re.compile(r"\W*(?:covid|utf|iso|rfc|cve)-", re.IGNORECASE)
_REPOSITORY = re.compile(r"\[[\w.-]{1,60}/[\w.-]{1,60}\]")  # of which the ticket is, on GitHub and the like
_WAS = re.compile(
    r"(?<!\w)was: ?(?=\S)|[(\[](?:was |(?:war|était|etait|era|var|byl[oa]|было|було): ?)(?=\S)", re.IGNORECASE
)
"""A new subject that names the old one behind, as people write it by hand."""
_MARK = re.compile(r"[\[(]([^\[\]()]{1,40})[\])]$")
_FRONT = re.compile(r"\s*\[([^\[\]]{1,40})\]")
_AGAIN = re.compile(
    r"remind|erinner|rappel|relance|recordatorio|promemoria|sollecito|lembrete|herinner|påminn|påmind|muistutus|przypomn|напомин"
    r"|exten[ds]|verläng|prolong|prorog|verleng|förläng|revis|updat|aktuali|actuali|aggiorn|atuali|correct|corrig|korr|final|last"
    r"|dernier|letzte|[uú]ltim|again|re-?sen[dt]|repost|erneut|nochmal|提醒|更新|延期|再送|重发|訂正|リマインド",
    re.IGNORECASE,
)
"""In a mark it says that this was sent before. What else marks hold (a date, a place, a week) tells mails of one kind apart."""
_NUMBER = re.compile(r"\d(?!\d{0,2}(?:st|nd|rd|th|\.|ème|e|º|ª|:a)(?!\w))")


class Topic(NamedTuple):
    """`name` is the hash of what the subject is about, b"" of one that says too little. `former` is that of the subject before it was
    changed, `unmarked` without a mark that says "again", `ticket` of the ticket alone, `brief` whether it is a single word.
    """

    reply: bool
    name: bytes = b""
    former: bytes = b""
    unmarked: bytes = b""
    ticket: bytes = b""
    brief: bool = False


def topic(message: Message, base: str) -> Topic:
    """The topic of a message whose base subject is given."""
    subject = message.subject[:MAX_SUBJECT]
    return _topic(subject, base, _lists(message) if "[" in subject and _COUNTER.search(subject) else None)


def _lists(message: Message) -> frozenset[str]:
    """The names that a list may put into its counter: those of its addresses, and the first of its List-Id."""
    to = [a.address.partition("@")[0] for a in (*message.to, *message.cc)]
    listed = message.list_id.rpartition("<")[2].partition(".")[0]
    return frozenset([name.casefold() for name in (*to, listed) if name])


@lru_cache(maxsize=512)  # mails of one talk come close together
def _topic(subject: str, base: str, lists: frozenset[str] | None) -> Topic:
    plain = subject if lists is None else _COUNTER.sub(lambda found: "" if _counts(found, lists) else found[0], subject)
    was = _WAS.search(plain)
    marked = "[" in plain or "(" in plain or "#" in plain  # most are not, and then need not be searched
    tickets = _TICKET.finditer(plain) if marked else ()
    ticket = next((one[0] for one in tickets if not _NO_TICKET.match(one[0])), "")
    reply = was is not None or REPLY.match(plain) is not None
    former = b""
    if was:
        former = _name("", base_subject(plain[was.end() :].rstrip(" )]")))
    elif ticket and reply:  # a ticket system writes its tag into the subject of whoever asked
        former = _name("", base_subject(plain.replace(ticket, "")))
    return Topic(
        reply=reply,
        name=_name(plain, base),
        former=former,
        unmarked=_again(plain, base) if marked and not reply else b"",
        ticket=short_hash("ticket", " ".join([*_REPOSITORY.findall(plain), *_KEY.findall(ticket)[-1:]]))
        if ticket
        else b"",
        brief=" " not in base and base.isascii(),
    )


def _counts(counter: re.Match[str], lists: frozenset[str]) -> bool:
    """Whether it is the list's: it has the list's name, or the form of fml and the name of no tracker."""
    name = counter[1].casefold()
    return name in lists or (counter[2] == ":" and re.fullmatch(_TRACKERS, name) is None)


def _name(subject: str, base: str) -> bytes:
    """The base subject with the tags in front that hold a number, of a ticket, a version, a part."""
    if len(base) < MIN_SUBJECT:
        return b""
    tags = [" ".join(tag.casefold().split()) for tag in _TAG.findall(subject)]
    return short_hash("topic", "\n".join([*tags, base]))


def _again(subject: str, base: str) -> bytes:
    """The topic without the mark that says "again", b"" where there is none."""
    if (mark := _MARK.search(base)) and _says_again(mark[1]):
        return _name("", base[: mark.start()].rstrip())
    if (front := _FRONT.match(subject)) and _says_again(front[1]):
        return _name("", base)
    return b""


def _says_again(mark: str) -> bool:
    return _AGAIN.search(mark) is not None and _NUMBER.search(mark) is None
