"""Messages -> Data Firehose, which writes them to S3 as Parquet for Athena: the analysts' copy on servers. Implements ports.Sink.

A record is the JSON of the embedded archive's Parquet row (schema.arrow_line) and the columns of EXTRA. Firehose delivers at least
once, and a replay sends again: `view_sql` gives the view that has each message once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from mailloom import obs
from mailloom.ports import Row, Transient, UserError, Words
from mailloom.schema import VERSION, arrow_line, arrow_schema, unpack

if TYPE_CHECKING:
    import pyarrow as pa

# Quotas of PutRecordBatch (Amazon Data Firehose developer guide, "Quota"), as decimal numbers, to be on the safe side of both readings.
BATCH_RECORDS, BATCH_BYTES, RECORD_BYTES = 500, 4_000_000, 1_000_000
WHOLE_BYTES = 900_000  # a larger record goes without its longest columns: what is added may not bring it over the quota
ATTEMPTS = 6
WINDOW = (1980, 2040)
"""Years that get a partition a month, as in the embedded archive; the rest is in "other"."""
OTHER = "other"

EXTRA = {"scope": "text", "version": "int", "left_out": "texts", "pointer": "text"}
"""Columns beside those of the embedded Parquet: the scope, the transform's version, which columns were too large and are empty
here, and where the whole mail is then."""
PARTITION = "month"
"""Of every record, and no column: Firehose's dynamic partitioning makes it a folder, month=2024-03/ (as a query: {month:.month})."""

_BUSY = frozenset({"ThrottlingException", "ServiceUnavailableException", "LimitExceededException", "RequestTimeout", "SlowDown"})  # fmt: skip
_REFUSED = frozenset({
    "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
    "InvalidClientTokenId", "MissingAuthenticationToken", "InvalidKMSResourceException",
})  # fmt: skip

_KEPT = frozenset({"id", "content_hash", "twin", "scope", "left_out", "pointer", PARTITION})


def pause(attempt: int) -> None:
    """Wait before the next attempt: exponential, full jitter."""
    time.sleep(random.random() * min(10.0, 0.2 * 2.0**attempt))  # noqa: S311  no secret


class Firehose:
    """Sends one scope's messages to a delivery stream. `client` is boto3's, of the service firehose."""

    def __init__(
        self,
        client: Any,
        stream: str,
        scope: str = "",
        *,
        version: int = int(VERSION),
        pause: Callable[[int], None] = pause,
    ) -> None:
        self.client, self.stream, self.scope = client, stream, scope
        self.version, self.pause = version, pause

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        """Send each message. Raises Transient where some were not taken until now: put the batch again."""
        for chunk in _chunks([self._record(row) for row, _, _ in rows]):
            self._send(chunk)

    def _record(self, row: Row) -> bytes:
        extra = {"scope": self.scope, "version": self.version, "left_out": [], "pointer": "", PARTITION: _month(row)}
        line = _joined(arrow_line(unpack(row.body)), extra)
        if len(line) <= WHOLE_BYTES:
            return line
        obs.count("reduced", 1, store="firehose")
        return _lightened(line, row.raw)

    def _send(self, records: Sequence[bytes]) -> None:
        attempt = 0
        while True:
            with _told(self.stream):
                answer = self.client.put_record_batch(
                    DeliveryStreamName=self.stream, Records=[{"Data": record} for record in records]
                )
            if not answer["FailedPutCount"]:
                return
            results = answer["RequestResponses"]
            records = [r for r, result in zip(records, results, strict=True) if result.get("ErrorCode")]
            why = next(result["ErrorCode"] for result in results if result.get("ErrorCode"))
            attempt += 1
            if attempt >= ATTEMPTS:
                raise Transient(f"Firehose {self.stream} did not take {len(records)} mails for now: {why}")
            self.pause(attempt)


def _month(row: Row) -> str:
    ms = int.from_bytes(row.id[:6], "big")
    if row.id[:6] == b"\xff" * 6:
        return OTHER
    date = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{date:%Y-%m}" if WINDOW[0] <= date.year < WINDOW[1] else OTHER


def _joined(line: bytes, extra: dict[str, Any]) -> bytes:
    return line[:-1] + b"," + orjson.dumps(extra)[1:]


def _lightened(line: bytes, pointer: str) -> bytes:
    """The record without its largest columns, as many as need be: they are empty, and named."""
    record = orjson.loads(line)
    sizes = {
        name: len(orjson.dumps(value))
        for name, value in record.items()
        if isinstance(value, str | list) and name not in _KEPT
    }
    record["pointer"] = pointer
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        record[name] = type(record[name])()
        record["left_out"].append(name)
        line = orjson.dumps(record)
        if len(line) <= WHOLE_BYTES:
            break
    return line


def _chunks(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for record in records:
        if chunk and (size + len(record) > BATCH_BYTES or len(chunk) >= BATCH_RECORDS):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += len(record)
    if chunk:
        yield chunk


@contextmanager
def _told(stream: str) -> Iterator[None]:
    """What AWS may answer, in words. Raises Transient and UserError; anything else is a bug and goes up."""
    from botocore import exceptions

    try:
        yield
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise Transient(f"Firehose {stream} does not answer ({type(error).__name__})") from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.TokenRetrievalError) as error:
        raise UserError(f"no credentials for Firehose {stream}: {error}") from error
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _BUSY or status >= 500 or status == 429:
            raise Transient(f"Firehose {stream} is busy or away ({code})") from error
        if code == "ResourceNotFoundException":
            raise UserError(
                f"there is no Firehose stream {stream}: make it, or name another in the configuration"
            ) from error
        if code in _REFUSED or status in (401, 403):
            raise UserError(f"Firehose {stream} refuses these credentials ({code}): check the role's rights") from error
        raise


# ------------------------------------------------------------------------------------------------ the table
def columns() -> pa.Schema:
    """The Parquet files' schema: that of the embedded archive's, and EXTRA."""
    import pyarrow as pa

    kinds = {"text": pa.string(), "int": pa.int32(), "texts": pa.list_(pa.string())}
    fields = [*arrow_schema(), *(pa.field(name, kinds[kind]) for name, kind in EXTRA.items())]
    return pa.schema(fields)


def glue_columns() -> list[dict[str, str]]:
    """The Glue table's columns, as CreateTable and CloudFormation take them: {"Name", "Type"} each."""
    return [{"Name": field.name, "Type": glue_type(field.type)} for field in columns()]


def glue_type(kind: pa.DataType) -> str:
    """An Arrow type in Hive's words. Raises ValueError for one that no column has."""
    import pyarrow as pa

    plain = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint", pa.bool_(): "boolean"}
    if kind in plain:
        return plain[kind]
    if pa.types.is_list(kind):
        return f"array<{glue_type(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{glue_type(field.type)}' for field in kind)}>"
    raise ValueError(f"no Glue type for {kind}")


def view_sql(table: str, view: str) -> str:
    """SQL for Athena: a view with each message once, as the newest version of the transform made it. Names may have a database
    before a dot.
    """
    names = ", ".join(f'"{name}"' for name in [*columns().names, PARTITION])
    return f"""create or replace view {_quoted(view)} as
select {names}
from (
  select {names}, row_number() over (partition by "scope", "id" order by "version" desc) as "copy_number"
  from {_quoted(table)}
)
where "copy_number" = 1"""  # noqa: S608  names of columns, and the operator's


def _quoted(name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))
