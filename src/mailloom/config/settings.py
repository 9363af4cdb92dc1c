"""Every setting, with its default and what it means: docs/configuration.md and the checks of load.py are made from these classes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple


class Secret:
    """A text that may hold a password: `env:NAME`, `secretsmanager:NAME_OR_ARN#json_key`, or the text itself, which is never shown.

    secrets.resolve() makes the text of it, as late as possible. No dataclass, so that asdict() of the settings doesn't open it.
    """

    __slots__ = ("_written",)

    def __init__(self, written: str = "") -> None:
        self._written = written

    def reveal(self) -> str:
        """What was written: the text itself, or where it is."""
        return self._written

    @property
    def reference(self) -> bool:
        """It says where the text is, so it may stand in a file and be shown."""
        return self._written.startswith(("env:", "secretsmanager:"))

    def __str__(self) -> str:
        return self._written if self.reference or not self._written else "***"

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._written)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._written == other._written

    def __hash__(self) -> int:
        return len(self._written)


NO_SECRET = Secret()


class Says(NamedTuple):
    """What a setting means; `least` and `most` are the smallest and greatest number allowed, `also` another project's variable that is read where ours is not set,
    `like` the letters of a name that its service takes (a regular expression; empty is allowed) and the same in words.
    """

    meaning: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    also: str = ""
    like: tuple[re.Pattern[str], str] | None = None


REPORTS = "shadow/date="
"""What `mailloom work --shadow` found lies behind this prefix and a day, in the bucket of raw mail: no mail."""
NAME = (re.compile(r"[A-Za-z0-9._-]{1,200}"), "letters, digits, - . _")


@dataclass(frozen=True, slots=True)
class Queues:
    """SQS queues, by URL."""

    events: Annotated[str, Says("S3's events, read by the validator")] = ""
    work: Annotated[str, Says("pointers to mail, read by workers")] = ""
    large: Annotated[str, Says("pointers to mail over 10 MB, read by `mailloom work --large`")] = ""
    next: Annotated[str, Says("the share `rollout.next` of `work`, read by `mailloom work --queue next`")] = ""
    shadow: Annotated[str, Says("copies of the share `rollout.shadow`, read by `mailloom work --shadow`")] = ""
    dead: Annotated[
        str,
        Says("where `events`, `work`, `large` and `next` put what failed too often (their redrive policies name it)"),
    ] = ""
    dead_shadow: Annotated[
        str, Says("the same of `shadow`: copies that the shadow worker never got done with; no lost mail")
    ] = ""


@dataclass(frozen=True, slots=True)
class Aws:
    """Amazon's services; credentials come the way of boto3 (role, profile, AWS_* variables), never from here."""

    region: Annotated[str, Says("region; empty: as boto3 finds it (AWS_REGION, ~/.aws/config)")] = ""
    endpoint_url: Annotated[
        str, Says("another endpoint for S3, SQS, Lambda, Firehose, Secrets Manager: an emulator")
    ] = ""
    dynamodb_url: Annotated[str, Says("another endpoint for DynamoDB; empty: as endpoint_url")] = ""
    bucket: Annotated[str, Says("bucket of raw mail", like=NAME)] = ""
    raw: Annotated[str, Says("prefix of raw mail in the bucket")] = "raw/"
    quarantine: Annotated[str, Says("prefix of what was refused, with the reason in its metadata")] = "quarantine/"
    tables: Annotated[str, Says("names of DynamoDB tables begin with this", like=NAME)] = "mailloom-"
    clue_days: Annotated[
        int, Says("days a clue of a mail's thread is kept in DynamoDB after it was last seen", least=1)
    ] = 90
    stream: Annotated[str, Says("Firehose stream to Parquet; empty: none")] = ""
    queues: Queues = field(default_factory=Queues)


@dataclass(frozen=True, slots=True)
class Postgres:
    """Records, people, evidence, conversations."""

    dsn: Annotated[Secret, Says("connection string")] = NO_SECRET
    reader_dsn: Annotated[Secret, Says("connection string of a read replica for queries; empty: dsn")] = NO_SECRET
    password: Annotated[
        Secret,
        Says("password for connection strings without one; read again when the server refuses it, as after a rotation"),
    ] = NO_SECRET
    pool: Annotated[int, Says("connections at most", least=1)] = 4
    years_back: Annotated[
        int, Says("years before this one with a partition a month; older mail shares one", least=0)
    ] = 10
    months_ahead: Annotated[int, Says("months after this one with partitions, made by `mailloom migrate`", least=1)] = 3


@dataclass(frozen=True, slots=True)
class Opensearch:
    """The search index."""

    url: Annotated[Secret, Says("https://host:443, with user:password@ where it asks for one; empty: no index")] = (
        NO_SECRET
    )
    prefix: Annotated[
        str,
        Says(
            "names of indices and aliases begin with this",
            like=(re.compile(r"[a-z0-9][a-z0-9_-]{0,99}"), "small letters, digits, - _"),
        ),
    ] = "mailloom"
    signed: Annotated[bool, Says("sign requests with AWS credentials (Amazon OpenSearch Service)")] = False
    shards: Annotated[int, Says("shards of an index made after the next `mailloom migrate`", least=1)] = 1
    replicas: Annotated[int, Says("copies of each, of the same indices; 0 where there is one node", least=0)] = 1
    refresh: Annotated[str, Says("how long until new mail is found, of the same indices")] = "10s"
    days: Annotated[
        int, Says("search holds mail dated in so many days: older months go at `mailloom migrate`; 0: all", least=0)
    ] = 0


@dataclass(frozen=True, slots=True)
class Valkey:
    """The cache of threads' roots."""

    url: Annotated[Secret, Says("redis://host:6379/0, or rediss:// for TLS; empty: no cache")] = NO_SECRET
    cluster: Annotated[
        bool, Says("url is of a cluster, as ElastiCache Serverless is: keys are spread over its slots")
    ] = False
    seconds: Annotated[int, Says("how long an entry is kept", least=1)] = 3600


@dataclass(frozen=True, slots=True)
class Worker:
    """`mailloom work`."""

    batch: Annotated[int, Says("mails in one commit at most", least=1)] = 256
    batch_bytes: Annotated[int, Says("bytes of raw mail in one commit, about", least=1)] = 4 << 20
    batch_seconds: Annotated[float, Says("how long a batch waits to be full", least=0)] = 1.0
    jobs: Annotated[int, Says("processes that read mail apart; 1: the worker itself", least=1)] = 1
    readers: Annotated[int, Says("S3 objects read at the same time", least=1)] = 16
    visibility: Annotated[
        int, Says("seconds a received pointer stays hidden; renewed while its mail is worked on", least=10, most=43200)
    ] = 120
    drain_seconds: Annotated[float, Says("time to finish what is held after SIGTERM", least=1)] = 100.0
    health_host: Annotated[str, Says("address of the health endpoint, of `mailloom settle --every` too")] = "127.0.0.1"
    health_port: Annotated[int, Says("its port; 0: none", least=0, most=65535)] = 0


@dataclass(frozen=True, slots=True)
class Rollout:
    """How much of the mail that arrives goes the way of a new version. Who is in at a small share is in at a larger one."""

    accept: Annotated[
        float,
        Says("share of arriving mail that the validator accepts; the rest stays in the bucket", least=0, most=1),
    ] = 1.0
    next: Annotated[
        float, Says("share of what is accepted that goes to the queue `next` instead of `work`", least=0, most=1)
    ] = 0.0
    shadow: Annotated[
        float,
        Says("share of all arriving mail whose pointer is copied to the queue `shadow`", least=0, most=1),
    ] = 0.0


@dataclass(frozen=True, slots=True)
class Settle:
    """`mailloom settle --every`."""

    seconds: Annotated[float, Says("pause between two runs", least=1)] = 300.0


@dataclass(frozen=True, slots=True)
class Obs:
    """Logs, metrics, traces. All off by default; `mailloom work` and the Lambda functions log unless told otherwise."""

    log: Annotated[
        str, Says("JSON lines on standard error from this level on", choices=("off", "error", "warning", "info"))
    ] = ""
    emf: Annotated[bool, Says("CloudWatch Embedded Metric Format lines on standard output")] = False
    namespace: Annotated[str, Says("CloudWatch namespace of the metrics")] = "Mailloom"
    interval: Annotated[float, Says("seconds between two reports of metrics", least=1)] = 60.0
    otlp_endpoint: Annotated[
        str,
        Says(
            "OTLP/HTTP base address of metrics and traces, as http://127.0.0.1:4318; empty: none",
            also="OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
    ] = ""
    sample: Annotated[
        float, Says("share of mails that are traced, 0 to 1, where nobody upstream decided", least=0, most=1)
    ] = 0.01
    service: Annotated[str, Says("name of this service in traces and metrics", also="OTEL_SERVICE_NAME")] = "mailloom"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `profile` is the name of the table that it came from."""

    profile: str = "local"
    stores: Annotated[
        str,
        Says(
            "where mail is kept: an archive folder, or servers (the default of profile aws)",
            choices=("folder", "servers"),
        ),
    ] = "folder"
    archive: Annotated[str, Says("the archive's folder")] = "archive"
    scope: Annotated[str, Says("whose mail it is: nothing crosses scopes")] = ""
    thread_policy: Annotated[str, Says("what is one conversation", choices=("never", "subject", "gmail"))] = "never"
    aws: Aws = field(default_factory=Aws)
    postgres: Postgres = field(default_factory=Postgres)
    opensearch: Opensearch = field(default_factory=Opensearch)
    valkey: Valkey = field(default_factory=Valkey)
    worker: Worker = field(default_factory=Worker)
    rollout: Rollout = field(default_factory=Rollout)
    settle: Settle = field(default_factory=Settle)
    obs: Obs = field(default_factory=Obs)

    @property
    def servers(self) -> bool:
        return self.stores == "servers"
