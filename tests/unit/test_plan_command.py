"""`mailloom plan` as it is typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailloom.cli import group
from mailloom.plan.quantity import PlanError, count, days, gigabytes, short, size


def run(*words: str) -> Result:
    return CliRunner().invoke(group, ["plan", *words])


def test_the_page_fits_a_hundred_columns() -> None:
    for words in (
        [],
        ["-n", "1B", "--compare", "--detail"],
        ["--workers", "lambda", "--cap", "2", "--warm-after", "7d"],
        ["--prices"],
    ):
        result = run(*words)
        assert result.exit_code == 0, result.output
        too_long = [line for line in result.output.splitlines() if len(line) > 100 and "http" not in line]
        assert not too_long


def test_the_page_says_what_was_asked_for() -> None:
    text = run("--mails-per-day", "10M", "--peak", "5", "--mean-size", "40KB").output
    assert "10M mails a day" in text
    assert "Target for all: 15.00" in text
    assert "Target for compute: 0.10" in text
    assert "with the sender's own S3 PUT" in text
    assert text.count("halves it") == 3


def test_a_narrow_terminal_gets_narrow_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 75, 96):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = run("-n", "10K", "--compare", "--detail").output
        assert max(map(len, text.splitlines())) <= columns
        assert "with Spot" in text
    monkeypatch.setenv("COLUMNS", "60")
    assert "on demand  " not in run().output


def test_little_mail_is_told_that_it_pays_for_what_stands_there() -> None:
    words = " ".join(run("-n", "1K").output.split())
    least, whole = re.search(r"there without any mail: ([\d.]+) of ([\d.]+) USD a day", words).groups()
    assert 0.98 < float(least) / float(whole) <= 1
    assert "that many take 1,000 days to come" in words
    assert "an archive in a folder does the same on one machine" in words
    words = " ".join(run("-n", "500K").output.split())
    assert "Most of this is there without any mail" in words
    assert "archive in a folder" not in words
    assert "without any mail: 46" not in run("-n", "10M").output
    refused = run("-n", "10")
    assert "`mailloom ingest MAIL --archive DIR`" in str(refused.exception)


def test_json_has_the_same() -> None:
    found = json.loads(run("--json").output)
    assert found["usd_a_million"]["spot"] == pytest.approx(
        sum(line["usd"]["spot"] for line in found["lines"]) / found["demand"]["mails_per_day"] * 1e6
    )
    assert found["there"]["scaling"]["backlog_per_task"] > 0
    assert {one["setting"] for one in found["choices"]} > {"workers", "validator"}


def test_retention_by_store() -> None:
    found = json.loads(run("--retention", "search=7d, raw=1y", "--json").output)
    assert found["demand"]["retention"] == {"raw": 365, "postgres": 30, "search": 7, "dynamodb": 30, "parquet": 30}
    assert json.loads(run("--retention", "2w", "--json").output)["demand"]["retention"]["raw"] == 14


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-n", "10 m x"],
            "--mails-per-day '10 m x' is no number that can be planned with: write a count, such as 10M",
        ),
        (["-n", "-5"], "--mails-per-day '-5' is no number"),
        (["-n", "1e7"], "write a count, such as 10M (K, M or B may follow)"),
        (
            ["--mean-size", "40TB"],
            "--mean-size '40TB' is no number that can be planned with: write a size, such as 40KB",
        ),
        (["--mean-size", "1GB"], "not from 500 B to 50 MB"),
        (["--retention", "attic=3d"], "there is no store 'attic'; known are raw, postgres"),
        (["--retention", "raw=3d,raw=4d"], "names raw twice"),
        (["--retention", "raw="], "--retention raw '' is no number"),
        (["--peak", "0"], "a peak of 0 is not from 1"),
        (["--peak", "nan"], "a peak of nan is not from 1"),
        (["--warm-after", "30d"], "needs a retention of more than that in search"),
        (["--cap", "0.5"], "a cap of 0.5 is not from 1.05"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(words: list[str], said: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, PlanError)
    assert said in str(result.exception)


def test_three_days_are_drawn(tmp_path: Path) -> None:
    result = run("-n", "1M", "--plots", str(tmp_path / "plots"))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["a-day.svg", "burst.svg", "reclaim.svg"]
    (tmp_path / "file").write_text("")
    refused = run("-n", "1M", "--plots", str(tmp_path / "file" / "plots"))
    assert isinstance(refused.exception, PlanError)
    (tmp_path / "other" / "a-day.svg").mkdir(parents=True)
    refused = run("-n", "1M", "--plots", str(tmp_path / "other"))
    assert isinstance(refused.exception, PlanError)
    assert "a-day.svg can't be written: Is a directory" in str(refused.exception)


def test_quantities() -> None:
    assert count("2.5B", "n") == 2.5e9
    assert count("10m", "n") == 10e6
    assert size("40KB", "n") == 40_000
    assert size("1.5 MB", "n") == 1.5e6
    assert days("1y", "n") == 365
    assert days("30", "n") == 30
    assert [short(value) for value in (0.5, 12, 4_200, 10e6, 2.5e9)] == ["0.5", "12", "4.2K", "10M", "2.5B"]
    assert [gigabytes(value) for value in (8.4, 870, 1_730, 2.5e6)] == ["8.4 GB", "870 GB", "1.73 TB", "2.5 PB"]
    for text in ("", "K", "1.K", "1,000", "٣", "1K1", "9" * 19):
        with pytest.raises(PlanError):
            count(text, "n")
