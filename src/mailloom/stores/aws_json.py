"""A boto3 client of a service that speaks JSON (DynamoDB, SQS, Firehose), some of whose calls go without boto3.

A worker makes one such call in two mails, and boto3 takes 1.5-2.5 ms of CPU for each, most of it for what is the same each time: rules of
endpoints, checks of parameters, hooks. Here a call is JSON, a signature, and a connection of our own. Arguments, answers and errors are boto3's,
so stores know nothing of it; what isn't asked for often stays with boto3.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from botocore.exceptions import ClientError, EndpointConnectionError

from mailloom.stores.aws_errors import is_later
from mailloom.stores.aws_http import ATTEMPTS, Answer, Http, UnreachableError
from mailloom.stores.aws_sign import Signer

OFTEN = {
    "dynamodb": ("batch_execute_statement", "batch_get_item"),
    "sqs": ("receive_message", "delete_message_batch", "send_message_batch", "change_message_visibility_batch"),
    "firehose": ("put_record_batch",),
}
"""Service -> calls that a worker makes for each batch. Their answers hold no times and no streams, which boto3 would turn into objects."""


class JsonClient:
    """`client` is boto3's, `credentials` its session's get_credentials(); `count` is called for each request."""

    def __init__(self, client: Any, credentials: Any, count: Callable[[], object] = lambda: None) -> None:
        self.client, self.count = client, count
        self.meta = client.meta
        model, config = client.meta.service_model, client.meta.config
        self.http = Http(client.meta.endpoint_url, connect=config.connect_timeout, read=config.read_timeout)
        self.signer = Signer(credentials, model.signing_name, client.meta.region_name)
        self.kind = f"application/x-amz-json-{model.metadata['jsonVersion']}"
        self.decode: Callable[[Any], Any] = _binary if model.service_name == "dynamodb" else _as_it_is
        for name in OFTEN[model.service_name]:
            operation = client.meta.method_to_api_mapping[name]
            setattr(self, name, partial(self._call, operation, f"{model.metadata['targetPrefix']}.{operation}"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def close(self) -> None:
        self.http.close()
        self.client.close()

    def _call(self, operation: str, target: str, **arguments: Any) -> dict[str, Any]:
        """Raises ClientError where the service refuses, EndpointConnectionError where it can't be reached."""
        body = orjson.dumps(arguments, default=_base64)
        digest = sha256(body).hexdigest()
        headers = {"content-type": self.kind, "host": self.http.host, "x-amz-target": target}
        attempt = 1
        while True:
            self.count()
            try:
                answer = self.http.request("POST", "/", self.signer.sign("POST", "/", headers, digest), body)
            except UnreachableError as error:
                raise EndpointConnectionError(endpoint_url=self.meta.endpoint_url, error=error) from error
            if answer.status == 200:
                found: dict[str, Any] = self.decode(orjson.loads(answer.body or b"{}"))
                return found
            refusal = _refusal(operation, answer)
            if answer.status >= 500 or attempt == ATTEMPTS or not is_later(refusal.response["Error"]["Code"]):
                raise refusal
            self.http.wait(attempt)
            attempt += 1


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(type(value).__name__)


def _as_it_is(value: Any) -> Any:
    return value


def _binary(value: Any) -> Any:
    """DynamoDB's values with those of type B as bytes."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(text := value.get("B"), str):
            return {"B": b64decode(text)}
        return {name: _binary(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_binary(one) for one in value]
    return value


def _refusal(operation: str, answer: Answer) -> ClientError:
    """The error as boto3 reads it: the code is what follows the name of the API in `__type`, or what a header says, where the service
    spoke another language before (SQS).
    """
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:  # a proxy's page
        said = {}
    said = said if isinstance(said, dict) else {}
    code = str(said.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
    code = answer.headers.get("x-amzn-query-error", "").partition(";")[0] or code.rpartition("#")[2].partition(":")[0]
    words = str(said.get("message") or said.get("Message") or "")
    return ClientError(
        {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": answer.status}}, operation
    )
