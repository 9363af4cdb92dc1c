"""Messages -> documents, by bulk. Implements ports.Sink.

A document's version is the transform's, so that a replay changes nothing and an older worker never overwrites a newer one's. What
a bulk refuses is dealt with mail by mail: what was only busy is sent again, a mail whose text can't be indexed is indexed without
it and reported, so that it never holds up the others.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import Row, Transient, UserError, Words
from mailloom.ports.scope import checked
from mailloom.schema import VERSION
from mailloom.stores.opensearch.client import BLOCKED, told
from mailloom.stores.opensearch.document import Document, document, key, without
from mailloom.stores.opensearch.layout import Names, check, month

CHUNK_BYTES = 5 << 20  # of one bulk: larger ones are not faster, and hold the heap of a node longer
CHUNK_COUNT = 1_000
ATTEMPTS = 6
_THIS_MAIL = frozenset({"mapper_parsing_exception", "illegal_argument_exception", "document_parsing_exception"})
"""Errors that lie in one document. Others of status 400 (too many shards, a closed index) lie in the cluster."""

Report = Callable[[MessageId, Sequence[str], str], None]
"""Message, the names of the fields that could not be indexed, OpenSearch's reason (which holds no text of the mail)."""


class Entry(NamedTuple):
    """One document on its way."""

    message: MessageId
    target: str
    made: Document
    lines: bytes


class _TooLargeError(Exception):
    """A request was larger than the cluster takes."""


def pause(attempt: int) -> None:
    """Wait before the next attempt: exponential, full jitter."""
    time.sleep(random.random() * min(10.0, 0.2 * 2.0**attempt))  # noqa: S311  no secret


def _quiet(message: MessageId, fields: Sequence[str], reason: str) -> None:
    """Nobody wants to know: the documents say it themselves, in left_out."""


def _all() -> str:
    """No month is too old."""
    return ""


class Index:
    """Writes one scope's messages. `version` is that of the transform that made them; `since` says which month is the first that search
    holds (layout.first): who works for weeks asks for each batch.
    """

    def __init__(
        self,
        client: Any,
        names: Names,
        scope: str = "",
        *,
        version: int = int(VERSION),
        report: Report = _quiet,
        since: Callable[[], str] = _all,
        pause: Callable[[int], None] = pause,
    ) -> None:
        self.client, self.names, self.scope, self.version = client, names, checked(scope), version
        self.report, self.since, self.pause = report, since, pause
        self.seen: set[str] = set()

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        """Index each message; searched after the next refresh. Raises Transient where some were refused until now: put the batch
        again, as writing twice is writing once. What is older than search holds is passed over.
        """
        since = self.since()
        entries = [
            self._entry(row.id, self.names.index(row.id), document(self.scope, row, words))
            for row, words, _ in rows
            if month(row.id) >= since
        ]
        for chunk in _chunks(entries):
            self._write(chunk)

    @property
    def whole(self) -> bool:
        """Search shall hold every message."""
        return not self.since()

    def wanted(self, messages: Collection[MessageId]) -> list[MessageId]:
        """Those of the messages that search shall hold."""
        since = self.since()
        return [message for message in messages if month(message) >= since]

    def refresh(self) -> None:
        """Let search see what was put."""
        with told(f"indices {self.names.template}-*"):
            self.client.indices.refresh(index=f"{self.names.template}-*")

    def held(self, messages: Collection[MessageId]) -> set[MessageId]:
        """Those of the messages that are in the index, refreshed or not."""
        docs = [{"_index": self.names.index(m), "_id": key(self.scope, m), "_source": False} for m in messages]
        if not docs:
            return set()
        with told(f"indices {self.names.template}-*"):
            found = self.client.mget(body={"docs": docs}, params={"filter_path": "docs._id,docs.found"})
        return {m for m, doc in zip(messages, found["docs"], strict=True) if doc.get("found")}

    # -------------------------------------------------------------------------------------------- writing
    def _expect(self, indices: Collection[str]) -> None:
        """The template is there, and each index that is written to. A write would make it as well; but a backfill brings mail of a
        hundred months in one batch, and one request that makes a hundred indices runs into its timeout.
        """
        from opensearchpy.exceptions import RequestError

        absent = set(indices) - self.seen
        if not absent:
            return
        check(self.client, self.names)
        with told(f"indices {self.names.template}-*"):
            absent -= set(self.client.indices.get_alias(index=f"{self.names.template}-*"))
        for name in sorted(absent):
            with told(f"index {name}"):
                try:
                    self.client.indices.create(index=name)
                except RequestError as error:
                    if error.error != "resource_already_exists_exception":
                        raise UserError(f"OpenSearch can't make the index {name}: {error}") from error
        self.seen.update(indices)

    def _entry(self, message: MessageId, index: str, made: Document) -> Entry:
        action = {
            "_index": index,
            "_id": key(self.scope, message),
            "version": self.version,
            "version_type": "external_gte",
        }
        lines = b"%b\n%b\n" % (orjson.dumps({"index": action}), orjson.dumps(made))
        return Entry(message, index, made, lines)

    def _write(self, entries: Sequence[Entry]) -> None:
        attempt = 0
        while entries:
            self._expect({entry.target for entry in entries})
            try:
                busy, refused = self._bulk(entries)
            except _TooLargeError as error:
                self._halve(entries, str(error))
                return
            again = [entry for entry, _ in busy] + [self._reduced(entry, reason) for entry, reason in refused]
            if busy:
                attempt += 1
                if attempt >= ATTEMPTS:
                    raise Transient(f"OpenSearch refused {len(busy)} of {len(entries)} mails for now: {busy[0][1]}")
                self.pause(attempt)
            entries = again

    def _halve(self, entries: Sequence[Entry], reason: str) -> None:
        """A request was too large: two smaller ones, down to one mail, which goes without its longest text."""
        if len(entries) == 1:
            self._write([self._reduced(entries[0], reason)])
            return
        middle = len(entries) // 2
        self._write(entries[:middle])
        self._write(entries[middle:])

    def _reduced(self, entry: Entry, reason: str) -> Entry:
        made = without(entry.made, reason)
        if made is None:
            raise UserError(f"OpenSearch takes no mail into {entry.target}: {reason}: check the index's mapping")
        self.report(entry.message, made["left_out"], reason)
        return self._entry(entry.message, entry.target, made)

    def _bulk(self, entries: Sequence[Entry]) -> tuple[list[tuple[Entry, str]], list[tuple[Entry, str]]]:
        """One request -> who is to be sent again, and who was refused, each with the reason."""
        from opensearchpy.exceptions import TransportError

        body = b"".join(entry.lines for entry in entries)
        params = {"filter_path": "errors,items.*.status,items.*.error.type,items.*.error.reason"}
        with told(f"bulk into {self.names.template}-*"):
            try:
                answer = self.client.bulk(body=body, params=params)
            except TransportError as error:
                if error.status_code != 413:
                    raise
                raise _TooLargeError("the request is larger than the cluster takes") from error
        busy, refused = [], []
        if answer["errors"]:
            for entry, item in zip(entries, answer["items"], strict=True):
                status, wrong = item["index"]["status"], item["index"].get("error")
                if wrong is None or status == 409:  # a newer version of it is there
                    continue
                kind, reason = wrong["type"], _reason(wrong)
                if (
                    kind == "index_not_found_exception"
                ):  # deleted since we saw it, in a cluster that makes none by itself
                    self.seen.discard(entry.target)
                    busy.append((entry, reason))
                elif status == 429 or status >= 500 or kind in BLOCKED:
                    busy.append((entry, reason))
                elif kind in _THIS_MAIL:
                    refused.append((entry, reason))
                else:
                    raise UserError(f"OpenSearch does not take mail into {entry.target}: {reason}")
        return busy, refused


_MAIL_FOLLOWS = re.compile(r"Preview of|The prefix of|For input string")


def _reason(error: dict[str, Any]) -> str:
    """What OpenSearch says, up to where it begins to cite the value: that is mail's text, and has no place in a log."""
    reason = _MAIL_FOLLOWS.split(str(error.get("reason", "")), maxsplit=1)[0].strip()
    return f"{error['type']}: {reason}"[:300]


def _chunks(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and (size + len(entry.lines) > CHUNK_BYTES or len(chunk) >= CHUNK_COUNT):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry.lines)
    if chunk:
        yield chunk
