"""Counts over all of one scope, made by the database: one pass over the rows of messages (their bodies lie elsewhere), one over those of
threads. Implements ports.Figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from mailloom.mail.model import MessageId
from mailloom.ports import Books, Counted, Longest, Threaded, Totals, Type
from mailloom.ports.figures import SIZES, THREADS, classes, most
from mailloom.schema import text_id
from mailloom.stores.postgres.partitions import month_of
from mailloom.stores.postgres.snapshot import Snapshot

# Months as a calendar has them: what lies outside of the years 1 to 9999 has none.
_COUNTED = f"""select grouping(month, domain, class, charsets, problems), month, domain, class, charsets, problems,
    count(*), coalesce(sum(nested), 0)::int8, coalesce(sum(attachments), 0)::int8, coalesce(sum(size), 0)::int8, coalesce(max(size), 0),
    count(*) - count(date), min(date), max(date)
  from (select case when date between -62135596800000 and 253402300799999
      then to_char(to_timestamp(date / 1000) at time zone 'UTC', 'YYYY-MM') end as month,
    case when strpos(sender, '@') > 0 then substr(sender, strpos(sender, '@') + 1) else '' end as domain,
    {classes("size", SIZES)} as class, charsets, problems, nested, attachments, size, date
    from messages where scope = %s) as message
  group by grouping sets ((), (month), (domain), (class), (charsets), (problems))"""  # noqa: S608  constants only
_ALL, _MONTH, _DOMAIN, _CLASS, _CHARSETS, _PROBLEMS = 0b11111, 0b01111, 0b10111, 0b11011, 0b11101, 0b11110
"""What `grouping` says of a row: a bit for each column that it is not grouped by."""
_THREADS = f"""with sizes as materialized (select coalesce(c.conversation, m.id) as thread, count(*) as n
    from messages m left join conversations c on c.scope = m.scope and c.message = m.id where m.scope = %(scope)s group by 1)
  select null::bytea, {classes("n", THREADS)}::int8, count(*) from sizes group by 2
  union all (select thread, 0, n from sizes where n > 1 order by n desc, thread limit %(top)s)"""  # noqa: S608  constants only
_TYPES = "select type, count(*), sum(size)::int8 from attachments where scope = %s and path = '' group by type"
_SUBJECTS = "select id, subject from messages where scope = %s and month = any(%s) and id = any(%b)"


def _no_books() -> Mapping[str, Books]:
    """Nobody keeps any."""
    return {}


class PostgresFigures:
    """Implements ports.Figures. `books` tells those of each source: the ledger is another store's."""

    def __init__(self, state: Snapshot, books: Callable[[], Mapping[str, Books]] = _no_books) -> None:
        self.state, self.books = state, books

    def messages(self, top: int) -> Counted:
        totals = Totals(0, 0, 0, 0, 0, 0, None, None)
        months: dict[str, int] = {}
        sizes: dict[int, int] = {}
        charsets: dict[str, int] = {}
        problems: dict[str, int] = {}
        domains: dict[str, int] = {}
        for which, month, domain, size, charset, problem, count, *sums in self.state.each(
            _COUNTED, (self.state.scope,)
        ):
            if which == _ALL:
                totals = Totals(count, *sums)
            elif which == _MONTH and month is not None:
                months[month] = count
            elif which == _CLASS:
                sizes[size] = count
            elif which == _CHARSETS:
                charsets[charset] = count
            elif which == _PROBLEMS:
                problems[problem] = count
            elif which == _DOMAIN:
                domains[domain] = count
                if len(domains) > 2 * top + 1000:  # there may be as many as messages
                    domains = most(domains, top)
        return Counted(totals, dict(sorted(months.items())), most(domains, top), sizes, charsets, problems)

    def threads(self, top: int) -> Threaded:
        sizes: dict[int, int] = {}
        longest: dict[MessageId, int] = {}
        with self.state.hold():
            for thread, size, count in self.state.rows(_THREADS, {"scope": self.state.scope, "top": top}):
                if thread is None:
                    sizes[size] = count
                else:
                    longest[MessageId(thread)] = count
            subjects = dict(
                self.state.rows(_SUBJECTS, (self.state.scope, [month_of(one) for one in longest], list(longest)))
            )
        ranked = sorted(longest.items(), key=lambda item: (-item[1], item[0]))
        told = [Longest(text_id(thread), count, subjects.get(thread, "")) for thread, count in ranked]
        return Threaded(sum(sizes.values()), sizes, told)

    def types(self, top: int) -> list[Type]:
        with self.state.hold():  # which gives it time
            found = [Type(*row) for row in self.state.rows(_TYPES, (self.state.scope,))]
        return sorted(found, key=lambda one: (-one.files, one.type))[:top]

    def deliveries(self) -> dict[str, int]:
        states: Counter[str] = Counter()
        for books in self.books().values():
            states.update({name: count for name, count in books._asdict().items() if name != "received"})
        return {name: states[name] for name in sorted(states) if states[name]}

    def bytes(self) -> int:
        return int(self.state.rows("select pg_database_size(current_database())", ())[0][0])
