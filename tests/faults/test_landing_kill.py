"""A worker that is killed, stopped, slow, or away from its queue loses nothing and doubles nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mailloom.archive import open_archive
from mailloom.archive.digest import digest
from mailloom.run.health import Health, serving
from mailloom.run.holding import Holding
from mailloom.run.ingest import finish, ingest
from mailloom.synth import shape_of, synth
from mailloom.wire import open_for_writing

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from landing import Landing

pytestmark = pytest.mark.servers

PROGRAM = Path(__file__).parents[1] / "e2e" / "landing.py"


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make(receives=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("mail")
    synth(place, 150, 9, shape_of("size=2KB"), "eml")
    return place / "mail"


def begin(landing: Landing, program: Path = PROGRAM, **options) -> subprocess.Popen:
    command = [sys.executable, str(program), landing.endpoint, landing.name, str(landing.folder)]
    given = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    process = subprocess.Popen([*command, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready", process.stderr.read()
    return process


def said(archive: Path) -> list:
    with open_archive(archive) as opened:
        return [list(table) for table in digest(opened) if table[0] != "copies"]


def test_a_worker_killed_five_times_at_random_leaves_what_a_plain_ingest_does(landing, folder, tmp_path):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        landing.put(f"raw/{number:04}.eml", path.read_bytes())
    assert landing.validate().queued == len(files)
    dice = random.Random(11)
    kills = 0
    while kills < 5:
        process = begin(landing, batch=16, slow=0.1, visibility=10)
        time.sleep(dice.uniform(0.05, 1.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    books = landing.ledger.books()
    print("after the kills", books)
    process = begin(landing, drain=True, visibility=10)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    books = landing.ledger.books()
    assert books["pending"] == 0
    assert books["stored"] + books["duplicate"] == len(files)
    with open_for_writing(landing.archive()) as stores:
        finish(stores)
    with open_for_writing(tmp_path / "plain") as stores:
        plain = ingest([str(folder)], stores)
    assert (books["stored"], books["duplicate"]) == (plain.stored, plain.duplicate)
    assert said(landing.archive()) == said(tmp_path / "plain")
    assert landing.queue("dead").depth() == (0, 0)


def test_sigterm_finishes_what_is_held_and_receives_nothing_more(landing, folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())[:80]
    for number, path in enumerate(files):
        landing.put(f"raw/{number:04}.eml", path.read_bytes())
    landing.validate()
    process = begin(landing, batch=10, slow=1.0)
    until = time.monotonic() + 30
    while not landing.ledger.books()["stored"] and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    did = json.loads(out.splitlines()[-1])
    assert did["stored"] + did.get("duplicate", 0) == did["received"]
    assert did["received"] < 80
    waiting, hidden = landing.queue("work").depth()
    assert hidden == 0
    assert waiting == 80 - did["received"]


def test_a_drain_that_takes_too_long_gives_back_what_is_held(landing, folder, tmp_path):
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())[:20]):
        landing.put(f"raw/{number:04}.eml", path.read_bytes())
    landing.validate()
    down = tmp_path / "down"
    down.touch()
    process = begin(landing, batch=10, down=str(down), drain_seconds=2)
    time.sleep(1.5)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - began < 30
    time.sleep(3)  # those it had already given up come again with a delay of their own
    down.unlink()
    process = begin(landing, drain=True)
    process.communicate(timeout=60)
    books = landing.ledger.books()
    assert books["pending"] == 0
    assert sum(books.values()) == 20


def test_a_store_that_never_answers_keeps_no_mail_and_no_process(landing, folder):
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())[:20]):
        landing.put(f"raw/{number:04}.eml", path.read_bytes())
    landing.validate()
    process = begin(landing, batch=10, slow=3600, visibility=3600, drain_seconds=5)
    until = time.monotonic() + 60
    while landing.queue("work").depth()[1] < 20 and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode == 1
    assert landing.queue("work").depth() == (20, 0)


def test_the_heartbeat_keeps_a_slow_batch_to_its_worker(landing, folder):
    """Commits that take longer than the visibility: no message comes a second time meanwhile."""
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())[:12]):
        landing.put(f"raw/{number:04}.eml", path.read_bytes())
    landing.validate()
    again = []
    with landing.shed(lambda rows: time.sleep(14)) as shed:
        worker = landing.worker(shed, visibility=10)

        def look():
            time.sleep(3)
            while not worker.stopping.is_set():
                again.extend(landing.queue("work", 0).receive(10, 0))
                time.sleep(0.3)

        looker = threading.Thread(target=look)
        looker.start()
        did = worker.run()
        looker.join()
    assert not again
    assert did.received == 12
    assert sum(did.states.values()) == 12


def test_two_receivings_of_one_mail_in_two_workers_are_one_message(landing, folder):
    """A message that two workers hold at once, as when a heartbeat came too late."""
    (path,) = sorted(p for p in folder.rglob("*") if p.is_file())[:1]
    landing.put("raw/1.eml", path.read_bytes())
    landing.validate()
    (message,) = landing.queue("work", 60).receive(1, 1)
    landing.queue("work").extend({message.receipt: 0})
    with landing.shed() as shed:
        assert landing.worker(shed).run().states == {"stored": 1}
        landing.queue("work").send([message._replace()])  # it has a body and attributes, as a parcel
        assert landing.worker(shed).run().states == {"duplicate": 1}
    assert landing.ledger.books() == {"stored": 1}


# ------------------------------------------------------------------------------------------------ its parts
class Beats:
    def __init__(self):
        self.extended = []

    def extend(self, messages):
        self.extended.append(dict(messages))


def test_only_what_is_near_its_end_is_renewed():
    now = [0.0]
    queue = Beats()
    holding = Holding(queue, 100, 20, 1000, clock=lambda: now[0])
    assert holding.room(10, 0) == 10
    holding.take({"a": (None, 10), "b": (None, 10)}, 0.0, 10)
    holding.beat()
    now[0] = 40.0
    assert holding.room(10, 0) == 10
    holding.take({"c": (None, 10)}, 40.0, 10)
    holding.beat()
    assert queue.extended == []
    now[0] = 51.0
    holding.beat()
    assert queue.extended == [{"a": 100, "b": 100}]
    now[0] = 60.0
    holding.beat()
    assert len(queue.extended) == 1


def test_there_is_room_for_so_many_messages_and_bytes():
    holding = Holding(Beats(), 100, 20, 1000)
    assert holding.room(10, 0)
    assert holding.room(10, 0)
    assert not holding.room(10, 0.01)
    holding.take({}, 0.0, 10)
    assert holding.room(10, 0)
    holding.take({"a": (None, 2000)}, 0.0, 10)
    assert not holding.room(1, 0.01)
    holding.forget(["a"])
    assert holding.room(1, 0)


def test_health_is_served_on_loopback():
    state = [Health(True, True)]
    with serving(lambda: state[0], 0) as port:

        def ask(path):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        assert (ask("/healthz"), ask("/readyz"), ask("/other")) == (200, 200, 404)
        state[0] = Health(True, False, "store away")
        assert (ask("/healthz"), ask("/readyz")) == (200, 503)
        state[0] = Health(False, True)
        assert (ask("/healthz"), ask("/readyz")) == (503, 503)
        lines = Path("/proc/net/tcp").read_text().splitlines() if os.path.exists("/proc/net/tcp") else []
        assert all("0100007F" in line for line in lines if f":{port:04X} 00000000:0000 0A" in line)


def test_mail_that_ends_every_worker_takes_nobody_along(aws_url, prefix, tmp_path):
    """What is held beside it comes again as often, and would be a dead letter with it."""
    landing = Landing(aws_url, prefix, tmp_path / "landing").make(receives=5)
    for number in range(24):
        subject = "Killer" if number in {5, 11, 17, 23} else "Tides"
        head = f"From: ann@example.org\nTo: bo@example.net\nSubject: {subject} {number}\nMessage-ID: <{number}@example.org>\n"
        landing.put(f"raw/{number:02}.eml", f"{head}\nThe tide of port {number}\n".encode())
    assert landing.validate().queued == 24
    ends = []
    while not ends or ends[-1]:
        assert len(ends) < 6, (ends, landing.ledger.reasons())
        process = begin(landing, PROGRAM.with_name("landing_killer.py"), drain=True, visibility=10)
        process.communicate()
        ends.append(process.returncode)
    assert set(ends) == {9, 0}
    assert landing.ledger.books() == {"stored": 20, "rejected": 4}
    assert landing.queue("dead").depth() == (0, 0)
    ended = "rejected: bug: the worker process ended with exit code 9"
    assert landing.ledger.reasons() == {f"raw/{n:02}.eml": ended for n in (5, 11, 17, 23)}
