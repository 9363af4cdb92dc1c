"""The commands of the server profile on real servers, all of them, from a folder of mail to the same digest as an archive in a folder."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from landing import Landing

from emf_schema import checked
from mailloom import obs
from mailloom.archive.doctor.servers import CHECKS
from mailloom.cli import group
from mailloom.obs.metrics import TABLE
from mailloom.ports import UserError
from mailloom.synth import generate, shape_of, write

pytestmark = pytest.mark.servers
MAILS = 60


@pytest.fixture
def run(
    aws_url: str,
    dynamodb_url: str,
    postgres_url: str,
    opensearch_url: str,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Any]]:
    """run("work", "--drain") with a profile `aws` in ./mailloom.toml, and a bucket whose events go to a queue."""
    landing = Landing(aws_url, prefix, tmp_path / "landing").make()
    queues = {role: landing.queue(role).url for role in ("events", "work", "large", "dead")}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mailloom.toml").write_text(
        f"""[profile.aws]
scope = "acme"
[profile.aws.aws]
region = "eu-central-1"
endpoint_url = "{aws_url}"
dynamodb_url = "{dynamodb_url}"
bucket = "{prefix}"
tables = "{prefix}-"
[profile.aws.aws.queues]
{"".join(f'{role} = "{url}"' + chr(10) for role, url in queues.items())}
[profile.aws.postgres]
dsn = "env:PG"
years_back = 1
[profile.aws.opensearch]
url = "{opensearch_url}"
prefix = "{prefix}"
[profile.aws.valkey]
url = "{valkey_url}"
[profile.aws.worker]
batch_seconds = 0.2
[profile.local]
archive = "folder"
"""
    )
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PG": postgres_url, "COLUMNS": "120"}

    def do(*words: str, code: int = 0, **environ: str) -> Any:
        env = {**keys, **environ}
        result = CliRunner(env=env).invoke(group, list(words), catch_exceptions=False, standalone_mode=False)
        assert (result.return_value or result.exit_code) == code, result.output
        return result

    yield do
    obs.close()


def rows(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_same_commands_give_the_same_archive(
    run: Callable[..., Any], tmp_path: Path, opensearch_url: str, prefix: str
) -> None:
    write(tmp_path / "synth", generate(MAILS, 3, shape_of("size=1KB,again=0.1,late=0.2,lost=0.1")), "eml")
    mail = str(tmp_path / "synth" / "mail")
    aws = ("--profile", "aws")
    with pytest.raises(UserError, match="mailloom migrate"):
        run("work", "--drain", *aws)
    assert "partitions" in run("migrate", *aws).stdout
    assert run("migrate", *aws).stdout == "all is up to date\n"
    uploaded = rows(run("ingest", mail, "--json", *aws))[0]
    mails = uploaded["uploaded"]
    assert mails > MAILS / 2
    assert f"queued {mails}" in run("validate", "--drain", *aws).stdout
    told = run("work", "--drain", "--json", *aws, MAILLOOM_OBS_EMF="true")
    (done,) = [row for row in rows(told) if "_aws" not in row]
    assert (done["received"], done["stored"] + done.get("duplicate", 0)) == (mails, mails)
    emf = [checked(line) for line in told.stdout.splitlines() if '"_aws"' in line]
    counted = {m["Name"] for line in emf for d in line["_aws"]["CloudWatchMetrics"] for m in d["Metrics"]}
    assert (
        {"requests", "units", "cache", "queue_depth", "queue_held", "mails", "stored_latency"}
        <= counted
        <= TABLE.keys()
    )
    assert "looked" in run("settle", *aws).stdout
    run("ingest", mail, "--quiet")
    run("ingest", mail, "--quiet")
    digest = {profile: rows(run("digest", "--json", "--profile", profile)) for profile in ("aws", "local")}
    assert digest["aws"] == digest["local"]
    from mailloom.archive import open_archive

    with open_archive(tmp_path / "folder") as archive:
        first = next(archive.records())
    for words in (["thread", first.message.message_id, "--json"], ["show", first.message.message_id, "--json"]):
        told, expected = rows(run(*words, *aws)), rows(run(*words))
        for row in (*told, *expected):
            row.pop("copies", None)  # they came from elsewhere, at another time
        assert told == expected
    run("where", first.message.message_id, *aws)
    assert "landed" in run("where", first.message.message_id, *aws).stdout
    # New mail is found after the next refresh; here it is asked for.
    urllib.request.urlopen(urllib.request.Request(f"{opensearch_url}/{prefix}-*/_refresh", method="POST")).close()
    for words in (["search", "subject:re", "--count"], ["export", "threads"], ["export", "people"]):
        assert run(*words, *aws).stdout == run(*words).stdout
    for place in ("in:raw", "in:source=mail", f"in:{prefix}"):  # where its object lies
        assert run("search", place, "--count", *aws).stdout == run("search", "--count").stdout
    assert rows(run("explain", first.message.message_id, "--json", *aws))
    counted, expected = (rows(run("stats", "--json", *more))[0] for more in (aws, ()))
    for one in (counted, expected):
        one.pop("disk")
        one["deliveries"] = sum(one["deliveries"].values())
    assert counted == expected
    assert " in PostgreSQL" in run("stats", *aws).stdout
    with pytest.raises(UserError, match=r"psql -h 127\.0\.0\.1 -p \d+ -d \w+ -c"):
        run("sql", "select 1", *aws)
    told = run("duplicates", *aws)
    assert told.stdout.splitlines()[:4] == run("duplicates").stdout.splitlines()[:4]
    assert "near duplicates are not looked for on servers" in told.stderr
    with pytest.raises(UserError, match="near duplicates are not looked for on servers"):
        run("duplicates", "--kind", "near", *aws)
    assert rows(run("export", "duplicates", *aws)) == [
        row for row in rows(run("export", "duplicates")) if row["kind"] != "near"
    ]
    sound = run("doctor", "--deep", *aws, MAILLOOM_OBS_EMF="true")
    assert "profile aws is sound" in sound.stdout
    assert (
        "_aws" not in sound.stdout
    )  # what was asked for; the figures are on the other stream, in the same log of a container
    figures = [checked(line) for line in sound.stderr.splitlines() if '"faults"' in line]
    assert {line["check"]: line["faults"] for line in figures} == dict.fromkeys(CHECKS, 0)
    assert run("show", first.message.message_id, "--raw", *aws).stdout_bytes


def test_another_scope_sees_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(b"From: ann@example.org\nSubject: tulips\nMessage-ID: <1@example.org>\n\nhi\n")
    aws = ("--profile", "aws")
    run("migrate", *aws)
    run("ingest", "one.eml", *aws)
    run("validate", "--drain", *aws)
    run("work", "--drain", *aws)
    assert rows(run("export", "messages", *aws))[0]["subject"] == "tulips"
    assert run("export", "messages", *aws, MAILLOOM_SCOPE="other").stdout == ""
    assert run("dead", "list", *aws).stderr.startswith("no dead letters")


def test_lambdas_handlers_work_on_the_profile(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    """As Lambda calls them: messages of SQS in, the failed ones out. One trace id goes along."""
    from mailloom.config import load
    from mailloom.wire.profile import open_servers

    (tmp_path / "one.eml").write_bytes(b"From: ann@example.org\nSubject: tulips\nMessage-ID: <1@example.org>\n\nhi\n")
    (tmp_path / "two.eml").write_bytes(b"From: bo@example.org\nSubject: roses\nMessage-ID: <2@example.org>\n\nhi\n")
    aws = ("--profile", "aws")
    run("migrate", *aws)
    run("ingest", "one.eml", "two.eml", *aws)
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("PG", postgres_url)):
        monkeypatch.setenv(name, value)
    from mailloom.run import aws_lambda

    made: list[Any] = []

    def kept(settings: Any, environ: Any = os.environ) -> Any:
        made.append(open_servers(settings, environ))
        return made[-1]

    monkeypatch.setattr("mailloom.wire.profile.open_servers", kept)
    aws_lambda.provide(lambda: aws_lambda.from_settings(os.environ))
    servers = open_servers(load("aws", None, {"PG": postgres_url}, tmp_path).settings)

    def called(handler: Any, queue: str) -> Any:
        messages: list[Any] = []
        while len(messages) < 2 and (some := servers.queue(queue).receive(10, 2)):
            messages += some
        records = [
            {
                "messageId": one.id,
                "body": one.body,
                "attributes": {"SentTimestamp": str(one.sent), "ApproximateReceiveCount": str(one.attempts)},
                "messageAttributes": {},
            }
            for one in messages
        ]
        assert len(records) == 2
        return handler({"Records": [*records, {**records[0], "messageId": "bad", "body": "no pointer"}]}, None)

    assert called(aws_lambda.validate, "events") == {"batchItemFailures": []}
    assert called(aws_lambda.work, "work") == {"batchItemFailures": []}
    assert servers.queue("dead").depth()[0] == 2
    assert {books.stored for books in servers.objects.books().values()} == {2}
    for name in ("1@example.org", "2@example.org"):
        assert name in run("show", name, "--json", *aws).stdout
    for one in (servers, *made):
        one.close()


def test_threads_are_put_right_by_hand(run: Callable[..., Any], tmp_path: Path) -> None:
    """A split, a join and taking them back: as in a folder."""
    for n, cites in ((1, ""), (2, "In-Reply-To: <1@example.org>\n"), (3, "In-Reply-To: <2@example.org>\n")):
        head = f"From: ann@example.org\nDate: Tue, 5 Mar 2024 10:0{n}:00 +0000\nSubject: tulips\nMessage-ID: <{n}@example.org>\n"
        (tmp_path / f"{n}.eml").write_text(f"{head}{cites}\nhi {n}\n")
    aws, mails = ("--profile", "aws"), ("1.eml", "2.eml", "3.eml")
    run("migrate", *aws)
    run("ingest", *mails, *aws)
    run("validate", "--drain", *aws)
    run("work", "--drain", *aws)
    run("ingest", *mails, "--quiet")

    def members(number: int) -> list[list[str]]:
        shown = [rows(run("thread", f"{number}@example.org", "--json", *profile)) for profile in (aws, ())]
        return [sorted(row["message_id"] for row in lines) for lines in shown]

    assert members(1) == [["1@example.org", "2@example.org", "3@example.org"]] * 2
    for profile in (aws, ()):
        assert rows(run("thread", "2@example.org", "--split", "--json", *profile))[0]["number"] == 1
    assert members(1) == [["1@example.org"]] * 2
    assert members(3) == [["2@example.org", "3@example.org"]] * 2
    for profile in (aws, ()):
        run("thread", "--undo", "1", *profile)
    assert members(1) == [["1@example.org", "2@example.org", "3@example.org"]] * 2
    digest = [rows(run("digest", "--json", *profile)) for profile in (aws, ())]
    assert digest[0] == digest[1]
    assert len(run("thread", "--edits", *aws).stdout.splitlines()) == 1
