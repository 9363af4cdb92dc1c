"""What AWS's errors mean: again later, or something that the owner can mend. Anything else is a bug of ours and goes up.

The codes are those of "Error responses" in the S3 API reference and "Common error types" in the references of the other services.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from mailloom.ports import Transient, UserError

_LATER = frozenset(
    [
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ServiceUnavailable",
        "InternalError",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
        "OverLimit",
        "KmsThrottled",
        "KMS.ThrottlingException",
        "OperationAborted",
        "ConditionalRequestConflict",
        "BandwidthLimitExceeded",
    ]
)
_CREDENTIALS = frozenset(
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "InvalidClientTokenId",
        "AuthFailure",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "IncompleteSignature",
        "RequestTimeTooSkewed",
    ]
)
_ALLOWED = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "KMS.AccessDeniedException",
        "KmsAccessDenied",
        "Forbidden",
        "403",
    ]
)
_MISSING = frozenset(
    [
        "NoSuchBucket",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "ResourceNotFoundException",
        "AWS.SimpleQueueService.QueueDoesNotExist",
    ]
)


def is_later(code: str) -> bool:
    """Whether the same call may do better in a moment."""
    return code in _LATER


def meaning(code: str, status: int, message: str, what: str) -> Exception | None:
    """A service's answer as one of the ports' errors; None where it is neither transient nor the owner's to mend."""
    if code in _LATER or status >= 500 or status == 429:
        return Transient(f"{what}: {code}: {message}")
    if code in _CREDENTIALS:
        return UserError(
            f"{what}: the credentials were not accepted ({code}: {message}): renew them, or check the clock"
        )
    if code == "InvalidObjectState":
        return UserError(f"{what}: an object is archived ({code}: {message}): restore it first (S3's RestoreObject)")
    if code.lower().startswith("kms") and code not in _ALLOWED:
        return UserError(f"{what}: its key can't be used ({code}: {message}): enable it, or undo its deletion")
    if code in _ALLOWED or status == 403:
        return UserError(f"{what}: access denied ({code}: {message}): let the role that this runs as use it")
    if code in _MISSING:
        return UserError(
            f"{what} does not exist ({code}): create it, or correct its name and region in the configuration"
        )
    return None


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of botocore inside, as ports.Transient or ports.UserError with `what` they were about; others as they are."""
    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        known = meaning(str(said.get("Code", "")), status, str(said.get("Message", "")), what)
        if known is None:
            raise
        raise known from error
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        raise UserError(f"{what}: {error}: set up AWS credentials and a region for this process") from error
    except (HTTPClientError, ConnectionError) as error:  # connections refused, cut or timed out
        raise Transient(f"{what}: {error}") from error
    except BotoCoreError as error:
        if "credential" in type(error).__name__.lower() or "token" in type(error).__name__.lower():
            raise UserError(f"{what}: {error}: renew the credentials") from error
        raise
