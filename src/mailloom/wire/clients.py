"""Settings -> ready-made clients of servers, each made once, when it is first asked for. Secrets are read here and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from threading import RLock
from typing import Any

from mailloom.config import Secret, Settings, resolve
from mailloom.ports import UserError

CONNECT_S, READ_S = 5, 60  # a long poll of SQS takes 20 s
ATTEMPTS = 3
"""Of boto3 itself, for what is gone in a moment; above it stores and runners have their own patience."""


class Clients:
    """`environ` is where references as env:NAME are looked up. Safe from any thread: boto3 makes clients of one session in one thread only,
    and a worker's readers all ask for theirs at once.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings, self.environ = settings, environ
        self._made: dict[str, Any] = {}
        self._making = RLock()  # again by the same thread: a secret in Secrets Manager needs a client for itself
        self.requests: Counter[str] = Counter()
        """To AWS by service, with those that were tried again where boto3 did. Mail itself is read otherwise."""

    def text(self, secret: Secret) -> str:
        """What a secret stands for. Raises UserError, Transient."""
        return resolve(secret, self.environ, lambda: self.aws("secretsmanager"))

    def wanted(self, secret: Secret, key: str) -> str:
        """The same of a setting that must be there: `key` is its dotted key. Raises UserError where it isn't."""
        if text := self.text(secret):
            return text
        raise missing(self.settings, key)

    # -------------------------------------------------------------------------------------------- AWS
    def aws(self, service: str) -> Any:
        """boto3's client of a service. Raises UserError without boto3 or a region."""
        with self._making:
            if service not in self._made:
                self._made[service] = self._client(service)
            return self._made[service]

    def _client(self, service: str) -> Any:
        session = self._session  # says what to install where boto3 is not
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        from mailloom.stores.aws_json import OFTEN, JsonClient

        aws = self.settings.aws
        other = (service == "dynamodb" and aws.dynamodb_url) or aws.endpoint_url
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=self.settings.worker.readers + 10,
            tcp_keepalive=True,
            # An emulator has no name for each bucket.
            s3={"addressing_style": "path" if other else "auto"},
        )
        try:
            client = session.client(service, endpoint_url=other or None, config=config)
            known = self.direct(client) if service in OFTEN else None
        except (BotoCoreError, ValueError) as error:  # no region, half a pair of keys, an address that is none
            raise UserError(f"no client for {service}: {error}; check {_named(self.settings, 'aws.region')}") from None

        def count(**_: Any) -> None:
            self.requests[service] += 1

        client.meta.events.register("before-send", count)
        # Without credentials boto3 says what to do.
        return client if known is None else JsonClient(client, known, count)

    @cached_property
    def _session(self) -> Any:
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ModuleNotFoundError:
            raise UserError('AWS needs the extra "aws": pip install "mailloom[aws]"') from None
        try:
            return boto3.Session(region_name=self.settings.aws.region or None)
        except BotoCoreError as error:
            raise UserError(f"AWS can't be used: {error}") from None

    @cached_property
    def credentials(self) -> Any:
        """The session's credentials, which renew themselves; None where there are none."""
        with self._making:
            return self._session.get_credentials()

    def direct(self, client: Any) -> Any:
        """The credentials for calls beside boto3; None where it must make them all, as it goes through the environment's proxy."""
        from botocore.utils import get_environ_proxies

        return None if get_environ_proxies(client.meta.endpoint_url) else self.credentials

    # -------------------------------------------------------------------------------------------- others
    def opensearch(self, key: str = "opensearch.url") -> Any:
        """An opensearchpy client. Raises UserError."""
        with self._making:
            if "opensearch" not in self._made:
                self._made["opensearch"] = self._index(self.wanted(self.settings.opensearch.url, key))
            return self._made["opensearch"]

    def _index(self, url: str) -> Any:
        from mailloom.stores.opensearch.client import connect

        auth = None
        if self.settings.opensearch.signed:
            from opensearchpy import Urllib3AWSV4SignerAuth

            if self.credentials is None:
                raise UserError("opensearch.signed needs AWS credentials: set a role, AWS_PROFILE or AWS_ACCESS_KEY_ID")
            auth = Urllib3AWSV4SignerAuth(self.credentials, self._session.region_name, "es")
        return connect(url, auth=auth)

    def valkey(self) -> Any | None:
        """A redis client with short timeouts, or stores.valkey.Cluster; None where no cache is set."""
        url = self.text(self.settings.valkey.url)
        if not url:
            return None
        with self._making:
            if "valkey" not in self._made:
                self._made["valkey"] = _cluster(url) if self.settings.valkey.cluster else _cache(url)
            return self._made["valkey"]

    def close(self) -> None:
        for client in self._made.values():
            client.close()
        self._made.clear()


CACHE_S = 0.2  # a cache that takes longer is none


def _cache(url: str) -> Any:
    _readable_address(url)
    import redis

    return redis.Redis.from_url(url, socket_timeout=CACHE_S, socket_connect_timeout=CACHE_S)


def _cluster(url: str) -> Any:
    if _readable_address(url).get("db"):
        raise UserError(
            "valkey.url names a database by its number, and with valkey.cluster there is only 0: leave it out"
        )
    from redis import RedisCluster
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from mailloom.stores.valkey import Cluster

    def connect() -> Any:
        # The address that is set stays one to begin with: it goes on to be right when all nodes were replaced. One more try after an
        # error, with the new map of slots; what costs more is a miss. RESP 2: nothing of 3 is used, and it says less at the start.
        again = Retry(NoBackoff(), 1)
        limits = {"socket_timeout": CACHE_S, "socket_connect_timeout": CACHE_S}
        return RedisCluster.from_url(url, dynamic_startup_nodes=False, retry=again, protocol=2, **limits)

    return Cluster(connect)


def _readable_address(url: str) -> dict[str, Any]:
    try:
        from redis.connection import parse_url
    except ModuleNotFoundError:
        raise UserError('Valkey needs the extra "aws": pip install "mailloom[aws]"') from None
    try:
        return dict(parse_url(url))  # type: ignore[no-untyped-call]
    except ValueError:  # its words may hold the address
        raise UserError("valkey.url is no address as redis://host:6379/0") from None


def missing(settings: Settings, key: str) -> UserError:
    """A setting that is needed and not there, in words."""
    return UserError(f"{_named(settings, key)} is not set, and this needs it: docs/configuration.md tells how")


def _named(settings: Settings, key: str) -> str:
    return f"{key} (profile {settings.profile}, or MAILLOOM_{key.upper().replace('.', '_')})"
