"""The whole server profile at a desk: servers, a bucket with events, a validator, two workers and one for mail over 10 MB, and a settle, as processes.

Settings, logs and what runs are in build/desk/. The processes are `mailloom` commands, as anybody would run them.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from services import stack
from services.fetch import ROOT, cache
from services.profile import Profile, lay_out
from services.servers import SERVERS, Launch, url

FOLDER = ROOT / "build" / "desk"
NAME = "mailloom"
PARTS = {
    "validate": ["validate"],
    "worker-1": ["work"],
    "worker-2": ["work"],
    "worker-large": ["work", "--large"],
    "settle": ["settle", "--every", "10"],
}


def up(tell: Callable[[str], None] = lambda _: None) -> str:
    """Start what doesn't run; what to type next, in words. `tell` is given a line for each step, as they take their time. Raises Unavailable for a server
    that can't be had.
    """
    down()
    tell(
        f"Starting {', '.join(SERVERS)}: about a minute, and the first time as long as 600 MB take to come to {cache()}"
    )
    running = stack.start(SERVERS, tell=tell)
    tell("Making a database, tables, a bucket and queues")
    urls = {name: url(name, running[name].port) for name in SERVERS}
    with psycopg.connect(urls["postgres"], autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", (NAME,)).fetchone() is None:
            connection.execute(f"create database {NAME}")
    urls["postgres"] = urls["postgres"].removesuffix("postgres") + NAME
    profile = lay_out(urls, NAME, FOLDER, more={"worker": {"batch_seconds": 0.5, "visibility": 60}})
    lines = [f"export {name}={shlex.quote(value)}" for name, value in profile.environ.items()]
    (FOLDER / "env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run([*command(), "migrate"], env=profile.env(), check=True, stdout=subprocess.DEVNULL)
    tell(f"Starting {', '.join(PARTS)}")
    state = {part: begin(profile, part, words) for part, words in PARTS.items()}
    (FOLDER / "running.json").write_text(json.dumps({part: vars(one) for part, one in state.items()}), encoding="utf-8")
    return "\n" + told()


def command() -> list[str]:
    return [str(Path(sys.executable).with_name("mailloom"))]


def begin(profile: Profile, part: str, words: list[str]) -> stack.Running:
    log = FOLDER / f"{part}.log"
    log.write_bytes(b"")
    launch = Launch([*command(), *words], dict(profile.environ))
    pid = stack.spawn(launch, log, FOLDER, nobody=False)
    return stack.Running(pid, psutil.Process(pid).create_time(), 0, 0, "", str(log))


def down() -> list[str]:
    """Stop the processes of the desk, and what they made; the servers go on. Names of those that ran."""
    try:
        state = json.loads((FOLDER / "running.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    stopped = []
    for part, values in state.items():
        running = stack.Running(**values)
        if running.process() is not None:
            stack.kill(running, signal.SIGTERM, patience=30)
            stopped.append(part)
    shutil.rmtree(FOLDER, ignore_errors=True)
    return stopped


def told() -> str:
    place = FOLDER.relative_to(ROOT)
    mailloom = shlex.quote(command()[0])
    return f"""Servers, a validator, three workers (one for mail over 10 MB) and a settle run; their logs are in {place}/. In this terminal:

    . {place}/env                    # the profile `aws` of this desk
    alias mailloom={mailloom}
    mailloom synth build/synth -n 1000
    mailloom ingest build/synth/mail    # into the bucket; the workers do the rest
    mailloom doctor                     # is it all there?
    mailloom search invoice

`make down` stops it all."""
