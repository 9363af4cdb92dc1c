"""A Secret's text, found as late as possible: nothing that is printed or logged on the way holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailloom.config.settings import Secret
from mailloom.ports.errors import Transient, UserError


def resolve(secret: Secret, environ: Mapping[str, str], client: Callable[[], Any]) -> str:
    """The text that a secret stands for. `client` makes boto3's client of Secrets Manager, only where one is needed.

    Raises UserError where it isn't there or can't be read, Transient where the service is away.
    """
    kind, _, rest = secret.reveal().partition(":")
    if kind == "env":
        if not (text := environ.get(rest)):
            raise UserError(f"the variable {rest} is named by {secret} and is not set")
        return text
    if kind == "secretsmanager":
        name, mark, key = rest.partition("#")
        return _member(_fetched(name, client()), key, secret) if mark else _fetched(name, client())
    return secret.reveal()


def _member(text: str, key: str, secret: Secret) -> str:
    import json

    try:
        value = json.loads(text)[key]
    except (ValueError, LookupError, TypeError):
        raise UserError(f"{secret}: the secret is no JSON object with the key {key!r}") from None
    return str(value)


def _fetched(name: str, client: Any) -> str:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        text: str | None = client.get_secret_value(SecretId=name).get("SecretString")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or "Throttling" in code or code == "InternalServiceError":
            raise Transient(f"Secrets Manager answers {code} for {name}") from None
        raise UserError(
            f"Secrets Manager answers {code} for {name}: check its name, the region and the role's rights"
        ) from None
    except NoCredentialsError:
        raise UserError(
            f"no AWS credentials to read the secret {name}: set a role, AWS_PROFILE or AWS_ACCESS_KEY_ID"
        ) from None
    except BotoCoreError as error:
        raise Transient(f"Secrets Manager can't be reached for {name}: {type(error).__name__}") from None
    if text is None:
        raise UserError(f"the secret {name} is binary: Mailloom takes texts")
    return text
