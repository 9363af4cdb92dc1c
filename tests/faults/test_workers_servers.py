"""Two workers and settle on all servers, killed at random: the books balance, and the threads are those of a plain ingest."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mailloom.config import load
from mailloom.synth import generate, shape_of
from mailloom.wire.profile import open_servers

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from landing import Landing

pytestmark = pytest.mark.servers

MAILS = 200
AWS = ("--profile", "aws")


class Desk:
    """A folder with a mailloom.toml for all servers, and commands as a user calls them."""

    def __init__(self, folder: Path, landing: Landing, environ: dict[str, str]) -> None:
        self.folder, self.landing = folder, landing
        self.environ = {**os.environ, **environ}
        self.settings = load("aws", folder / "mailloom.toml", self.environ).settings

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mailloom", *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *words: str) -> str:
        process = self.begin(*words)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, f"{words}: {out}{err}"
        return out

    def books(self) -> dict[str, int]:
        servers = open_servers(self.settings, self.environ)
        try:
            (books,) = servers.objects.books().values()
        finally:
            servers.close()
        return books._asdict()


@pytest.fixture
def desk(
    aws_url: str,
    dynamodb_url: str,
    postgres_url: str,
    opensearch_url: str,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    landing = Landing(aws_url, prefix, tmp_path / "landing").make(receives=100)
    queues = "".join(f'{role} = "{landing.queue(role).url}"\n' for role in ("events", "work", "large", "dead"))
    (tmp_path / "mailloom.toml").write_text(
        f"""[profile.aws.aws]
region = "eu-central-1"
endpoint_url = "{aws_url}"
dynamodb_url = "{dynamodb_url}"
bucket = "{prefix}"
tables = "{prefix}-"
[profile.aws.aws.queues]
{queues}
[profile.aws.postgres]
dsn = "env:PG"
years_back = 1
[profile.aws.opensearch]
url = "{opensearch_url}"
prefix = "{prefix}"
[profile.aws.valkey]
url = "{valkey_url}"
[profile.aws.worker]
batch = 16
batch_seconds = 0.2
visibility = 10
[profile.local]
archive = "folder"
"""
    )
    desk = Desk(tmp_path, landing, {"PG": postgres_url})
    desk.run("migrate", *AWS)
    return desk


def landed(desk: Desk) -> int:
    """Synthetic mail, shuffled, one in ten twice under another key; and the same in a folder."""
    dice = random.Random(8)
    raws = [mail.raw for mail in generate(MAILS, 12, shape_of("size=1KB,again=0.05,late=0.3,lost=0.2"))]
    raws += dice.sample(raws, len(raws) // 10)
    dice.shuffle(raws)
    (desk.folder / "mail").mkdir()
    for number, raw in enumerate(raws):
        (desk.folder / "mail" / f"{number:04}.eml").write_bytes(raw)
        desk.landing.put(f"raw/{number:04}.eml", raw)
    return len(raws)


def digests(desk: Desk) -> tuple[list[Any], list[Any]]:
    desk.run("settle", *AWS)
    desk.run("ingest", "mail", "--quiet")
    said = [desk.run("digest", "--json", "--profile", profile).splitlines() for profile in ("aws", "local")]
    tables = [[json.loads(line) for line in lines] for lines in said]
    return tables[0], tables[1]


def test_two_workers_give_what_a_plain_ingest_gives(desk: Desk) -> None:
    count = landed(desk)
    assert f"queued {count}" in desk.run("validate", "--drain", *AWS)
    workers = [desk.begin("work", "--drain", "--json", *AWS) for _ in range(2)]
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    done = [json.loads(out.splitlines()[-1]) for out, _ in ended]
    assert sum(one["received"] for one in done) == count
    books = desk.books()
    assert books["stored"] + books["duplicate"] == books["received"] == count
    servers, folder = digests(desk)
    assert servers == folder


def test_workers_and_settle_killed_at_random_lose_nothing(desk: Desk) -> None:
    count = landed(desk)
    desk.run("validate", "--drain", *AWS)
    dice = random.Random(3)

    shares = []
    for _ in range(5):
        settle = desk.begin("settle", "--every", "1", *AWS)
        workers = [desk.begin("work", *AWS), desk.begin("work", *AWS)]
        for worker in workers:
            assert worker.stderr is not None
            while "worker begins" not in (line := worker.stderr.readline()):
                assert line, "a worker ended"
        time.sleep(dice.uniform(0.2, 6.0))
        for process in (*workers, settle):
            process.send_signal(signal.SIGKILL)
            process.communicate()
        shares.append(desk.books()["pending"])
    assert shares[-1] < count, "no worker lived long enough to do anything"
    desk.run("work", "--drain", *AWS)
    books = desk.books()
    assert books["pending"] == 0
    assert books["stored"] + books["duplicate"] == books["received"] == count
    servers, folder = digests(desk)
    assert servers == folder
    print("pending after each kill:", shares)
