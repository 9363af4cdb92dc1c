"""What somebody meets who types a command for the first time: a mistake is one line that says what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mailloom.cli import group

BARE = """import sys
for name in ("boto3", "botocore", "opensearchpy", "psycopg", "redis", "structlog"):
    sys.modules[name] = None
sys.argv = ["mailloom", *sys.argv[1:]]
from mailloom.cli import main
main()
"""
"""`mailloom` where only `pip install mailloom` was typed."""


def run(room: Path, *words: str, program: str = "from mailloom.cli import main; main()", code: int = 2) -> str:
    """Standard error of a command in a folder without settings, in a process of its own as main() ends it."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, cwd=room
    )
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "words", ["search invoice", "ingest .", "work", "validate", "settle", "migrate", "dead list", "doctor"]
)
def test_without_the_extra_servers_say_what_to_install(tmp_path: Path, words: str) -> None:
    command, *rest = words.split()
    told = run(tmp_path, command, *rest, "--profile", "aws", program=BARE)
    assert 'pip install "mailloom[aws]"' in told
    assert len(told.splitlines()) == 1, told


def test_a_shape_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    told = run(tmp_path, "synth", "out", "--shape", "colour=red")
    assert told.startswith("mailloom: --shape: unknown key 'colour'; known are replies,"), told
    assert not (tmp_path / "out").exists()


MAIL = b"From: ann@example.org\r\nSubject: Order 12\r\nMessage-ID: <1@example.org>\r\n\r\nYes, please.\r\n"


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A folder with one mail."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "1.eml").write_bytes(MAIL)
    return tmp_path / "mail"


def test_a_place_without_mail_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told = run(tmp_path, "ingest", "notes", "-q", "-j", "1", code=1)
    assert told == "mailloom: no mail was found in notes: is that the right place?\n"


def test_an_archive_below_its_own_source_is_not_read(mail: Path) -> None:
    """`mailloom ingest .`, and the archive is ./archive."""
    command = [sys.executable, "-m", "mailloom", "ingest", ".", "--json", "-j", "1"]
    for received in (1, 0):
        done = subprocess.run(command, capture_output=True, check=True, cwd=mail)
        assert json.loads(done.stdout)["received"] == received


def test_an_archive_has_a_folder_of_its_own(mail: Path) -> None:
    told = run(mail.parent, "ingest", "mail", "--archive", "mail")
    assert "mail is no archive and not empty (1.eml is in it): give the archive a folder of its own" in told
    assert [path.name for path in mail.iterdir()] == ["1.eml"]


def test_an_archive_is_no_source_of_mail(mail: Path) -> None:
    run(mail.parent, "ingest", "mail", "-q", "-j", "1", code=0)
    told = run(mail.parent, "ingest", "archive", "--archive", "other", "-q")
    assert "archive is an archive of Mailloom, no folder of mail" in told


def test_no_line_of_the_lists_of_commands_is_cut_off() -> None:
    """In a terminal of 80 columns, of which two stay free."""
    context = click.Context(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    groups = [[]] + [[name] for name, one in commands.items() if isinstance(one, click.Group)]
    assert len(groups) > 2
    for words in groups:
        shown = CliRunner().invoke(group, [*words, "--help"], terminal_width=78).output
        lines = shown.partition("Commands:\n")[2].splitlines()
        assert lines
        assert [line for line in lines if line.endswith("...")] == []
