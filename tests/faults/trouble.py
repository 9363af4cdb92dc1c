"""A profile on all servers that gets mail while something goes wrong, and what must come of it whatever that was."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from mailloom.run.pointers import pointer_body
from mailloom.synth import generate, shape_of
from whole import Whole, plain

MAILS = int(os.environ.get("MAILLOOM_FAULT_MAILS") or 300)
SHAPE = "size=1KB,again=0.05,late=0.2,lost=0.1"
VISIBILITY = 10


@cache
def mails() -> list[bytes]:
    return [mail.raw for mail in generate(MAILS, 21, shape_of(SHAPE))]


@cache
def undisturbed() -> list[Any]:
    """The digest of an archive in a folder that got the same mail, once a run of the tests."""
    with TemporaryDirectory() as folder:
        return plain(Path(folder), mails())[0]


def objects(seed: int) -> dict[str, bytes]:
    """The mails in no order, a twentieth of them under a second key."""
    dice = random.Random(seed)
    found = [(f"{n:06}.eml", raw) for n, raw in enumerate(mails())]
    found += [(f"again/{n:06}.eml", raw) for n, raw in dice.sample(list(enumerate(mails())), max(1, MAILS // 20))]
    dice.shuffle(found)
    return dict(found)


@dataclass
class Trouble:
    """`whole` reaches the servers as they are; the processes that are begun here go by `through`: server -> port on 127.0.0.1."""

    whole: Whole
    through: Mapping[str, int] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    ends: list[str] = field(default_factory=list)
    sent: int = 0

    def environ(self) -> dict[str, str]:
        """What makes a process go through the proxies."""
        urls = self.urls()
        text = self.whole.profile.config.read_text(encoding="utf-8")
        for name, port in self.through.items():
            if name != "postgres":
                text = text.replace(urlsplit(urls[name]).netloc, f"127.0.0.1:{port}")
        config = self.whole.folder / "through.toml"
        new = config.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(config)  # at once: a process that was begun just before may be reading it
        dsn = urls["postgres"]
        if "postgres" in self.through:
            dsn = dsn.replace(f":{urlsplit(dsn).port}/", f":{self.through['postgres']}/")
        return {"MAILLOOM_CONFIG": str(config), "MAILLOOM_DESK_POSTGRES": dsn}

    def urls(self) -> dict[str, str]:
        settings = self.whole.servers.settings
        return {
            "aws": settings.aws.endpoint_url,
            "dynamodb": settings.aws.dynamodb_url,
            "opensearch": settings.opensearch.url.reveal(),
            "valkey": settings.valkey.url.reveal(),
            "postgres": self.whole.profile.environ["MAILLOOM_DESK_POSTGRES"],
        }

    # -------------------------------------------------------------------------------------------- processes
    def begin(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        self.words[name] = words
        self.begun[name] += 1
        return self.whole.start(name, *words, **self.environ())

    def begin_all(self, *, validate: bool = True, settle: bool = True) -> None:
        """What a desk or a stack of AWS runs: a validator, two workers, settle."""
        if validate:
            self.begin("validate", "validate")
        if settle:
            self.begin("settle", "settle", "--every", "1")
        for name in ("one", "two"):
            self.begin(name, "work")

    def ready(self, *names: str) -> None:
        """Until these workers receive."""
        until = time.monotonic() + 60
        for name in names:
            while self.whole.log(name).count('"worker begins"') < self.begun[name]:
                assert self.whole.processes[name].poll() is None, self.whole.log(name)
                assert time.monotonic() < until, name
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        self.whole.kill(name)

    def revive(self) -> None:
        """Begin those again that ended, as ECS does; why is kept in `ends`."""
        for name, process in list(self.whole.processes.items()):
            if process.poll() is not None:
                self.ends.append(f"{name} ended with {process.returncode}: {self.whole.log(name)[-600:]}")
                del self.whole.processes[name]
                self.begin(name, *self.words[name])

    # -------------------------------------------------------------------------------------------- mail
    def land(self, seed: int = 1) -> None:
        """All mail into the bucket, and a twentieth of the events once more."""
        some = objects(seed)
        self.whole.put(some)
        self.whole.event(random.Random(seed).sample(sorted(some), max(1, MAILS // 20)))
        self.sent = len(some)

    def portions(self, count: int, seed: int = 1) -> Sequence[Mapping[str, bytes]]:
        """The same in parts, for whole.put() one after another."""
        some = list(objects(seed).items())
        self.sent = len(some)
        return [dict(some[number::count]) for number in range(count)]

    def queued(self, seed: int = 1) -> None:
        """The same, up to the workers' queue."""
        self.land(seed)
        self.whole.run("validate", "--drain")

    def pending(self) -> int:
        books = self.whole.books()
        return self.sent - books.get("received", 0) + books.get("pending", 0)

    def under_way(self, share: float = 0.9, limit: float = 60) -> None:
        """Until there is no more than this share of the mail to do, and some."""
        until = time.monotonic() + limit
        while (left := self.pending()) > share * self.sent:
            assert time.monotonic() < until, (left, self.logs())
            time.sleep(0.1)
        assert left, "all is done before anything went wrong"

    # -------------------------------------------------------------------------------------------- the end
    def logs(self) -> Mapping[str, str]:
        return {name: self.whole.log(name)[-2000:] for name in self.whole.processes}

    def no_bug(self) -> None:
        """No process of ours ended by, or told of, anything but what stores may do."""
        for path in self.whole.folder.glob("*.log"):
            text = path.read_text(errors="replace")
            assert "Traceback" not in text, (path.name, text[text.index("Traceback") :][:4000])

    def finishes(self, limit: float = 240, *, revive: bool = False) -> dict[str, int]:
        """All mail came to its end, the books balance, and every process ends when it is told to. `revive`: those that end before are
        begun again.
        """

        def meanwhile() -> None:
            if revive:
                self.revive()
            if self.whole.servers.queue("dead").depth()[0]:
                self.whole.run("dead", "retry", "all")

        books = self.whole.wait(self.sent, limit * max(1, MAILS / 300), meanwhile, watch=not revive)
        assert books["received"] == books["stored"] + books["duplicate"] == self.sent, books
        for name in list(self.whole.processes):
            assert self.whole.end(name) in {0, 1}, self.whole.log(name)
        self.no_bug()
        return books

    def ends_well(self, limit: float = 240, *, revive: bool = False) -> dict[str, int]:
        """The same, and the archive is that of an undisturbed run, and sound: looked at with care, so when the trouble is over."""
        books = self.finishes(limit, revive=revive)
        self.whole.settle()
        assert self.whole.digest() == undisturbed()
        assert "is sound" in self.whole.run("doctor")
        return books


def pointers(trouble: Trouble) -> list[str]:
    """The bodies of messages that point to all objects below raw/."""
    from mailloom.ports import Pointer

    name = trouble.whole.profile.name
    found = trouble.whole.servers.buckets(name).list("raw/")
    return [pointer_body(Pointer(name, stat.key, stat.version, stat.etag, stat.size, stat.modified)) for stat in found]


def port(url: str) -> int:
    return urlsplit(url).port or 0
