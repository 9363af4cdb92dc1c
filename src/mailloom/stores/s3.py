"""Objects of one S3 bucket. Implements ports.Blobs.

A worker reads one object a mail, and botocore's get_object costs 1.07 ms of CPU where all else of a mail costs about 3; a validator reads the
beginning of one. So these are read without it (aws_sign.py, aws_http.py). Where requests go is learnt from the first one that botocore makes, so
that every way of addressing a bucket works.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from threading import Lock, get_ident
from typing import Any
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import unescape

from botocore.exceptions import ClientError

from mailloom import obs
from mailloom.ports import Stat, Transient, UserError
from mailloom.stores.aws_errors import meaning, told
from mailloom.stores.aws_http import Answer, Http, UnreachableError
from mailloom.stores.aws_sign import EMPTY, Signer

DELETED_AT_ONCE = 1000  # DeleteObjects takes so many keys
COPY_BYTES = 5 << 30
"""The largest object that one CopyObject takes."""
EMPTY_RANGE = 416
"""The status where nothing is in the range that was asked for: an empty object."""
CONFLICTS = 4  # tries at a key that somebody else is writing
# A delete marker asked for by its version is a method that isn't allowed. Numbers are what botocore says where it finds no code: after a HEAD, or where
# the key in the answer holds what XML can't.
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405", "InvalidVersionId"})
_CODE, _MESSAGE = re.compile(rb"<Code>([\w.]{1,100})</Code>"), re.compile(rb"<Message>([^<]{1,1000})</Message>")
_CHANGED = frozenset({"PreconditionFailed", "412"})


class S3Blobs:
    """`client` is a boto3 S3 client for the bucket; with `credentials` (a session's get_credentials(), which renew themselves)
    objects and their beginnings are read without botocore's overhead.
    """

    def __init__(self, client: Any, bucket: str, credentials: Any = None) -> None:
        self.client, self.bucket, self.credentials = client, bucket, credentials
        self.what = f"bucket {bucket}"
        self._reader: _Reader | None = None
        self._learnt = False
        self._learning = Lock()

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        reader = self._direct(key, version)
        return self._get(key, version, etag) if reader is None else reader.read(key, version, etag)

    def _get(self, key: str, version: str, etag: str) -> bytes | None:
        asked = self._asked(key, version) | ({"IfMatch": f'"{etag}"'} if etag else {})
        with told(self.what):
            try:
                return bytes(self.client.get_object(**asked)["Body"].read())
            except ClientError as error:
                if _code(error) in _ABSENT | _CHANGED or _is_bad_version(error):
                    return None
                raise

    def _direct(self, key: str, version: str) -> _Reader | None:
        """What reads without botocore; None where botocore shall."""
        if self.credentials is None:
            return None
        if not self._learnt:
            with self._learning:
                if not self._learnt:
                    self._learn(key, version)
        return self._reader

    def _learn(self, key: str, version: str) -> None:
        """By a request for one byte, whatever comes of it: once for a bucket and process."""
        urls: list[str] = []
        place = ("before-send.s3.GetObject", _note(urls), f"mailloom-{id(self)}")
        self.client.meta.events.register(*place)
        try:
            self._beginning(key, 1, version)
        finally:
            self.client.meta.events.unregister(*place)
        path = _path(key)
        for url in urls:
            if urlsplit(url).path.endswith(path):
                self._reader = _Reader(url, path, self.client.meta.region_name, self.credentials, self.what)
        self._learnt = True

    def beginning(self, key: str, length: int, version: str = "") -> tuple[bytes, Stat] | None:
        reader = self._direct(key, version)
        if reader is None:
            return self._beginning(key, length, version)
        answer = reader.ask(key, version, {"range": f"bytes=0-{length - 1}"})
        if answer is not None and answer.status == EMPTY_RANGE:
            with told(self.what):
                return self._empty(self._asked(key, version), key)
        return None if answer is None else (answer.body, _told_stat(key, answer))

    def _beginning(self, key: str, length: int, version: str) -> tuple[bytes, Stat] | None:
        asked = self._asked(key, version)
        with told(self.what):
            try:
                answer = self.client.get_object(**asked, Range=f"bytes=0-{length - 1}")
                data = answer["Body"].read()
            except ClientError as error:
                if _code(error) in {"InvalidRange", str(EMPTY_RANGE)}:
                    return self._empty(asked, key)
                if _code(error) in _ABSENT or _is_bad_version(error):
                    return None
                raise
        size = int(answer.get("ContentRange", f"/{answer['ContentLength']}").rpartition("/")[2])
        return bytes(data), _stat(key, size, answer)

    def part(self, key: str, start: int, length: int, etag: str = "") -> bytes | None:
        asked = self._asked(key, "") | ({"IfMatch": f'"{etag}"'} if etag else {})
        with told(self.what):
            try:
                return bytes(
                    self.client.get_object(**asked, Range=f"bytes={start}-{start + length - 1}")["Body"].read()
                )
            except ClientError as error:
                if _code(error) in {"InvalidRange", "416"}:
                    return b""
                if _code(error) in _ABSENT | _CHANGED:
                    return None
                raise

    def _empty(self, asked: dict[str, str], key: str) -> tuple[bytes, Stat] | None:
        try:
            answer = self.client.head_object(**asked)
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise
        return b"", _stat(key, int(answer["ContentLength"]), answer)

    def put(self, key: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> bool:
        for attempt in range(CONFLICTS):
            with told(self.what):
                try:
                    self.client.put_object(
                        Bucket=self.bucket, Key=key, Body=data, Metadata=_written(metadata), IfNoneMatch="*"
                    )
                except ClientError as error:
                    if _code(error) in _CHANGED:
                        return False
                    if _code(error) == "ConditionalRequestConflict" and attempt + 1 < CONFLICTS:
                        continue  # another is writing that key now: it will be there at the next try
                    raise
            return True
        raise AssertionError("unreachable")

    def copy(self, key: str, to: str, version: str = "", *, metadata: Mapping[str, str] | None = None) -> bool:
        source = {"Bucket": self.bucket, "Key": key} | ({"VersionId": version} if version else {})
        more = {"Metadata": _written(metadata), "MetadataDirective": "REPLACE"} if metadata is not None else {}
        with told(self.what):
            try:
                self.client.copy_object(Bucket=self.bucket, Key=to, CopySource=source, **more)
            except ClientError as error:
                if _code(error) in _ABSENT or _is_bad_version(error):
                    return False
                raise
        return True

    def list(self, prefix: str, after: str = "") -> Iterator[Stat]:
        more: dict[str, str] = {"StartAfter": after} if after else {}
        while True:
            with told(self.what):
                page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **more)
            for entry in page.get("Contents", ()):
                yield _stat(entry["Key"], int(entry["Size"]), entry)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def current(self, prefix: str, after: str = "") -> Iterator[Stat]:
        # In every bucket: one that never kept versions answers with "null" for each, so nobody has to know which kind it is, or was a minute ago.
        more: dict[str, str] = {"KeyMarker": after} if after else {}
        last = after
        while True:
            page = self._versions(prefix, more)
            for entry in page.get("Versions", ()):
                # One version of a key is current, and none where a delete marker is. Not every service begins a page behind its markers.
                if entry["IsLatest"] and entry["Key"] != last:
                    last = entry["Key"]
                    yield _stat(last, int(entry["Size"]), entry)
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"]}
            if version := page.get("NextVersionIdMarker"):
                more["VersionIdMarker"] = version

    def _versions(self, prefix: str, more: Mapping[str, str]) -> dict[str, Any]:
        with told(self.what):
            try:
                return dict(self.client.list_object_versions(Bucket=self.bucket, Prefix=prefix, **more))
            except ClientError as error:
                if _code(error) != "AccessDenied":
                    raise
                # Never by a listing without versions instead: all mail that came by events would be entered a second time.
                raise UserError(
                    f"{self.what}: its versions may not be listed ({error.response['Error'].get('Message', '')}): "
                    "allow s3:ListBucketVersions besides s3:ListBucket to the role that this runs as"
                ) from error

    def delete(self, keys: Collection[str]) -> None:
        names = list(keys)
        for start in range(0, len(names), DELETED_AT_ONCE):
            some = [{"Key": name} for name in names[start : start + DELETED_AT_ONCE]]
            with told(self.what):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
            for failed in answer.get("Errors", ()):
                code, message = failed.get("Code", ""), failed.get("Message", "")
                raise meaning(code, 0, message, f"{self.what}, {failed.get('Key', '')}") or RuntimeError(
                    f"{self.what}: {failed.get('Key', '')} was not deleted: {code}: {message}"
                )

    def _asked(self, key: str, version: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": key} | ({"VersionId": version} if version else {})


class _Reader:
    """GETs over pooled connections."""

    def __init__(self, url: str, path: str, region: str, credentials: Any, what: str) -> None:
        parts = urlsplit(url)
        self.root = parts.path.removesuffix(path)
        self.signer = Signer(credentials, "s3", region)
        self.what = what
        self.http = Http(url)

    def read(self, key: str, version: str, etag: str) -> bytes | None:
        """The whole object, if it has that etag."""
        answer = self.ask(key, version, {"if-match": f'"{etag}"'} if etag else {})
        return None if answer is None else answer.body

    def ask(self, key: str, version: str, more: Mapping[str, str]) -> Answer | None:
        """What S3 answers with 200, 206 or EMPTY_RANGE; None where the object is not there, or not the one that is meant."""
        path, query = self.root + _path(key), f"versionId={quote(version, safe='')}" if version else ""
        headers = {"host": self.http.host, "x-amz-content-sha256": EMPTY, **more}
        with told(self.what):
            headers = self.signer.sign("GET", path, headers, EMPTY, query)
        obs.count("requests", 1, store="s3")
        try:
            target = f"{path}?{query}" if query else path
            answer = self.http.request("GET", target, headers)
        except UnreachableError as error:
            raise Transient(f"{self.what}: {error}") from error
        if answer.status in {200, 206, EMPTY_RANGE}:
            return answer
        code, message = _said(answer.body)
        # By the code: a page of a proxy, or an access point that is gone, says 404 too, and the mail is there.
        if answer.status == 412 or code in _ABSENT or _is_no_version(code, message):
            return None
        raise meaning(code, answer.status, message, self.what) or RuntimeError(
            f"{self.what}: status {answer.status} {code} for {key}: {message}"
        )


def _path(key: str) -> str:
    return "/" + quote(key, safe="/-_.~")


def _note(urls: list[str]) -> Any:
    """Notes where this thread's requests go. Those of others on the same client may be for another bucket, or a key that ends alike."""
    mine = get_ident()

    def note(request: Any, **_: object) -> None:
        if get_ident() == mine:
            urls.append(request.url)

    return note


def _said(body: bytes) -> tuple[str, str]:
    """Code and message of an error's XML, or nothing, as a proxy's error page has none. No parser: it repeats a key that XML may not hold."""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    return code[1].decode() if code else "", unescape(message[1].decode("utf-8", "replace")) if message else ""


def _stat(key: str, size: int, answer: Mapping[str, Any]) -> Stat:
    version = str(answer.get("VersionId") or "")
    return Stat(
        key,
        size,
        str(answer.get("ETag", "")).strip('"'),
        "" if version == "null" else version,
        int(answer["LastModified"].timestamp() * 1000) if "LastModified" in answer else 0,
    )


def _told_stat(key: str, answer: Answer) -> Stat:
    """The same of an answer to a GET, by a range or of all."""
    headers = answer.headers
    size = int(headers.get("content-range", f"/{len(answer.body)}").rpartition("/")[2])
    changed = headers.get("last-modified")
    told = {"VersionId": headers.get("x-amz-version-id"), "ETag": headers.get("etag", "")}
    return _stat(key, size, told | ({"LastModified": parsedate_to_datetime(changed)} if changed else {}))


def _written(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata travel as HTTP headers: ASCII, short; what is more is percent-encoded."""
    return {name: quote(value, safe=" !#$&'()*+,/:;=?@[]`-_.~|")[:1500] for name, value in (metadata or {}).items()}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_bad_version(error: ClientError) -> bool:
    return _is_no_version(_code(error), str(error.response.get("Error", {}).get("Message", "")))


def _is_no_version(code: str, message: str) -> bool:
    """A version id that never was one."""
    return code == "InvalidArgument" and "ersion" in message
