"""A client for OpenSearch, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import WARNING, getLogger
from typing import Any

from mailloom.ports import Transient, UserError

TIMEOUT = 30.0  # seconds for one call: a bulk of 5 MB takes less than one, and a worker has other mail to do
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
BLOCKED = ("cluster_block_exception", "index_create_block_exception")
"""Errors, of status 403 some of them, of a cluster that lacks room for now: disks are full (OpenSearch lifts the block when they are not), or an
administrator closed something for a while.
"""


def connect(url: str, *, auth: object = None, timeout: float = TIMEOUT, compress: bool = False) -> Any:
    """An opensearchpy client. `auth` is None, (user, password) or a signer such as opensearchpy.Urllib3AWSV4SignerAuth.

    It tries nothing again by itself: the stores do, item by item, and above them who holds the batch. Raises UserError.
    """
    try:
        from opensearchpy import OpenSearch
    except ImportError:
        raise UserError('OpenSearch needs more packages: pip install "mailloom[aws]"') from None
    for logger in (
        "opensearch",
        "opensearchpy.trace",
    ):  # below this level they tell whole requests, which are mail's text
        getLogger(logger).setLevel(WARNING)
    try:
        return OpenSearch(hosts=[url], http_auth=auth, timeout=timeout, max_retries=0, http_compress=compress)
    except ValueError:  # its words may hold the address
        raise UserError("opensearch.url is no address as https://host:443") from None


@contextmanager
def told(what: str) -> Iterator[None]:
    """What a cluster may answer, in words: `what` says what was being done, to which index. Raises Transient and UserError; a
    request that OpenSearch doesn't understand is a bug and goes up.
    """
    from opensearchpy import exceptions

    try:
        yield
    except exceptions.SSLError as error:
        raise UserError(
            f"{what}: OpenSearch's certificate was refused ({error.error}): check its URL and CA"
        ) from error
    except exceptions.ConnectionError as error:
        raise Transient(f"{what}: OpenSearch does not answer ({type(error).__name__}: {error.error})") from error
    except exceptions.TransportError as error:
        status = int(error.status_code)
        if status in _BUSY or any(kind in str(error.error) for kind in BLOCKED):
            raise Transient(f"{what}: OpenSearch is busy or away ({status} {error.error})") from error
        if status in (401, 403):
            raise UserError(
                f"{what}: OpenSearch refuses these credentials ({status} {error.error}): check user or role, and what it may do"
            ) from error
        raise
