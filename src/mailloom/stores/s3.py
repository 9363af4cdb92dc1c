"""Objects of one S3 bucket. Implements ports.Blobs.

A worker reads one object a mail, and botocore's get_object costs 1.07 ms of CPU where all else of a mail costs about 3. So whole
objects are read without it (aws_sign.py, aws_http.py). Where requests go is learnt from the first one that botocore makes, so
that every way of addressing a bucket works.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from threading import Lock, get_ident
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError, fromstring

from botocore.exceptions import ClientError

from mailloom import obs
from mailloom.ports import Stat, Transient, UserError
from mailloom.stores.aws_errors import meaning, told
from mailloom.stores.aws_http import Http, UnreachableError
from mailloom.stores.aws_sign import EMPTY, Signer

DELETED_AT_ONCE = 1000  # DeleteObjects takes so many keys
COPY_BYTES = 5 << 30
"""The largest object that one CopyObject takes."""
CONFLICTS = 4  # tries at a key that somebody else is writing
# 404; a delete marker asked for by its version answers 405, a version id that never was 400.
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed", "405", "InvalidVersionId"})
_CHANGED = frozenset({"PreconditionFailed", "412"})


class S3Blobs:
    """`client` is a boto3 S3 client for the bucket; with `credentials` (a session's get_credentials(), which renew themselves)
    whole objects are read without botocore's overhead.
    """

    def __init__(self, client: Any, bucket: str, credentials: Any = None) -> None:
        self.client, self.bucket, self.credentials = client, bucket, credentials
        self.what = f"bucket {bucket}"
        self._reader: _Reader | None = None
        self._learning = Lock()

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        if self.credentials is None:
            return self._get(key, version, etag)
        if self._reader is None:
            with self._learning:
                if self._reader is None:
                    return self._learn(key, version, etag)
        return self._reader.read(key, version, etag)

    def _get(self, key: str, version: str, etag: str) -> bytes | None:
        asked = self._asked(key, version) | ({"IfMatch": f'"{etag}"'} if etag else {})
        with told(self.what):
            try:
                return bytes(self.client.get_object(**asked)["Body"].read())
            except ClientError as error:
                if _code(error) in _ABSENT | _CHANGED or _is_bad_version(error):
                    return None
                raise

    def _learn(self, key: str, version: str, etag: str) -> bytes | None:
        urls: list[str] = []
        place = ("before-send.s3.GetObject", _note(urls), f"mailloom-{id(self)}")
        self.client.meta.events.register(*place)
        try:
            data = self._get(key, version, etag)
        finally:
            self.client.meta.events.unregister(*place)
        path = _path(key)
        for url in urls:
            if urlsplit(url).path.endswith(path):
                self._reader = _Reader(url, path, self.client.meta.region_name, self.credentials, self.what)
        return data

    def beginning(self, key: str, length: int, version: str = "") -> tuple[bytes, Stat] | None:
        asked = self._asked(key, version)
        with told(self.what):
            try:
                answer = self.client.get_object(**asked, Range=f"bytes=0-{length - 1}")
                data = answer["Body"].read()
            except ClientError as error:
                if _code(error) in {"InvalidRange", "416"}:  # nothing is in the range: an empty object
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
    """GETs of whole objects over pooled connections."""

    def __init__(self, url: str, path: str, region: str, credentials: Any, what: str) -> None:
        parts = urlsplit(url)
        self.root = parts.path.removesuffix(path)
        self.signer = Signer(credentials, "s3", region)
        self.what = what
        self.http = Http(url)

    def read(self, key: str, version: str, etag: str) -> bytes | None:
        path, query = self.root + _path(key), f"versionId={quote(version, safe='')}" if version else ""
        headers = {"host": self.http.host, "x-amz-content-sha256": EMPTY}
        if etag:
            headers["if-match"] = f'"{etag}"'
        with told(self.what):
            headers = self.signer.sign("GET", path, headers, EMPTY, query)
        obs.count("requests", 1, store="s3")
        try:
            target = f"{path}?{query}" if query else path
            answer = self.http.request("GET", target, headers)
        except UnreachableError as error:
            raise Transient(f"{self.what}: {error}") from error
        if answer.status == 200:
            return answer.body
        code, message = _said(answer.body)
        if answer.status == 412 or (answer.status in {404, 405} and code != "NoSuchBucket"):
            return None
        if answer.status == 400 and "ersion" in message:
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
    """Code and message of an error's XML (or nothing, as a proxy's error page has none)."""
    try:
        root = fromstring(body)  # noqa: S314  what the service answered; expat bounds the growth of entities
    except ParseError:
        return "", ""
    return root.findtext("Code", ""), root.findtext("Message", "")


def _stat(key: str, size: int, answer: Mapping[str, Any]) -> Stat:
    version = str(answer.get("VersionId") or "")
    return Stat(
        key,
        size,
        str(answer.get("ETag", "")).strip('"'),
        "" if version == "null" else version,
        int(answer["LastModified"].timestamp() * 1000) if "LastModified" in answer else 0,
    )


def _written(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata travel as HTTP headers: ASCII, short; what is more is percent-encoded."""
    return {name: quote(value, safe=" !#$&'()*+,/:;=?@[]`-_.~|")[:1500] for name, value in (metadata or {}).items()}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_bad_version(error: ClientError) -> bool:
    """A version id that never was one."""
    said = error.response.get("Error", {})
    return said.get("Code") == "InvalidArgument" and "ersion" in str(said.get("Message", ""))
