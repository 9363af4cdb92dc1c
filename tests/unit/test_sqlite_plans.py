"""No statement of the threads store goes through a whole scope: it would cost more with each mail that is there."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import apsw
from test_thread_clues import ANN, OFFER, day, mail, quoting

from mailloom.stores.sqlite import connect
from mailloom.stores.sqlite.threads import SqliteThreads
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

THROUGH_ALL = re.compile(r"SCAN (?!CONSTANT)|\(scope=\?\)$")
MEANT = (  # statements that are to read all there is, and why that is little
    "from marks where scope = ? order by version",  # marks are few, and all of them are due
    "select 1 from edits",  # one row at most
    "from edits where",  # edits are made by hand
)


def test_no_statement_goes_through_a_whole_scope(tmp_path: Path) -> None:
    connection = connect(tmp_path / "archive.sqlite", write=True, create=True)
    said: set[str] = set()

    def trace(_: apsw.Cursor, sql: str, __: object) -> bool:
        said.add(sql)
        return True

    connection.exec_trace = trace
    threads = SqliteThreads(connection, lambda: 0)
    mails = [mail(OFFER, who=ANN, subject="Pump", at=day(0))]
    for n in range(1, 6):
        text = f"Answer {n}.\n\nOn {day(0)}, Ann Archer wrote:\n{quoting(OFFER)}\n"
        mails.append(mail(text, subject="Re: Pump", at=day(n)))
    Random(3).shuffle(mails)
    for one in mails:
        with threads.session():
            weave(threads, [one])
        settle(threads)
    connection.exec_trace = None
    looked = {sql for sql in said if re.match(r"\s*(?:select|delete|update)\b", sql, re.IGNORECASE)}
    assert len(looked) > 8
    assert any("indexed by soft_target" in sql for sql in looked), "the links to a mail were looked for"
    for sql in looked:
        if not any(part in sql for part in MEANT):
            unknown = (None,) * len(re.findall(r"\?(?!\d)", sql))
            plan = [row[3] for row in connection.execute(f"explain query plan {sql}", unknown)]
            assert not [step for step in plan if THROUGH_ALL.search(step)], (sql, plan)
