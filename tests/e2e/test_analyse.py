"""stats, sql, export, digest, doctor and synth as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from mailloom.cli import group
from mailloom.cli.analyse import draw_table, fitted
from mailloom.run.ingest import ingest
from mailloom.synth import generate, shape_of, write
from mailloom.wire import open_for_writing

MAILS = 80
ESCAPE = "\x1b]0;mine\x07"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("analyse")
    write(room / "made", generate(MAILS, 11, shape_of("again=0.1,lost=0,broken=0,missing=0,attachments=0.3")), "eml")
    (room / "made" / "mail" / "evil.eml").write_bytes(
        b"From: =?utf-8?q?=1B]0;mine=07?= <eve@example.net>\nSubject: =1+1 =?utf-8?q?=1B[31mred?=\nDate: Tue, 1 Oct 2024 10:00:00 +0000\n\nhello\n"
    )
    with open_for_writing(room / "archive") as stores:
        ingest([str(room / "made" / "mail")], stores)
    return room


def run(room: Path, *args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(group, [*args, "--archive", str(room / "archive")], input=stdin)


def printed(room: Path, *args: str) -> str:
    result = run(room, *args)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# ------------------------------------------------------------------------------------------------ stats
def test_stats_add_up(room: Path) -> None:
    counted = json.loads(printed(room, "stats", "--json"))
    n = counted["messages"]
    assert sum(counted["months"].values()) + counted["undated"] == n
    assert sum(counted["sizes"].values()) == n
    assert sum(counted["thread_sizes"].values()) == counted["threads"]
    assert sum(counted["deliveries"].values()) == MAILS + 1
    assert counted["deliveries"]["stored"] == n
    assert sum(t["files"] for t in counted["types"]) == counted["attachments"]
    assert counted["longest"][0]["messages"] > 1


def test_stats_are_drawn_without_control_characters(room: Path) -> None:
    page = printed(room, "stats")
    assert "█" in page
    assert "Longest threads" in page
    assert not set(page) & {"\x1b", "\x07"}


# ------------------------------------------------------------------------------------------------ sql
def test_sql_answers_from_every_table(room: Path) -> None:
    for table in [
        "messages",
        "threads",
        "nested",
        "attachments",
        "segments",
        "problems",
        "people",
        "deliveries",
        "copies",
    ]:
        answer = lines(printed(room, "sql", f"select count(*) as n from {table}", "--json"))
        assert answer[0]["n"] or table == "problems"
        printed(room, "sql", f"select * from {table} limit 2")
        printed(room, "sql", f"describe {table}")


def test_sql_joins_messages_with_their_threads(room: Path) -> None:
    query = (
        "select count(*) as n, count(thread) as t, count(distinct thread) as threads, count(sent) as s from messages"
    )
    (row,) = lines(printed(room, "sql", query, "--json"))
    counted = json.loads(printed(room, "stats", "--json"))
    assert row["n"] == row["t"] == row["s"] == counted["messages"]
    assert row["threads"] == counted["threads"]
    wide = "select * from messages limit 1"
    assert {"thread", "topic", "sent", "reply_text"} <= set(lines(printed(room, "sql", wide, "--json"))[0])
    assert "thread" in lines(printed(room, "sql", "from messages limit 1", "--json"))[0]


def test_sql_sees_what_is_not_copied_to_parquet_yet(room: Path, tmp_path: Path) -> None:
    from mailloom.flow.commit import Arrived, commit
    from mailloom.flow.transform import seal, transform
    from mailloom.mail.model import Origin

    raw = b"From: a@example.org\nSubject: waits\nMessage-ID: <w1@example.org>\n\nhello\n"
    with open_for_writing(tmp_path / "archive") as stores:
        with stores.unit():
            sealed = seal(transform(raw, Origin("x", "y", 0, len(raw), len(raw), 0)))
            commit([Arrived(sealed, 0, 0)], [], stores)
        rows = lines(printed(tmp_path, "sql", "select subject, thread = id as own from messages", "--json"))
    assert rows == [{"subject": "waits", "own": True}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select * from mails", "The tables are messages, threads"),
        ("selct 1", "syntax error"),
        ("select nope from messages", "nope"),
        ("select 1; select 2", "one query at a time"),
        ("", "this has 0"),
        ("drop table messages", "only queries that read"),
        ("copy messages to '/tmp/x.csv'", "only queries that read"),
        ("attach '/tmp/x.db'", "only queries that read"),
        ("set enable_external_access = true", "only queries that read"),
        ("install httpfs", "only queries that read"),
        ("select * from read_csv('/etc/passwd')", "no other file"),
        ("select * from '/etc/passwd'", "The tables are"),
        ("select * from read_text('/etc/passwd')", "no other file"),
        ("select * from glob('/*')", "no other file"),
        ("select cast(subject as int) from messages", "Conversion Error"),
    ],
)
def test_sql_says_what_is_wrong_with_a_query(room: Path, query: str, told: str) -> None:
    command = [sys.executable, "-c", "from mailloom.cli import main; main()"]
    if query not in ("select * from mails", "select * from read_csv('/etc/passwd')"):
        result = run(room, "sql", query)
        assert result.exception is not None
        assert type(result.exception).__name__ == "QueryError"
        assert told in str(result.exception)
        return
    ended = subprocess.run(
        [*command, "sql", query, "-a", str(room / "archive")], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sql_draws_a_table_in_the_terminals_width(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    page = printed(room, "sql", "select subject, text, id from messages")
    assert all(len(line) <= 60 for line in page.splitlines())
    assert not set(page) & {"\x1b", "\x07", "\r"}
    assert "rows" in page.splitlines()[-1]


def test_sql_reads_a_query_from_standard_input_and_prints_csv(room: Path) -> None:
    result = run(room, "sql", "-", "--csv", stdin="select 1 as a, null as b, [1, 2] as c, 'x,y' as d")
    assert result.stdout == 'a,b,c,d\n1,,"[1,2]","x,y"\n'
    assert run(room, "sql", "select 1", "--csv", "--json").exit_code == 2


def test_columns_give_way_the_widest_first() -> None:
    assert fitted([10, 20], 40) == [10, 20]
    assert fitted([10, 200], 50) == [10, 38]
    assert fitted([100, 200, 6], 50) == [20, 20, 6]
    assert fitted([9] * 30, 50) == [6] * 30
    assert list(draw_table(["a"], [], [False]))


# ------------------------------------------------------------------------------------------------ export
def test_export_threads_names_every_message(room: Path) -> None:
    truth = lines((room / "made" / "truth.jsonl").read_text())
    rows = [row for row in lines(printed(room, "export", "threads")) if row["id"]]
    assert {row["id"] for row in rows} == {t["id"] for t in truth}
    headers = lines(printed(room, "export", "threads", "--evidence", "headers"))
    want, got = defaultdict(set), defaultdict(set)
    for t in truth:
        want[t["thread"]].add(t["id"])
    for row in headers:
        if row["id"]:
            got[row["thread"]].add(row["id"])
    joined = {frozenset(ids) for ids in got.values()}
    assert all(any(ids <= other for other in map(frozenset, want.values())) for ids in joined), (
        "nothing is joined wrongly"
    )


def test_export_messages_in_each_form(room: Path, tmp_path: Path) -> None:
    rows = lines(printed(room, "export", "messages"))
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert all(row["thread"] and row["topic"] and "reply_text" in row for row in rows)
    out = tmp_path / "m.parquet"
    printed(room, "export", "messages", "--format", "parquet", "--out", str(out))
    table = pq.read_table(out)
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert table.column("thread").to_pylist() == [row["thread"] for row in rows]
    cells = list(csv.DictReader(io.StringIO(printed(room, "export", "messages", "--format", "csv"))))
    assert [cell["id"] for cell in cells] == [row["id"] for row in rows]
    assert any(cell["subject"].startswith("'=1+1") for cell in cells), "no formula for a spreadsheet"
    assert not list(tmp_path.glob("*.part"))


def test_export_people_counts_roles(room: Path, tmp_path: Path) -> None:
    people = lines(printed(room, "export", "people"))
    assert [p["key"] for p in people] == sorted(p["key"] for p in people)
    assert sum(p["from"] for p in people) == json.loads(printed(room, "stats", "--json"))["messages"]
    assert all(p["mails"] == p["from"] + p["author"] + p["to"] + p["cc"] for p in people)
    for form in ("csv", "parquet"):
        printed(room, "export", "people", "--format", form, "--out", str(tmp_path / form))
    assert pq.read_table(tmp_path / "parquet").num_rows == len(people)
    assert len((tmp_path / "csv").read_text().splitlines()) == len(people) + 1


def test_an_export_that_fails_leaves_the_old_file(room: Path, tmp_path: Path) -> None:
    out = tmp_path / "no" / "such" / "folder"
    assert isinstance(run(room, "export", "people", "--out", str(out)).exception, FileNotFoundError)


@pytest.mark.parametrize("what", ["messages", "threads", "people"])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_empty_archive_exports_nothing(what: str, form: str, tmp_path: Path) -> None:
    with open_for_writing(tmp_path / "archive"):
        pass
    out = tmp_path / "out"
    printed(tmp_path, "export", what, "--format", form, "--out", str(out))
    if form == "parquet":
        assert pq.read_table(out).num_rows == 0
    else:
        assert len(out.read_text().splitlines()) == (form == "csv")


def test_an_empty_archive_can_be_looked_at(tmp_path: Path) -> None:
    with open_for_writing(tmp_path / "archive"):
        pass
    assert json.loads(printed(tmp_path, "stats", "--json"))["messages"] == 0
    printed(tmp_path, "stats")
    assert lines(printed(tmp_path, "sql", "select count(*) as n from messages", "--json")) == [{"n": 0}]
    assert "is sound" in printed(tmp_path, "doctor")
    printed(tmp_path, "digest")


# ------------------------------------------------------------------------------------------------ digest, doctor
def test_digest_prints_tables_and_one_hash_over_all(room: Path) -> None:
    plain = printed(room, "digest")
    tables = lines(printed(room, "digest", "--json"))
    assert [line.split()[0] for line in plain.splitlines()] == [table["sha256"] for table in tables]
    assert tables[-1]["table"] == "all"
    assert [t["table"] for t in lines(printed(room, "digest", "--raw", "--json"))][-2:] == ["raw", "all"]


def test_doctor_says_what_is_wrong_and_mends_it(room: Path, tmp_path: Path) -> None:
    import shutil

    assert "is sound" in printed(room, "doctor")
    assert all(finding["ok"] for finding in lines(printed(room, "doctor", "--json", "--deep")))
    shutil.copytree(room / "archive", tmp_path / "archive")
    next((tmp_path / "archive" / "messages").glob("*/*.parquet")).unlink()
    result = run(tmp_path, "doctor")
    assert result.exit_code == 0  # CliRunner has no use for a command's answer; `main` has
    assert "FAULT" in result.output
    assert "is missing" in result.output
    assert "--repair" in result.output
    command = "import sys; from mailloom.cli import main; main()"
    args = ["doctor", "-a", str(tmp_path / "archive")]
    assert subprocess.run([sys.executable, "-c", command, *args], capture_output=True, check=False).returncode == 1
    mended = run(tmp_path, "doctor", "--repair").output
    assert "mended  Parquet" in mended
    assert mended.splitlines()[-1].endswith("is sound")


def test_no_archive_is_told(tmp_path: Path) -> None:
    for command in (["stats"], ["digest"], ["doctor"], ["sql", "select 1"], ["export", "people"]):
        assert "no archive at" in str(run(tmp_path, *command).exception)


# ------------------------------------------------------------------------------------------------ synth
def test_synth_writes_mail_and_truth(tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["synth", str(tmp_path / "made"), "--mails", "30", "--seed", "4"])
    assert result.exit_code == 0, result.output
    assert "30 in" in result.output
    assert (
        len(list((tmp_path / "made" / "mail").rglob("*.eml")))
        == len(lines((tmp_path / "made" / "truth.jsonl").read_text()))
        == 30
    )
    again = CliRunner().invoke(group, ["synth", str(tmp_path / "made")])
    assert "is there already" in str(again.exception)
    assert type(again.exception).__name__ == "SynthError"


def test_synth_streams_mail_alone_to_standard_output() -> None:
    result = CliRunner().invoke(group, ["synth", "-", "--form", "stream", "--mails", "5"])
    assert result.stdout_bytes.startswith(b"From ")
    assert b"mails/s" not in result.stdout_bytes
    assert "mails/s" in result.stderr


def test_synth_lists_the_keys_of_a_shape(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(group, ["synth", str(tmp_path / "x"), "--shape", "colour=red"])
    assert "known are replies, concurrency" in str(wrong.exception)
    assert "attachment_size=8000" in CliRunner().invoke(group, ["synth", "--help"]).output
