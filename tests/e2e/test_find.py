"""Finding and looking, as a user does: search, thread, show, explain, where, rejected, parse on archives of mails written here."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from mailloom.archive import Archive, open_archive
from mailloom.cli import draw, group, thread_view
from mailloom.flow.transform import refuse
from mailloom.mail.model import MessageId
from mailloom.run.ingest import ingest
from mailloom.stores.sqlite import conversations
from mailloom.thread.tree import Twig
from mailloom.wire import open_for_writing

DEEP = 1200
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202etxt.exe\u2028"
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def mail(
    number: int | str,
    subject: str,
    text: str,
    *,
    day: int = 1,
    sender: str = "Ann Lee <ann@example.org>",
    more: str = "",
) -> bytes:
    head = f"""From: {sender}
To: Team <team@example.org>
Subject: {subject}
Date: {day:02} Jan 2024 10:00:00 +0100
Message-ID: <{number}@example.org>
MIME-Version: 1.0
"""
    if "Content-Type" not in more:
        more += "Content-Type: text/plain; charset=utf-8\n"
    return (head + more + "\n" + text).encode()


def reply(to: int | str, *further: int | str) -> str:
    ids = " ".join(f"<{one}@example.org>" for one in (*further, to))
    return f"In-Reply-To: <{to}@example.org>\nReferences: {ids}\n"


INNER = mail(
    "inner",
    "Inner matter",
    '--in\nContent-Type: text/plain\n\nInside text about walruses.\n--in\nContent-Type: text/csv; name="../../inner.csv"\n\na,b\n--in--\n',
    more='Content-Type: multipart/mixed; boundary="in"\n',
).decode()
FILES = "".join(
    f'--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename="{name}"\n'
    f"Content-Transfer-Encoding: base64\n\n{base64.b64encode(data).decode()}\n"
    for name, data in (
        ("../../etc/report.pdf", b"one"),
        ("report.pdf", b"two"),
        ("/etc/.passwd", b"three"),
        ("CON", b"four"),
        ("", b"five"),
    )
)
BIG = f"--b\nContent-Type: text/plain\n\nSee the report.\n{FILES}--b\nContent-Type: message/rfc822\n\n{INNER}\n--b--\n"
LONG = "\n".join(f"Line {n} of a long tale." for n in range(40))
QUOTED = (
    "Yes, walruses it is.\n\nOn Mon, 1 Jan 2024 at 10:00, Ann Lee wrote:\n> Shall we order invoices?\n> Or penguins?\n"
)

MAILS = {
    "one/1.eml": mail(1, "Order of penguins", "Shall we order penguins, or a purchase order?\n\nÉpsilon and all.\n"),
    "one/2.eml": mail(2, "Re: Order of penguins", QUOTED, day=2, sender="Bo Ray <bo@example.net>", more=reply(1)),
    "one/4.eml": mail(4, "Re: Order of penguins", LONG, day=4, more=reply(3, 1, 2)),  # 3 is missing
    "one/5.eml": mail(5, "Fish instead (was: penguins)", "Fish.\n", day=5, sender="Cy <cy@example.com>", more=reply(4, 1, 2, 3)),
    "two/6.eml": mail(6, "Report", BIG, day=6, more='Content-Type: multipart/mixed; boundary="b"\n'),
    "two/7.eml": mail(7, f"Evil {ESCAPES}", f"Text {ESCAPES} evil\n", day=7, sender=f'"{ESCAPES}" <eve@example.org>'),
    "two/8a.eml": mail("8a", "Twins", "Exactly the same.\n", day=8),
    "two/8b.eml": mail("8b", "Twins", "Exactly the same.\n", day=8),
    "two/1.eml": b"Received: from x.example.org\n" + mail(1, "Order of penguins", "Shall we order penguins, or a purchase order?\n\nÉpsilon and all.\n"),
    **{
        f"robots/{n}.eml": mail(f"r{n}", f"Notice about thing number {n}", "Beep.\n", day=9, sender=f"Robot {n} <r{n}@example.org>", more=reply("nobody"))
        for n in range(8)
    },
    "three/undated.eml": b"From: x@example.org\nSubject: undated thing\n\ntimeless\n",
}  # fmt: skip


def put(folder: Path, mails: dict[str, bytes]) -> None:
    for name, raw in mails.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail") / "box"
    put(folder, MAILS)
    (folder / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (folder / "cut.eml.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(20))
    box = b"".join(
        b"From x@example.org Mon Jan  1 10:00:00 2024\n" + mail(f"m{n}", f"Boxed {n}", "In a box.\n") + b"\n"
        for n in range(3)
    )
    (folder / "letters.mbox").write_bytes(box)
    return folder


@pytest.fixture(scope="module")
def archive(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "a"
    with open_for_writing(folder) as stores:
        books = ingest([str(source)], stores)
    assert books.balanced
    assert books.stored == len(MAILS) - 1 + 3
    return folder


@pytest.fixture
def run(archive: Path) -> Callable[..., Result]:
    def call(*args: str, code: int = 0, columns: int = 100) -> Result:
        env = {"COLUMNS": str(columns), "MAILLOOM_ARCHIVE": str(archive)}
        result = CliRunner(env=env).invoke(group, list(args), standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        assert result.return_value == code, result.output
        assert not BAD.search(result.output), "a control character reached the terminal"
        if "--json" not in args:
            assert all(draw.cells(line) <= columns for line in result.stdout.splitlines() if "/" not in line), (
                result.output
            )
        return result

    return call


@pytest.fixture
def opened(archive: Path) -> Iterator[Archive]:
    with open_archive(archive) as one:
        yield one


def rows(result: Result) -> list[Any]:
    return [orjson.loads(line) for line in result.stdout_bytes.splitlines()]


def subjects(result: Result) -> list[str]:
    return [row["subject"] for row in rows(result)]


# ------------------------------------------------------------------------------------------------ search
def test_search_shows_who_when_what_and_where_it_hits(run: Callable[..., Result]) -> None:
    lines = run("search", '"purchase order"').stdout.splitlines()
    assert re.match(r"[0-9a-f]{8,}  2024-01-01 09:00  Ann Lee  Order of penguins$", lines[0])
    assert lines[1].strip() == "Shall we order penguins, or a [[purchase order]]? Épsilon and all."


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (["epsilon"], ["Order of penguins"]),
        (["walruses", "from:bo"], ["Re: Order of penguins"]),
        (["subject:penguins", "-from:ann", "-from:cy"], ["Re: Order of penguins"]),
        (["-penguins", "subject:order"], []),
        (["file:report"], ["Report"]),
        (["has:attachment"], ["Report"]),
        (["inside", "walruses", "has:nested"], ["Report"]),
        (["in:three"], ["undated thing"]),
        (["boxed", "in:letters.mbox"], None),
        (["date:2024-01-05"], ["Fish instead (was: penguins)"]),
        (["thread:4@example.org", "after:2024-01-05"], ["Fish instead (was: penguins)"]),
        (["id:6@example.org"], ["Report"]),
        (["timeless", "date:2024"], []),
    ],
)
def test_search_finds(run: Callable[..., Result], query: list[str], found: list[str] | None) -> None:
    if found is None:
        run("search", *query, "--json", code=1)
    else:
        assert subjects(run("search", *query, "--json", code=0 if found else 1)) == found


def test_search_folds_twins_and_counts_them(run: Callable[..., Result]) -> None:
    (one,) = rows(run("search", "exactly", "--json"))
    assert one["twins"] == 1
    assert "+1 twin" in run("search", "exactly").stdout
    assert run("search", "--count", "exactly").stdout.strip() == "2"


def test_search_limit_says_that_there_is_more(run: Callable[..., Result]) -> None:
    result = run("search", "beep", "-n", "3")
    assert "more than 3" in result.stderr
    assert len(rows(run("search", "beep", "-n3", "--json"))) == 3
    assert "more than" not in run("search", "beep", "-n", "8").stderr


def test_search_without_a_query_lists_the_newest_first(run: Callable[..., Result]) -> None:
    dates = [row["date"] for row in rows(run("search", "--json", "-n", "100"))]
    assert dates[-1] is None
    assert dates[:-1] == sorted(dates[:-1], reverse=True)
    assert "undated" in run("search", "in:three").stdout


def test_search_that_finds_nothing_helps(run: Callable[..., Result]) -> None:
    assert "did you mean from:" in run("search", "form:ann", "xyzzy", code=1).stderr
    assert "nothing found for 'xyzzy'" in run("search", "xyzzy", code=1).stderr


def test_snippets_come_from_new_text_before_quotes(run: Callable[..., Result]) -> None:
    hits = {row["subject"]: row["snippet"] for row in rows(run("search", "walruses", "--json"))}
    assert hits["Re: Order of penguins"] == "Yes, walruses it is."
    assert hits["Report"] == "Inside text about walruses."


def test_a_shortened_id_finds_its_mail(opened: Archive) -> None:
    for record in opened.records():
        short = opened.short(record.id)
        assert len(short) >= 8
        assert opened.find(short) == record.id


def test_hits_of_the_library(opened: Archive) -> None:
    (hit,) = opened.search('"purchase order"')
    assert hit.record.message.subject == "Order of penguins"
    assert [hit.snippet[start:end] for start, end in hit.marks] == ["purchase order"]
    assert hit.conversation == hit.record.id
    assert opened.search("beep", limit=2)[1:] == opened.search("beep", limit=3)[1:2]


# ------------------------------------------------------------------------------------------------ thread
def test_thread_draws_the_tree_with_what_is_missing(run: Callable[..., Result]) -> None:
    text = run("thread", "4@example.org").stdout
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "Order of penguins"
    assert lines[1].startswith("4 messages, 1 missing, 2024-01-01 to 2024-01-05, thread ")
    drawn = [re.sub(r"  2024.*", "", line) for line in lines if re.search(r"  2024-|missing:", line)]
    assert drawn == [
        "Ann Lee",
        "└─Bo Ray",
        "  └─missing: 3@example.org",
        "    └─Ann Lee",
        "      └─Cy",
    ]
    assert any(line.endswith("subject: Fish instead (was: penguins)") for line in lines)
    assert "Or penguins?" not in text, "quotes are left out"
    assert "32 more lines (--full)" in text
    assert "Line 39" not in text
    assert "Line 39" in run("thread", "4@example.org", "--full").stdout


def test_thread_in_json_has_the_shape(run: Callable[..., Result]) -> None:
    one, two, ghost, four, five = rows(run("thread", "5@example.org", "--json"))
    assert ghost == {"missing": "3@example.org", "depth": 2, "parent": two["id"]}
    assert (one["depth"], one["parent"]) == (0, None)
    assert (four["depth"], four["parent"]) == (3, "3@example.org")
    assert five["parent"] == four["id"]
    assert {row["thread"] for row in (one, two, four, five)} == {one["id"]}


def test_thread_shows_attachments_and_mail_without_new_text(run: Callable[..., Result]) -> None:
    text = run("thread", "6@example.org").stdout
    assert "attached: ../../etc/report.pdf (3 B)" in text
    assert "missing" not in text


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One thread, each mail an answer to the one before."""
    folder = tmp_path_factory.mktemp("deep")
    raws = (mail(n, "Re: chain", f"Answer {n}.\n", day=1 + n % 28, more=reply(n - 1) if n else "") for n in range(DEEP))
    (folder / "deep.mbox").write_bytes(
        b"".join(b"From x@example.org Mon Jan  1 10:00:00 2024\n" + raw + b"\n" for raw in raws)
    )
    with open_for_writing(folder / "a") as stores:
        ingest([str(folder / "deep.mbox")], stores)
    return folder / "a"


def test_a_deep_thread_is_drawn_within_the_width(deep: Path) -> None:
    for extra in ([], ["--json"]):
        result = CliRunner(env={"COLUMNS": "80"}).invoke(
            group, ["thread", f"{DEEP - 1}@example.org", "-a", str(deep), *extra], standalone_mode=False
        )
        assert result.exception is None
        if extra:
            depths = [row["depth"] for row in rows(result)]
            assert depths == list(range(DEEP))
        else:
            assert f"(level {DEEP - 1})" in result.stdout
            assert all(draw.cells(line) <= 80 for line in result.stdout.splitlines())


@pytest.mark.parametrize("shape", ["chain", "star"])
def test_placing_is_linear_in_the_tree(shape: str) -> None:
    root = Twig(None, "0")
    above = root
    for number in range(1, 100_000):
        twig = Twig(MessageId(number.to_bytes(16, "big")), "")
        above.children.append(twig)
        above = twig if shape == "chain" else root
    places = list(thread_view.placed([root], 20))
    assert len(places) == 100_000
    assert max(len(place.rails) for place in places) <= 40
    assert places[-1].depth == (99_999 if shape == "chain" else 1)
    while root.children:  # Python frees a chain of objects by recursion, with a limit of its own
        root = root.children.pop()


def test_a_thread_costs_its_own_size_and_not_the_archives(opened: Archive) -> None:
    """Left to itself, SQLite looks through all nodes for each node of a pool."""
    plan = [row[3] for row in opened.connection.execute(f"explain query plan {conversations._DOWN}", ("", bytes(17)))]
    assert any("nodes_parent (scope=? AND parent=?)" in step for step in plan), plan
    assert any("PRIMARY KEY (scope=? AND name=?)" in step for step in plan), plan


# ------------------------------------------------------------------------------------------------ show
def test_show_tells_all_of_one_mail(run: Callable[..., Result], source: Path) -> None:
    text = run("show", "2@example.org", columns=200).stdout
    for part in (
        "2024-01-02 10:00:00 +0100 (2024-01-02 09:00:00 UTC)",
        "Bo Ray <bo@example.net>",
        "── new: 0-",
        "── quote level 1",
        "> Or penguins?",
        "1 quoted: from Ann Lee",
        f"copy (stored): {source}/one/2.eml",
        "folder one",
    ):
        assert part in text
    assert run("show", "2@example.org", "--json").stdout.count("\n") == 1


def test_show_names_copies_and_twins(run: Callable[..., Result]) -> None:
    text = run("show", "1@example.org", columns=200).stdout
    assert "copy (stored)" in text
    assert "copy (duplicate)" in text
    (value,) = rows(run("show", "1@example.org", "--json"))
    assert [copy["state"] for copy in value["copies"]] == ["stored", "duplicate"]
    assert value["copies"][1]["trace"]["received"] == ["from x.example.org"]
    assert "1 twin (same content, other ids): " in run("show", "8a@example.org").stdout


def test_show_raw_gives_the_exact_bytes(run: Callable[..., Result]) -> None:
    result = CliRunner(env={"MAILLOOM_ARCHIVE": run.__closure__[0].cell_contents.as_posix()}).invoke(  # type: ignore[index]
        group, ["show", "7@example.org", "--raw"], standalone_mode=False
    )
    assert result.stdout_bytes == MAILS["two/7.eml"]


def test_saved_attachments_stay_in_their_folder_and_overwrite_nothing(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    folder = tmp_path / "deeper" / "out"
    folder.mkdir(parents=True)
    (folder / "report.pdf").write_bytes(b"mine")
    (folder / "passwd").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        run("show", "6@example.org", "--save-attachments", str(folder))
    files = {path.name: path.read_bytes() for path in folder.iterdir() if not path.is_symlink()}
    assert files["report.pdf"] == b"mine"
    assert sorted(files.values()).count(b"one") == 2
    assert files["report (2).pdf"] == b"one"
    assert files["report (3).pdf"] == b"two"
    assert files["inner.csv"].strip() == b"a,b"
    assert b"three" in files.values()
    assert not (tmp_path / "elsewhere").exists()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        path for path in folder.iterdir() if path.is_file()
    }
    assert not any(name.startswith(".") or "/" in name for name in files)
    told = rows(run("show", "6@example.org", "--save-attachments", str(folder), "--json"))
    assert {Path(row["path"]).parent for row in told} == {folder}
    assert [row["carrier"] for row in told if row["attachment"]["name"].endswith("inner.csv")] == ["1"]
    assert "no attachments" in run("show", "1@example.org", "--save-attachments", str(folder)).stderr


# ------------------------------------------------------------------------------------------------ explain
def test_explain_names_each_link(run: Callable[..., Result], opened: Archive) -> None:
    text = run("explain", "4@example.org", columns=160).stdout
    short = {n: opened.short(opened.find(f"{n}@example.org")) for n in (1, 2, 4, 5)}
    assert (
        f"is one of 4 messages in thread {short[1]}, which is named by its oldest: 'Order of penguins', Ann Lee" in text
    )
    assert "its In-Reply-To and References name 3@example.org\n    that mail is not here" in text
    assert f"its References name 1@example.org\n    which is {short[1]} (Ann Lee, 2024-01-01 09:00)" in text
    assert f"its Message-ID is 4@example.org\n    cited by {short[5]} (Cy, " in text
    fish = run("explain", "5@example.org", columns=160).stdout
    assert "it brings up a new subject there" in fish
    root = run("explain", "1@example.org").stdout
    assert "is the oldest of 4 messages, so it names their thread" in root
    assert "it came 2 times" in root


def test_explain_says_why_a_link_is_not_used(run: Callable[..., Result]) -> None:
    text = " ".join(run("explain", "r3@example.org").stdout.split())
    assert "not used: shared by automatic mail, it seems: 8 or more senders cite it under 8 or more subjects" in text
    (value,) = rows(run("explain", "r3@example.org", "--json"))
    (link,) = [link for link in value["links"] if link["kind"] == "in-reply-to"]
    assert link["state"] == "dead"
    assert len(link["cited_by"]) == 7
    assert value["messages"] == 1


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_explain_fits_and_is_safe_at_any_width(run: Callable[..., Result], columns: int) -> None:
    """`run` looks at each line's width and for control characters."""
    for name in ("1", "2", "4", "5", "6", "8a", "8b", "r3"):
        run("explain", f"{name}@example.org", columns=columns)
    assert "owned" in run("explain", "7@example.org", columns=columns).stdout


# ------------------------------------------------------------------------------------------------ where
def test_where_tells_each_step(run: Callable[..., Result], source: Path) -> None:
    for name in (
        "2@example.org",
        str(source / "one" / "2.eml"),
        "one/2.eml",
        os.path.relpath(source / "one" / "2.eml"),
    ):
        (value,) = rows(run("where", name, "--json"))
        assert [step["step"] for step in value["steps"]] == ["read", "stored", "raw", "parquet", "thread"]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", step["at"]) for step in value["steps"][:2])
        assert value["steps"][3]["detail"].startswith("messages/month=2024-01/")
        assert "settled" in value["steps"][4]["detail"]
    text = run("where", "2@example.org", columns=160).stdout
    assert f"{source}/one/2.eml" in text
    assert "stored" in text


def test_where_tells_of_copies_boxes_and_what_was_not_stored(run: Callable[..., Result], source: Path) -> None:
    assert [row["state"] for row in rows(run("where", "1@example.org", "--json"))] == ["stored", "duplicate"]
    assert len(rows(run("where", str(source / "letters.mbox"), "--json"))) == 3
    (png,) = rows(run("where", "cat.png", "--json"))
    assert png["state"] == "foreign"
    (cut,) = rows(run("where", str(source / "cut.eml.gz"), "--json"))
    assert cut["state"] == "rejected"
    assert "rejected" in run("where", "cut.eml.gz").stdout


# ------------------------------------------------------------------------------------------------ rejected
def test_rejected_groups_by_reason_and_says_what_to_do(run: Callable[..., Result], source: Path) -> None:
    text = run("rejected", columns=160).stdout
    assert "1 rejected: " in text
    assert f"{source}/cut.eml.gz" in text
    assert "Mend that" in text
    assert "cat.png" not in text
    assert "1 not mail" in run("rejected", "--all").stdout
    (value,) = rows(run("rejected", "--json"))
    assert value["path"] == "cut.eml.gz"
    assert value["reason"]


def test_rejected_retry_runs_again_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "box", {"1.eml": MAILS["one/1.eml"], "cut.eml.gz": b"\x1f\x8b\x08\x00" + bytes(20)})
    with monkeypatch.context() as broken, open_for_writing(tmp_path / "a") as stores:
        broken.setattr(
            "mailloom.run.ingest.transform", lambda raw, origin: refuse(origin, "bug: KeyError: 'x' at read:1", raw)
        )
        assert ingest([str(tmp_path / "box")], stores).rejected == 2
    listed = CliRunner().invoke(group, ["rejected", "-a", str(tmp_path / "a")], standalone_mode=False).stdout
    assert "1 rejected: bug: KeyError: 'x' at read:1" in listed
    assert "mailloom rejected --retry" in listed
    result = CliRunner().invoke(group, ["rejected", "--retry", "-a", str(tmp_path / "a")], standalone_mode=False)
    assert result.exception is None
    assert "stored 1, duplicate 0; rejected still 1" in result.stdout
    assert result.return_value == 1
    with open_archive(tmp_path / "a") as opened:
        assert len(opened) == 1
        assert opened.search("penguins")[0].record.message.message_id == "1@example.org"


# ------------------------------------------------------------------------------------------------ parse
def test_parse_reads_a_file_or_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(MAILS["one/2.eml"])
    for args, stdin in ((["parse", str(path), "--json"], None), (["parse", "-", "--json"], MAILS["one/2.eml"])):
        result = CliRunner().invoke(group, args, input=stdin, standalone_mode=False)
        (value,) = rows(result)
        assert value["reply_text"] == "Yes, walruses it is."
        assert value["nested"][0]["from"][0]["name"] == "Ann Lee"
        assert ["subject", "Re: Order of penguins"] in [[name.lower(), text] for name, text in value["headers"]]
    text = CliRunner().invoke(group, ["parse", str(path)], standalone_mode=False).stdout
    assert "── quote level 1" in text


def test_parse_tells_where_in_the_html_each_segment_stands() -> None:
    html = (
        '<p>Yes &amp; no.</p>\n<div class="gmail_quote"><div class="gmail_attr">On Mon, 4 May 2020 at 10:11, Ann &lt;'
        'ann@example.org&gt; wrote:<br></div><blockquote class="gmail_quote">Walruses?</blockquote></div>'
    )
    raw = b"Content-Type: text/html\r\n\r\n" + html.encode()
    result = CliRunner().invoke(group, ["parse", "-", "--json"], input=raw, standalone_mode=False)
    (value,) = rows(result)
    parts = [html[start:end] for start, end in value["html_spans"]]
    assert "".join(parts) == html
    assert value["html_part"] == 0
    assert [s["kind"] for s in value["segments"]] == ["new", "attribution", "quote"]
    assert parts[0] == "<p>Yes &amp; no.</p>"
    assert parts[1].endswith("wrote:<br></div>")


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff\xfe\n\n\xff", *MAILS.values()], ids=lambda raw: str(len(raw)))
def test_parse_prints_any_bytes_safely(raw: bytes) -> None:
    for extra in ([], ["--json"], ["--full"]):
        result = CliRunner(env={"COLUMNS": "60"}).invoke(
            group, ["parse", "-", *extra], input=raw, standalone_mode=False
        )
        assert result.exception is None
        assert not BAD.search(result.stdout)


@pytest.mark.parametrize(
    "body",
    [
        "x" * 3_000_000,
        "\u05d0" * 300_000,
        "\u0301" * 300_000,
        "a b " * 200_000,
        ">" * 300_000,
        "\n>" * 50_000,
        "\u4e00 " * 100_000,
    ],
)
def test_drawing_is_linear_in_a_body(body: str) -> None:
    """Each took minutes where a line was looked at once for each of the lines that it is folded into."""
    lines = list(draw.wrap(draw.safe(body, lines=True), 60))
    assert all(draw.cells(line) <= 60 for line in lines)
    assert len(lines) < 60_000


def test_parse_of_hostile_mail(hostile: Path) -> None:
    for path in sorted(hostile.rglob("*.eml"), key=lambda path: path.stat().st_size)[:25]:
        result = CliRunner().invoke(group, ["parse", str(path)], standalone_mode=False)
        assert result.exception is None, path.name
        assert not BAD.search(result.stdout), path.name


# ------------------------------------------------------------------------------------------------ as a program
def program(*args: str, archive: Path | None = None, **more: Any) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **({"MAILLOOM_ARCHIVE": str(archive)} if archive else {}), **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", "from mailloom.cli import main; main()", *args],
        env=env,
        capture_output=True,
        check=False,
        **more,
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["thread", "zzz@example.org"], "no message is called 'zzz@example.org'"),
        (["show", "abcd"], "no message is called 'abcd'"),
        (["search", "thread:nowhere@example.org"], "no message is called"),
        (["search", "date:2024-13"], "month must be in 1..12 (at character 1 of the query)"),
        (["search", '"open'], "this quotation mark is not closed (at character 1 of the query)"),
        (["where", "/no/such/file"], "nothing here is called '/no/such/file'"),
        (["explain", "!"], "no message is called '!'"),
        (["parse", "/no/such/file"], "/no/such/file can't be read: No such file or directory"),
        (["parse", "/"], "/ is a folder"),
        (["show", "6@example.org", "--save-attachments", "/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_errors_are_one_line_and_exit_2(archive: Path, args: list[str], said: str) -> None:
    done = program(*args, archive=archive)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


def test_no_archive_says_how_to_make_one(tmp_path: Path) -> None:
    for args in (["search", "x"], ["rejected"], ["where", "x"]):
        done = program(*args, archive=tmp_path / "none")
        assert done.returncode == 2
        assert b"mailloom ingest SOURCE --archive" in done.stderr
    assert not (tmp_path / "none").exists()


def test_exit_code_1_where_nothing_is_found(archive: Path) -> None:
    assert program("search", "xyzzy", archive=archive).returncode == 1
    assert program("search", "penguins", archive=archive).returncode == 0


def test_a_terminal_that_knows_few_letters_gets_marks_instead_of_an_error(archive: Path) -> None:
    done = program("search", "epsilon", archive=archive, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0
    assert b"?" in done.stdout


def test_search_starts_without_what_it_does_not_need(archive: Path) -> None:
    code = """import sys
from mailloom.cli import group
group(["search", "penguins"], standalone_mode=False)
heavy = {"pyarrow", "duckdb", "numpy", "rich", "pandas", "scipy", "asyncio"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MAILLOOM_ARCHIVE": str(archive)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
