"""Runs a re-thread in a forked child and kills it with SIGKILL at the n-th SQL statement that it gives.

A program of its own, as killing.py: `python killing_rethread.py FOLDER POINTS -- SOURCE...` prints a JSON line for an undisturbed
run and one for each of so many points: most lie where it switches and sweeps, the rest all over the run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from killing import Counter, hook, in_child, state

from mailloom import wire
from mailloom.archive import rethread as again
from mailloom.flow import transform
from mailloom.run import ingest as run
from mailloom.stores.sqlite import epochs
from mailloom.thread.evidence import evidence

BEFORE, AFTER = 4, 12  # statements before and after the switch begins whose points are all taken


def make(archive: Path, sources: list[str]) -> None:
    """An archive by rules that know no soft evidence."""
    transform.evidence = lambda record: evidence(record)._replace(owns=(), asks=())
    with wire.open_for_writing(archive) as stores:
        run.ingest(sources, stores)


def ingest(archive: Path, sources: list[str]) -> None:
    with wire.open_for_writing(archive) as stores:
        run.ingest(sources, stores)


def rethread(archive: Path, at: int) -> tuple[int, int]:
    """Events until the switch, and in all."""
    counter, switch, switched = Counter(at), epochs.switch, []
    hook(counter)
    again.BATCH, epochs.sweep.__defaults__ = 16, (100,)

    def noted(*given):
        switched.append(counter.count)
        switch(*given)

    epochs.switch = noted
    with wire.open_for_writing(archive) as stores, again.rethread(stores):
        pass
    return switched[0], counter.count


def seen(archive: Path) -> dict[str, object]:
    """What must be of one epoch: all that the archive says, what followers were told, and which rows lie there."""
    with wire.open_for_writing(archive) as stores:
        ask = stores.connection.execute
        feed = ask("select count(*) from feed where why = 'rethread'").get
        rows = {table: len(list(ask(f"select distinct scope from {table}"))) for table in epochs.TABLES}
        meta = [row[0] for row in ask("select name from meta where name like 'rest%' or name like 'rules%' order by 1")]
    return {**state(archive), "feed": feed, "epochs": max(rows.values()), "meta": len(meta)}


def main() -> None:
    split = sys.argv.index("--")
    folder, count, sources = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[split + 1 :]
    in_child(make, folder / "before", sources)
    shutil.copytree(folder / "before", folder / "after")
    _, events = in_child(rethread, folder / "after", 0)
    assert events is not None, "the undisturbed run failed"
    switch, total = events
    states = {name: in_child(seen, folder / name)[1] for name in ("before", "after")}
    print(json.dumps({"switch": switch, "total": total, **states}), flush=True)
    near = range(switch - BEFORE, min(total, switch + AFTER) + 1)
    far = {round(total * (n + 0.5) / count) for n in range(count)}
    for number, point in enumerate(sorted({*near, *far, total - 1, total})):
        archive = Path(shutil.copytree(folder / "before", folder / str(number)))
        status, _ = in_child(rethread, archive, point)
        found = in_child(seen, archive)[1]
        then = "ingest" if number % 2 else "rethread"
        ended, _ = in_child(ingest, archive, sources) if number % 2 else in_child(rethread, archive, 0)
        line = {"point": point, "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}
        line |= {"found": found, "then": then, "ended": ended, "at last": in_child(seen, archive)[1]}
        print(json.dumps(line), flush=True)
        shutil.rmtree(archive)


if __name__ == "__main__":
    main()
