"""The commands of the server profile, on S3 and SQS as they really answer: ingest, validate, work, dead, settle, readers; and their logs and
figures. Stores and ledger are landing.py's: what DynamoDB, PostgreSQL and OpenSearch do is tested where they are.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from landing import Landing

from emf_schema import checked
from mailloom import obs
from mailloom.cli import group
from mailloom.config import Settings
from mailloom.obs.metrics import TABLE
from mailloom.ports import Parcel, UserError
from mailloom.wire import open_for_reading, open_for_writing

pytestmark = pytest.mark.servers


class Desk:
    """Servers as mailloom.wire.profile has them, of a landing. Implements wire.profile.Servers."""

    def __init__(self, landing: Landing, settings: Settings) -> None:
        self.landing, self.settings, self.buckets = landing, settings, landing.buckets()
        self.receipts = self.objects = self.ledger = self.places = landing.ledger
        self.checked = 0

    def queue(self, name: str) -> Any:
        url = getattr(self.settings.aws.queues, name)
        if not url:
            raise UserError(f"aws.queues.{name} is not set")
        return self.landing.queue(name, 30)

    def queue_if_set(self, name: str) -> Any:
        return self.queue(name) if getattr(self.settings.aws.queues, name) else None

    @cached_property
    def _open(self) -> Any:
        context = open_for_writing(self.landing.archive())
        return context, context.__enter__()

    @property
    def stores(self) -> Any:
        from landing import Shed

        return Shed(self._open[1], self.ledger, self.landing.trouble)  # type: ignore[attr-defined]

    @property
    def threads(self) -> Any:
        return self._open[1].threads

    @property
    def readable(self) -> Any:
        return open_for_reading(self.landing.archive())

    def check(self) -> None:
        self.checked += 1

    def migrate(self, *, after: bool = False) -> list[str]:
        return ["took old tables away"] if after else ["made the tables"]

    def waiting(self) -> list[str]:
        return ["0003_drop.after"]

    def close(self) -> None:
        if "_open" in self.__dict__:
            self._open[0].__exit__(None, None, None)


def mail(n: int, more: str = "") -> bytes:
    head = f"From: Ann <ann{n % 7}@example.org>\nTo: bo@example.com\nDate: Tue, 5 Mar 2024 10:{n % 60:02}:00 +0000\nSubject: "
    return f"{head}secretsubject{n} {more}\nMessage-ID: <{n}@example.org>\n\nsecretbody{n} of a mail\n".encode()


@pytest.fixture
def landing(aws_url: str, prefix: str, tmp_path: Path) -> Landing:
    made = Landing(aws_url, prefix, tmp_path / "landing").make()
    made.trouble = lambda rows: None  # type: ignore[attr-defined]
    return made


@pytest.fixture
def run(landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """run("work", "--drain") with a profile `desk` in ./mailloom.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mailloom.toml").write_text(
        f"""[profile.desk]
stores = "servers"
[profile.desk.aws]
bucket = "{landing.name}"
endpoint_url = "{landing.endpoint}"
[profile.desk.aws.queues]
events = "events"
work = "work"
large = "large"
dead = "dead"
[profile.desk.worker]
batch_seconds = 0.2
visibility = 30
"""
    )
    monkeypatch.setattr("mailloom.wire.profile.open_servers", lambda settings: Desk(landing, settings))

    def do(*words: str, profile: str = "desk", code: int = 0, **environ: str) -> Any:
        env = {"COLUMNS": "100", "MAILLOOM_PROFILE": profile, **environ}
        result = CliRunner(env=env).invoke(group, list(words), catch_exceptions=False, standalone_mode=False)
        assert (result.return_value or result.exit_code) == code, result.output
        return result

    yield do
    obs.close()


def test_from_a_folder_to_a_search(run: Callable[..., Any], landing: Landing, tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / "mail").mkdir(exist_ok=True)
        (tmp_path / "mail" / f"{n}.eml").write_bytes(mail(n))
    (tmp_path / "mail" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "uploaded 30 mails" in run("ingest", "mail").stdout
    assert "0 mails" in run("ingest", "mail").stdout
    assert json.loads(run("ingest", "mail", "--json").stdout)["known"] == 30
    assert "queued 30, rejected 0" in run("validate", "--drain").stdout
    assert json.loads(run("work", "--drain", "--json").stdout) == {
        "received": 30, "stored": 30, "returned": 0, "failed": 0, "dead": 0,
    }  # fmt: skip
    assert landing.ledger.books() == {"stored": 30}
    assert "looked" in run("settle").stdout
    found = [json.loads(line) for line in run("search", "secretbody7", "--json").stdout.splitlines()]
    assert [one["message_id"] for one in found] == ["7@example.org"]
    assert "secretbody7" in run("show", "7@example.org").stdout
    assert json.loads(run("digest", "--json").stdout.splitlines()[0])
    with pytest.raises(UserError, match="no archive at archive"):  # without the profile it is a folder again
        run("search", "x", profile="local")
    assert run("search", "x", "-a", str(landing.archive()), code=1).stdout == ""
    assert (
        run("migrate").stdout
        == "made the tables\nonce no older version runs: `mailloom migrate --after`, for 0003_drop.after\n"
    )
    assert run("migrate", "--after").stdout == "took old tables away\n"


def test_what_is_in_the_bucket_already_is_worked_through(run: Callable[..., Any], landing: Landing) -> None:
    for n in range(5):
        landing.put(f"old/{n}.eml", mail(n))
    told = run("ingest", f"s3://{landing.name}/old/").stdout
    assert "5 new objects worked through" in told
    assert landing.ledger.books() == {"stored": 5}
    assert "0 new objects" in run("ingest", f"s3://{landing.name}/old/").stdout


def poisoned(landing: Landing, *numbers: int) -> Callable[[Any], None]:
    names = {f"{n}@example.org" for n in numbers}

    def trouble(rows: Any) -> None:
        for row, _, _ in rows:
            if row.message_id in names:
                raise ZeroDivisionError(f"can't stand secretsubject in {row.subject}")

    return trouble


def bury(run: Callable[..., Any], landing: Landing, *numbers: int) -> None:
    """Mail with these numbers is tried until the queue gives it up."""
    landing.trouble = poisoned(landing, *numbers)  # type: ignore[attr-defined]
    for n in numbers:
        landing.put(f"bad/{n}.eml", mail(n))
    landing.validate()
    deadline = time.monotonic() + 90
    while landing.queue("dead").depth()[0] < len(numbers) and time.monotonic() < deadline:
        run("work", "--drain", "--json", code=1) if landing.queue("work").depth() != (0, 0) else time.sleep(0.2)
    landing.trouble = lambda rows: None  # type: ignore[attr-defined]


def test_dead_letters_are_listed_shown_retried_and_dropped(run: Callable[..., Any], landing: Landing) -> None:
    assert "no dead letters" in run("dead", "list").stderr
    bury(run, landing, 1, 2)
    landing.queue("dead").send([Parcel("no pointer at all", {"cause": "no pointer: JSONDecodeError"})])
    groups = [json.loads(line) for line in run("dead", "list", "--json").stdout.splitlines()]
    assert [one["letters"] for one in groups] == [2, 1]
    assert groups[0]["cause"].startswith("ZeroDivisionError")
    listed = run("dead", "list").stdout
    assert "2 letters" in listed
    assert f"s3://{landing.name}/bad/1.eml" in listed
    shown = run("dead", "show", "1").stdout
    assert "Subject: secretsubject1" in shown
    assert "secretbody" not in shown  # the head only
    (one,) = [json.loads(line) for line in run("dead", "show", groups[1]["ids"][0], "--json").stdout.splitlines()]
    assert (one["path"], one["head"]) == (None, None)
    with pytest.raises(UserError, match="no dead letter or group zz"):
        run("dead", "retry", "zz")
    retried = run("dead", "retry", "all")
    assert "2 letters put to work again" in retried.stdout
    assert "1 letter point" in retried.stderr
    run("work", "--drain")
    assert landing.ledger.books() == {"stored": 2}
    assert "1 letter dropped" in run("dead", "drop", "all").stdout
    assert "no dead letters" in run("dead", "list").stderr


def test_a_run_logs_no_text_and_counts_what_the_table_names(run: Callable[..., Any], landing: Landing) -> None:
    """The log and the EMF lines of a whole run with trouble in it: lines are whole, keys are told, no word of a mail is."""
    on = {"MAILLOOM_OBS_EMF": "1", "MAILLOOM_OBS_LOG": "info"}
    for n in range(10, 40):
        landing.put(f"in/{n}.eml", mail(n))
    landing.put("in/no.zip", b"PK\x03\x04 secretbody")
    landing.queue("work").send([Parcel("secretbody is no pointer", {})])
    results = [run("validate", "--drain", **on)]
    landing.trouble = poisoned(landing, 11)  # type: ignore[attr-defined]
    for _ in range(3):
        results.append(run("work", "--drain", code=1, **on))
        if landing.queue("work").depth() == (0, 0):
            break
    results.append(run("dead", "list", **on))
    assert not results[-1].stdout.startswith("{")  # who asks for a list gets a list
    results.append(run("settle", **on))
    told = "".join(result.stderr for result in results)
    lines = [json.loads(line) for line in told.splitlines()]
    assert {line["level"] for line in lines} == {"info", "warning", "error"}
    failed = next(line for line in lines if line.get("error") == "ZeroDivisionError")
    assert (failed["source"], failed["path"]) == (f"s3://{landing.name}", "in/11.eml")
    emf = [checked(line) for result in results for line in result.stdout.splitlines() if line.startswith('{"_aws"')]
    counted = {m["Name"] for line in emf for d in line["_aws"]["CloudWatchMetrics"] for m in d["Metrics"]}
    assert counted <= TABLE.keys()
    assert counted >= {
        "mails",
        "bytes",
        "stored_latency",
        "errors",
        "queue_age",
        "events",
        "commit_time",
    }, counted
    everything = told + json.dumps(emf)
    assert not re.search("secretsubject|secretbody|ann[0-9]@", everything)


def test_a_settle_that_goes_on_pauses_as_the_settings_say_and_tells_its_health(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.stack import free_ports

    (port,) = free_ports(1)
    seen = []

    def go_on(settler: Any) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            seen.append((settler.every, answer.status))

    monkeypatch.setattr("mailloom.run.settler.Settler.run", go_on)
    on = {"MAILLOOM_SETTLE_SECONDS": "41", "MAILLOOM_WORKER_HEALTH_PORT": str(port)}
    run("settle", "--every", **on)
    run("settle", "--every", "7", **on)
    assert seen == [(41.0, 200), (7.0, 200)]


def test_a_command_of_servers_needs_a_profile_of_servers(run: Callable[..., Any]) -> None:
    for words in (["work"], ["settle"], ["dead", "list"], ["migrate"], ["validate"]):
        with pytest.raises(UserError, match=r"profile local keeps mail in a folder.*--profile aws"):
            run(*words, profile="local")
    with pytest.raises(UserError, match="in an archive in a folder only"):
        run("rethread")


def test_sigterm_ends_a_worker_after_what_it_holds(landing: Landing, run: Callable[..., Any], tmp_path: Path) -> None:
    for n in range(5):
        landing.put(f"in/{n}.eml", mail(n))
    landing.validate()
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import mailloom.wire.profile as profile; from landing import Landing; import test_serve_commands as t\n"
        "landing = Landing(sys.argv[2], sys.argv[3], Path(sys.argv[4])); landing.trouble = lambda rows: None\n"
        "profile.open_servers = lambda settings: t.Desk(landing, settings)\n"
        "from mailloom.cli import main; sys.argv[1:] = ['work', '--profile', 'desk', '--json']; main()\n"
    )
    tests = Path(__file__).parent
    paths = os.pathsep.join(
        [str(tests), str(tests.parent), str(tests.parent / "unit"), os.environ.get("PYTHONPATH", "")]
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(tests), landing.endpoint, landing.name, str(landing.folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while landing.ledger.books().get("stored") != 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert json.loads(out)["stored"] == 5
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "worker ends"
