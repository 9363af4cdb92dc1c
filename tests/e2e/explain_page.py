"""docs/explain.md: what `mailloom explain` prints for each kind of evidence. `python tests/e2e/explain_page.py` writes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from explain_scenes import SCENES, Scene

from mailloom.archive import Archive, open_archive
from mailloom.archive.story import story
from mailloom.cli import explain_view
from mailloom.run.ingest import ingest
from mailloom.wire import open_for_writing

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain.md"
WIDTH = 100  # columns: what a pipe gets
INTRODUCTION = """# Why is this mail here?

`mailloom explain ID` tells why a mail is in its thread: which thread that is and which mail names it, with whom each of its ids
joins it, what else speaks for a link and how much, who was considered besides, what was not used and why, and what
would change it. An ID is the beginning of one as `mailloom search` prints it, or a Message-ID. `--json` tells the same, and more, to programs.

How to read it:

- A thread is named by its oldest mail. Times are in UTC, but where a quote's own time is told.
- **Ids join.** Two mails are in one thread if both have or cite the same id, even if the mail that it names isn't here.
- **What is likely** is only asked where no mail that is cited by id is here. Evidence is weighed; the weights add up, and the best candidate is followed if
  it reaches 0.60 for an answer ("Re:" in any language), 1.40 for other mail. Wrong links are worse than missing ones.
- **"It looks for"** says what would change the answer: mail that comes later is held against it.

Below are five mails for each kind of evidence, all made up, with what the program prints today. A test holds this page to it;
`python tests/e2e/explain_page.py` writes it.
"""


def page(folder: Path) -> str:
    """The page, by an archive that is made in an empty folder."""
    paths = []
    for number, scene in enumerate(SCENES):
        for place, raw in enumerate(scene.mails):
            path = folder / "mail" / f"{number:02}-{place:02}.eml"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(raw)
            paths.append(path)
    with open_for_writing(folder / "archive") as stores:
        ingest([str(folder / "mail")], stores, jobs=1)
    with open_archive(folder / "archive") as archive:
        return "\n".join([INTRODUCTION, *(line for scene in SCENES for line in _section(archive, scene))])


def _section(archive: Archive, scene: Scene) -> Iterator[str]:
    yield from (f"## {scene.heading}", "", scene.about, "")
    for name, what in scene.shown:
        yield from (f"*{what}*", "", "```", *told(archive, name), "```", "")


def told(archive: Archive, name: str, width: int = WIDTH) -> Sequence[str]:
    """What `explain` prints of the mail with that name, without colours; "" is the mail without a Message-ID."""
    import click

    message = archive.find(f"{name}@example.org" if name else _unnamed(archive))
    return [click.unstyle(line) for line in explain_view.lines(archive, story(archive, message), room=width)]


def _unnamed(archive: Archive) -> str:
    sql = "select id from messages where message_id = '' order by id desc limit 1"
    return str(archive.connection.execute(sql).get.hex())


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        text = page(Path(made))
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(text.splitlines())} lines\n")
