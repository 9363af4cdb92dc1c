"""Firehose: what arrives is what the embedded archive's Parquet has, once each, whatever fails on the way."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
import pytest
from botocore.credentials import Credentials

from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import Sealed, seal, transform
from mailloom.mail.model import Origin
from mailloom.ports import Transient, UserError
from mailloom.schema import arrow_schema
from mailloom.stores import firehose as module
from mailloom.stores.aws_json import JsonClient
from mailloom.stores.firehose import ATTEMPTS, Firehose, columns, glue_columns, glue_type, view_sql
from mailloom.synth import generate
from mailloom.wire import open_for_writing

Entry = tuple[Any, Any, Any]


def sealed(raw: bytes, number: int = 0) -> Sealed:
    return seal(transform(raw, Origin("/mail", f"{number}.eml", 0, len(raw), len(raw), 0)))


def entries(raws: Sequence[bytes]) -> list[Entry]:
    return [(s.row, s.words, s.people) for s in (sealed(raw, n) for n, raw in enumerate(raws))]


def mail(number: int, body: str = "text", headers: str = "") -> bytes:
    date = f"Date: Mon, 4 Mar 2024 09:{number % 60:02}:00 +0000\n"
    return f"From: a@example.org\n{date}Message-ID: <{number}@example.org>\n{headers}\n{body}\n".encode()


def at_once(_: int) -> None:
    """No wait."""


class Stream:
    """A client that keeps what it is sent, and fails as told: the share of records that are refused."""

    def __init__(self, failing: float = 0.0) -> None:
        self.failing, self.dice, self.calls = failing, Random(2), []  # type: ignore[var-annotated]
        self.kept: list[bytes] = []

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:
        self.calls.append([len(record["Data"]) for record in Records])
        results = []
        for record in Records:
            if self.dice.random() < self.failing:
                results.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self.kept.append(record["Data"])
                results.append({"RecordId": "1"})
        return {"FailedPutCount": sum("ErrorCode" in r for r in results), "RequestResponses": results}


def table(lines: Sequence[bytes]) -> pa.Table:
    """As Firehose's conversion does with a Glue table: fields that the table has no column for are left away."""
    options = pyarrow.json.ParseOptions(explicit_schema=columns(), unexpected_field_behavior="ignore")
    reading = pyarrow.json.ReadOptions(block_size=1 << 26)
    return pyarrow.json.read_json(pa.BufferReader(b"\n".join(lines)), reading, options).select(columns().names)


# ------------------------------------------------------------------------------------------------ real delivery
@pytest.mark.servers
def test_what_arrives_is_what_the_embedded_archive_has(boto: Callable[[str], Any], prefix: str, tmp_path: Path) -> None:
    s3, client = boto("s3"), boto("firehose")
    s3.create_bucket(Bucket=prefix, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    where = {"RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": f"arn:aws:s3:::{prefix}"}
    client.create_delivery_stream(DeliveryStreamName=prefix, ExtendedS3DestinationConfiguration=where)
    rows = entries([posted.raw for posted in generate(120, 3)])
    stream = Firehose(JsonClient(client, Credentials("test", "test")), prefix)
    stream.put(rows[:70])
    stream.put(rows[50:])  # a replay of some
    keys = [
        one["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=prefix)
        for one in page.get("Contents", ())
    ]
    arrived = table([s3.get_object(Bucket=prefix, Key=key)["Body"].read().strip() for key in keys])
    assert arrived.num_rows == 140
    pyarrow.parquet.write_table(
        arrived.append_column("month", pa.array(["2024-01"] * 140)), tmp_path / "delivered.parquet"
    )

    with open_for_writing(tmp_path / "archive") as stores:
        with stores.unit():
            commit([Arrived(sealed(posted.raw, n), 0, 0) for n, posted in enumerate(generate(120, 3))], (), stores)
        stores.copy()
    embedded = pyarrow.parquet.read_table(tmp_path / "archive" / "messages", partitioning=None, schema=arrow_schema())

    with duckdb.connect() as db:
        db.execute(f"create table messages as from '{tmp_path}/delivered.parquet'")
        db.execute(view_sql("main.messages", "main.mails"))
        names = ", ".join(f'"{name}"' for name in arrow_schema().names)
        once = db.sql(f"select {names} from mails order by id").to_arrow_table().cast(arrow_schema())
        assert db.execute("select count(*), count(distinct id) from mails").fetchone() == (once.num_rows, once.num_rows)
    assert once.equals(embedded.select(arrow_schema().names).sort_by("id"))


@pytest.mark.servers
def test_a_stream_that_is_not_there_and_an_endpoint_that_does_not_answer(
    boto: Callable[[str], Any], prefix: str
) -> None:
    import boto3
    from botocore.config import Config

    with pytest.raises(UserError, match=f"no Firehose stream {prefix}"):
        Firehose(boto("firehose"), prefix).put(entries([mail(1)]))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-central-1")
        client = session.client("firehose", endpoint_url=url, config=Config(retries={"max_attempts": 1}))
        with pytest.raises(Transient, match="does not answer"):
            Firehose(client, prefix).put(entries([mail(1)]))
        client.close()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, Transient), ("ServiceUnavailableException", 503, Transient), ("InternalFailure", 500, Transient),
        ("AccessDeniedException", 400, UserError), ("ExpiredTokenException", 400, UserError), ("InvalidArgumentException", 400, Exception),
    ],
)  # fmt: skip
def test_what_aws_answers(code: str, status: int, error: type[Exception]) -> None:
    from botocore.exceptions import ClientError

    class Refusing:
        def put_record_batch(self, **_: object) -> None:
            raise ClientError(
                {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecordBatch"
            )  # type: ignore[typeddict-item]

    with pytest.raises(error) as caught:
        Firehose(Refusing(), "s").put(entries([mail(1)]))
    assert caught.type is (ClientError if error is Exception else error)


# ------------------------------------------------------------------------------------------------ batches and failures
def test_only_what_failed_is_sent_again() -> None:
    stream, waits = Stream(0.25), []  # type: ignore[var-annotated]
    rows = entries([mail(n) for n in range(700)])
    Firehose(stream, "s", pause=waits.append).put(rows)
    assert len({json.loads(line)["id"] for line in stream.kept}) == len(stream.kept) == 700
    assert max(map(len, stream.calls)) <= 500
    assert sum(map(len, stream.calls)) < 1000


def test_what_is_never_taken_is_transient() -> None:
    stream, waits = Stream(1.0), []  # type: ignore[var-annotated]
    with pytest.raises(Transient, match="2 mails for now: ServiceUnavailableException"):
        Firehose(stream, "s", pause=waits.append).put(entries([mail(1), mail(2)]))
    assert len(stream.calls) == ATTEMPTS == len(waits) + 1


def test_requests_stay_below_the_quotas() -> None:
    stream = Stream()
    Firehose(stream, "s").put(entries([mail(n, "word " * 40_000) for n in range(30)]))
    assert len(stream.kept) == 30
    assert len(stream.calls) > 1
    assert max(map(sum, stream.calls)) <= 4_000_000


@pytest.mark.parametrize(
    ("raw", "left_out"),
    [
        (mail(1, "word " * 60_000), []),
        (mail(1, "word " * 300_000), ["text", "reply_text"]),
        (mail(1, "\u0001" * 2_000_000), None),
        (mail(1, "\n".join(f"> quote {n}\nanswer {n}" for n in range(60_000))), None),
        (mail(1, "x", "To: " + ", ".join(f"person{n}@example.org" for n in range(30_000)) + "\n"), None),
        (mail(1, "x", "Subject: " + "long " * 400_000 + "\n"), None),
    ],
)
def test_what_is_too_large_goes_as_a_pointer(raw: bytes, left_out: list[str] | None) -> None:
    stream, where = Stream(), "s3://raw/key#1"
    rows = [(row._replace(raw=where), *more) for row, *more in entries([raw, mail(2)])]
    Firehose(stream, "s", "case").put(rows)
    records = [json.loads(line) for line in stream.kept]
    assert max(map(len, stream.kept)) <= module.RECORD_BYTES
    assert all(b"\n" not in line for line in stream.kept)
    large, small = records
    if left_out is not None:
        assert sorted(large["left_out"]) == sorted(left_out)
    assert large["pointer"] == (where if large["left_out"] else "")
    assert all(not large[name] for name in large["left_out"])
    assert (small["left_out"], small["pointer"], small["scope"], small["month"]) == ([], "", "case", "2024-03")
    assert large["id"]
    assert large["scope"] == "case"
    assert table(stream.kept).num_rows == 2


def test_the_newest_version_is_in_the_view() -> None:
    stream = Stream()
    for version, scope in ((3, ""), (2, ""), (3, ""), (1, "other")):
        Firehose(stream, "s", scope, version=version).put(entries([mail(1)]))
    assert table(stream.kept).num_rows == 4
    with duckdb.connect() as db:
        db.register("arrived", table(stream.kept).append_column("month", pa.array(["2024-03"] * 4)))
        db.execute("create table messages as from arrived")
        db.execute(view_sql("messages", "mails"))
        assert db.execute("select scope, version from mails order by 1").fetchall() == [("", 3), ("other", 1)]


# ------------------------------------------------------------------------------------------------ the table
def arrow_type(text: str) -> pa.DataType:
    """Hive's words -> an Arrow type: the way back, written apart."""
    plain = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "boolean": pa.bool_()}
    if text in plain:
        return plain[text]
    kind, inner = text[: text.index("<")], text[text.index("<") + 1 : -1]
    if kind == "array":
        return pa.list_(arrow_type(inner))
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(inner + ","):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            parts.append(inner[start:at].split(":", 1))
            start = at + 1
    return pa.struct([(name, arrow_type(kind)) for name, kind in parts])


def test_glue_columns_are_the_parquet_schema() -> None:
    made = pa.schema([(column["Name"], arrow_type(column["Type"])) for column in glue_columns()])
    assert made == columns()
    assert made.names[: len(arrow_schema())] == arrow_schema().names
    assert {"string", "bigint", "int", "array<string>"} <= {column["Type"] for column in glue_columns()}
    assert "boolean" in json.dumps(glue_columns())
    assert all(column["Name"] == column["Name"].lower() for column in glue_columns())


def test_a_type_that_no_column_has_is_said() -> None:
    with pytest.raises(ValueError, match="float"):
        glue_type(pa.float32())
