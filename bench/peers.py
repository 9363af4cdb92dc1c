"""Ingest beside the tools that people use today: mu (`mu index`) and notmuch (`notmuch new`), on the same Maildir.

    python bench/peers.py [FOLDER...] [--rounds 3] [--json]

The mail of the folders is put into one Maildir in a temporary folder (hard links where the disk allows). In each round
every tool starts from nothing: a new index, a new archive. The tools take turns, each round in another order, so that a
busy machine or a warm cache favours nobody; the median of the wall times counts. mu and notmuch build a search index
only; Mailloom also threads, keeps the raw mail and writes Parquet.

Without a folder: bulk/xdp-newbies and bulk/spamassassin of the corpus that MAILLOOM_CORPUS names, else 4,000 mails that
`mailloom synth` makes. A tool that is not installed, or fails, is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAILLOOM = Path(sys.executable).with_name("mailloom")
LONGEST = 1800  # seconds for one command: a hang must not last for ever


@dataclass
class Peer:
    """A tool: the commands of one round (each run in `room`, a new folder), what counts its mails, and what came of it."""

    name: str
    program: str
    commands: list[list[str]]
    count: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    found: str = ""
    trouble: str = ""


def peers(maildir: Path, jobs: int) -> list[Peer]:
    box = str(maildir)
    return [
        Peer(
            name="mailloom",
            program=str(MAILLOOM),
            commands=[[str(MAILLOOM), "ingest", box, "--archive", "archive", *(["--jobs", str(jobs)] if jobs else [])]],
        ),
        Peer(
            name="mu",
            program="mu",
            commands=[
                ["mu", "init", "--quiet", "--muhome", "home", "--maildir", box],
                ["mu", "index", "--quiet", "--muhome", "home"],
            ],
            count=["mu", "info", "store", "--muhome", "home"],
        ),
        Peer(
            name="notmuch",
            program="notmuch",
            commands=[["notmuch", "new", "--quiet"]],
            count=["notmuch", "count", "--output=files", "*"],
            environment={"NOTMUCH_CONFIG": "config", "MAILDIR": box},
            # the index lies in the room, not beside the mail, so that every round starts from nothing
            files={
                "config": f"[database]\nmail_root={box}\npath=home\n[user]\nname=Bench\nprimary_email=bench@example.org\n[new]\ntags=new\n"
            },
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Mailloom beside mu and notmuch, on the same mail.")
    parser.add_argument("folders", nargs="*", type=Path, help="folders of mail, one message a file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=0, help="for mailloom ingest; 0 leaves its default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailloom-bench-") as name:
        room = Path(name)
        folders, what = options.folders, " + ".join(str(f) for f in options.folders)
        if not folders:
            folders, what = choice_of_mail(room)
        mails, size = fill(room / "Maildir", folders)
        if not mails:
            print(f"no mail in {what}", file=sys.stderr)
            return 2
        tools = peers(room / "Maildir", options.jobs)
        for number in range(max(1, options.rounds)):
            for tool in tools[number % len(tools) :] + tools[: number % len(tools)]:
                play(tool, room, number)
    report = summary(tools, what, mails, size, options.rounds)
    print(json.dumps(report, indent=2) if options.json else table(report))
    return 0 if tools[0].seconds else 1


def choice_of_mail(room: Path) -> tuple[list[Path], str]:
    corpus = Path(os.environ.get("MAILLOOM_CORPUS") or ROOT.parent / "shared" / "corpus")
    folders = [corpus / "bulk" / "xdp-newbies", corpus / "bulk" / "spamassassin"]
    if all(f.is_dir() for f in folders):
        return folders, "bulk/xdp-newbies + bulk/spamassassin"
    made = room / "made"
    subprocess.run([MAILLOOM, "synth", made, "--mails", "4000", "--seed", "1"], check=True, stdout=subprocess.DEVNULL)
    return [made / "mail"], "mailloom synth --mails 4000 --seed 1"


def fill(maildir: Path, folders: list[Path]) -> tuple[int, int]:
    """One message a file into maildir/cur; (number, bytes). Truth and notes beside generated mail are no mail."""
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    number = size = 0
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.suffix in {".json", ".jsonl", ".md"}:
                continue
            target = maildir / "cur" / f"{1600000000 + number}.{number}.bench:2,S"
            try:
                target.hardlink_to(path)
            except OSError:
                shutil.copyfile(path, target)
            number += 1
            size += path.stat().st_size
    return number, size


def play(tool: Peer, room: Path, number: int) -> None:
    """One round of one tool, from nothing. Its trouble is remembered, never raised: the others go on."""
    if tool.trouble:
        return
    if not shutil.which(tool.program):
        tool.trouble = "not installed"
        return
    place = room / f"{tool.name}-{number}"
    (place / "home").mkdir(parents=True)
    for name, text in tool.files.items():
        (place / name).write_text(text.replace("path=home", f"path={place / 'home'}"), encoding="utf-8")
    environment = os.environ | {"HOME": str(place)} | tool.environment
    environment.pop("MAILLOOM_ARCHIVE", None)
    try:
        start = time.perf_counter()
        for command in tool.commands:
            run(command, place, environment)
        tool.seconds.append(time.perf_counter() - start)
        if tool.count and not tool.found:
            tool.found = counted(run(tool.count, place, environment))
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error)
        tool.trouble = f"failed: {told.strip()[-300:]}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run(command: list[str], place: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        check=True,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LONGEST,
    )
    return done.stdout


def counted(text: str) -> str:
    """The number of mails, from `notmuch count` or the line of `mu info store` that tells it."""
    lines = [line for line in text.splitlines() if "messages" in line] or text.splitlines()
    digits = "".join(c if c.isdigit() else " " for c in lines[0]).split() if lines else []
    return digits[-1] if digits else ""


def summary(tools: list[Peer], what: str, mails: int, size: int, rounds: int) -> dict[str, object]:
    rows = []
    for tool in tools:
        median = statistics.median(tool.seconds) if tool.seconds else None
        rows.append(
            {
                "tool": tool.name,
                "seconds": [round(s, 3) for s in tool.seconds],
                "median": median and round(median, 3),
                "mails_per_second": median and round(mails / median, 1),
                "indexed": tool.found,
                "trouble": tool.trouble,
            }
        )
    speeds = {str(r["tool"]): r["mails_per_second"] for r in rows if r["mails_per_second"]}
    own = speeds.get("mailloom")
    ratios = {name: round(own / speed, 2) for name, speed in speeds.items() if own and name != "mailloom"}
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {
        "mail": what,
        "mails": mails,
        "bytes": size,
        "rounds": rounds,
        "machine": machine,
        "tools": rows,
        "ratios": ratios,
    }


def table(report: dict) -> str:
    lines = [
        f"{report['mails']:,} mails, {report['bytes'] / 1e6:.1f} MB: {report['mail']}",
        f"{report['machine']}; median of {report['rounds']} rounds, in turns",
        f"{'':10}{'mails/s':>9}{'seconds':>9}  rounds",
    ]
    for row in report["tools"]:
        if row["median"]:
            rounds = " ".join(f"{s:.2f}" for s in row["seconds"])
            indexed = f"  ({row['indexed']} mails indexed)" if row["indexed"] else ""
            lines.append(f"{row['tool']:10}{row['mails_per_second']:9,.0f}{row['median']:9.2f}  {rounds}{indexed}")
        if row["trouble"]:
            lines.append(f"{row['tool']:10}{row['trouble']}")
    lines += [f"mailloom = {ratio:.2f} x {name}" for name, ratio in report["ratios"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
