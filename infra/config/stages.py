"""What differs between the stages, as frozen values. load.py reads them from stages.toml, rules.py tells what must agree.

Each field tells what it means and what may be written. Days, seconds, megabytes are in the name of the field; 0 means "never" or
"none" only where a field says so. What is the same in every stage is no field: it is written where it is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from mailloom.config.settings import Says

DAYS = 36_500
"""The most of any number of days: S3's longest lock, and a number that every service takes."""
REGION = (re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]"), "a region, as us-east-1")
EMAIL = (
    re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
    "one address, as alarms@example.org, in letters that SNS takes: A to Z",
)
TAG = (re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"), "a tag of an image")
NODE = (re.compile(r"[a-z0-9]+\.[a-z0-9]+\.search"), "a node of OpenSearch, as r7g.large.search")
WARM = (re.compile(r"ultrawarm1\.(medium|large)\.search"), "ultrawarm1.medium.search or ultrawarm1.large.search")
LIST = (re.compile(r"pl-[0-9a-f]{8,17}"), "a prefix list, as pl-63a5400a")
SECRET = (
    re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+"),
    "the ARN of a secret",
)
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
NIGHTS = (
    re.compile(rf"all|(?:{'|'.join(WEEKDAYS)})(?:,(?:{'|'.join(WEEKDAYS)}))*"),
    "weekdays, as SUN or MON,THU, or all",
)
ZONE = (re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*"), "a time zone, as Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Network:
    """The VPC: a private subnet in each zone, no way to the internet."""

    cidr: Annotated[str, Says("addresses of the VPC; a quarter of them for each zone")] = "10.64.0.0/16"
    zones: Annotated[int, Says("availability zones", least=2, most=3)] = 2
    zone_names: Annotated[
        tuple[str, ...], Says("which ones; none: the region's first. Not every zone has every service (docs/aws.md)")
    ] = ()
    peers: Annotated[tuple[str, ...], Says("networks that it will be joined with, so must not overlap")] = ()
    endpoint_zones: Annotated[
        int, Says("zones in which interface endpoints are; each is paid by the hour", least=1)
    ] = 1
    flow_logs: Annotated[str, Says("which traffic is logged", choices=("none", "reject", "all"))] = "reject"
    s3_list: Annotated[str, Says("S3's addresses in the region; empty: as rules.py knows it", like=LIST)] = ""
    dynamodb_list: Annotated[str, Says("DynamoDB's; empty: as rules.py knows it", like=LIST)] = ""


@dataclass(frozen=True, slots=True)
class Landing:
    """The bucket of raw mail and the queues behind it. Days count from when a mail landed."""

    infrequent_days: Annotated[int, Says("to Standard-IA; 0: never", least=0, most=DAYS)] = 0
    instant_days: Annotated[int, Says("to Glacier Instant Retrieval; 0: never", least=0, most=DAYS)] = 0
    archive_days: Annotated[int, Says("to Deep Archive, from where no command reads; 0: never", least=0, most=DAYS)] = 0
    expire_days: Annotated[int, Says("deleted; 0: never", least=0, most=DAYS)] = 0
    noncurrent_days: Annotated[
        int,
        Says(
            "what was overwritten or deleted is kept; 0: for ever, as stored mail is read by its version",
            least=0,
            most=DAYS,
        ),
    ] = 0
    quarantine_days: Annotated[int, Says("what was refused is kept", least=1, most=DAYS)] = 90
    shadow_days: Annotated[int, Says("reports of the shadow are kept", least=1, most=DAYS)] = 30
    lock: Annotated[str, Says("object lock of raw mail", choices=("none", "governance", "compliance"))] = "none"
    lock_days: Annotated[int, Says("how long, where lock isn't none", least=0, most=DAYS)] = 0
    events_seconds: Annotated[int, Says("visibility timeout of S3's events", least=30, most=43_200)] = 360
    work_seconds: Annotated[int, Says("visibility timeout of pointers to mail", least=120, most=43_200)] = 180
    large_seconds: Annotated[int, Says("of pointers to mail over 10 MB", least=600, most=43_200)] = 720


@dataclass(frozen=True, slots=True)
class State:
    """DynamoDB's tables, on demand, and the cache before them."""

    max_write_units: Annotated[int, Says("a second, a table: a guard of costs; 0: none", least=0, most=10_000_000)] = 0
    max_read_units: Annotated[int, Says("a second, a table: a guard of costs; 0: none", least=0, most=10_000_000)] = 0
    warm_write_units: Annotated[
        int,
        Says(
            "a second, that a table takes from the start; it grows by itself; 0: 4,000 of AWS", least=0, most=10_000_000
        ),
    ] = 0
    recovery_days: Annotated[int, Says("point in time recovery reaches back", least=1, most=35)] = 35
    export_days: Annotated[int, Says("all tables are exported every so many days; 0: never", least=0, most=DAYS)] = 0
    export_keep_days: Annotated[int, Says("an export is kept", least=1, most=DAYS)] = 35
    cache_gb: Annotated[int, Says("the cache holds at most", least=1, most=5_000)] = 1
    cache_ecpu: Annotated[int, Says("the cache works at most, ECPU a second", least=1_000, most=15_000_000)] = 5_000
    cache_snapshots: Annotated[int, Says("daily snapshots kept; it is a guess, never the truth", least=0, most=35)] = 0


@dataclass(frozen=True, slots=True)
class Database:
    """Aurora PostgreSQL Serverless v2; an ACU has 2 GB of memory."""

    min_acu: Annotated[float, Says("a whole or a half", least=0.5, most=256)] = 0.5
    max_acu: Annotated[float, Says("a whole or a half", least=1, most=256)] = 4
    min_readers: Annotated[
        int, Says("readers beside the writer; 1 or more takes over in a minute", least=0, most=15)
    ] = 0
    max_readers: Annotated[int, Says("as many, under load", least=0, most=15)] = 0
    reader_cpu_percent: Annotated[int, Says("readers are added above", least=10, most=90)] = 60
    backup_days: Annotated[int, Says("point in time recovery reaches back", least=1, most=35)] = 14
    io_optimized: Annotated[bool, Says("storage at a higher price, without a price a request")] = False
    secret: Annotated[
        str, Says("ARN of the password, where a restored cluster took the place; empty: the cluster's own", like=SECRET)
    ] = ""


@dataclass(frozen=True, slots=True)
class Index:
    """The OpenSearch domain; nodes are spread over the zones of the network."""

    node: Annotated[str, Says("type of data nodes", like=NODE)] = "r7g.large.search"
    nodes: Annotated[int, Says("data nodes", least=1, most=80)] = 2
    disk_gb: Annotated[int, Says("gp3 of each data node", least=10, most=24_576)] = 100
    master: Annotated[str, Says("type of dedicated masters", like=NODE)] = "m7g.large.search"
    masters: Annotated[int, Says("dedicated masters: 0 or 3")] = 0
    warm: Annotated[str, Says("type of UltraWarm nodes", like=WARM)] = "ultrawarm1.medium.search"
    warm_nodes: Annotated[int, Says("UltraWarm nodes; 0: none", least=0, most=150)] = 0
    shards: Annotated[int, Says("shards of a month; one is well up to some 30 GB", least=1, most=1000)] = 1
    search_days: Annotated[
        int, Says("search holds mail dated in so many days, by whole months; 0: all", least=0, most=DAYS)
    ] = 0


@dataclass(frozen=True, slots=True)
class Lake:
    """Parquet by Firehose, read by Athena."""

    buffer_mb: Annotated[int, Says("Firehose writes a file of so much", least=64, most=128)] = 64
    buffer_seconds: Annotated[int, Says("or after so long", least=60, most=900)] = 300
    warm_days: Annotated[int, Says("to Standard-IA; 0: never", least=0, most=DAYS)] = 0
    cold_days: Annotated[int, Says("to Glacier Instant Retrieval; 0: never", least=0, most=DAYS)] = 0
    expire_days: Annotated[int, Says("deleted; 0: never", least=0, most=DAYS)] = 0
    results_days: Annotated[int, Says("answers of Athena are kept", least=1, most=DAYS)] = 7
    scan_gb: Annotated[int, Says("a query of Athena reads at most", least=1, most=1_000_000)] = 100


@dataclass(frozen=True, slots=True)
class Workers:
    """What turns pointers into commits: tasks on Fargate (ARM64), or Lambda functions."""

    arrangement: Annotated[str, Says("how they run", choices=("ecs", "lambda"))] = "ecs"
    cpu: Annotated[int, Says("of a task, 1024 a core")] = 1024
    memory_mb: Annotated[int, Says("of a task")] = 2048
    min_tasks: Annotated[int, Says("0: none while the queue is empty", least=0)] = 0
    max_tasks: Annotated[int, Says("at most", least=1, most=5_000)] = 4
    base_tasks: Annotated[int, Says("so many on demand before Spot is taken", least=0)] = 0
    spot_percent: Annotated[int, Says("of what is above the base", least=0, most=100)] = 100
    large_cpu: Annotated[int, Says("of a task for mail over 10 MB")] = 1024
    large_memory_mb: Annotated[int, Says("of a task for mail over 10 MB")] = 4096
    max_large: Annotated[int, Says("tasks for large mail", least=1, most=500)] = 1
    function_mb: Annotated[int, Says("memory of a worker function", least=512, most=10_240)] = 1769
    function_seconds: Annotated[int, Says("timeout of a worker function", least=30, most=900)] = 120
    function_concurrency: Annotated[int, Says("worker functions at once", least=2, most=1_000)] = 20
    tracing: Annotated[bool, Says("traces to X-Ray, by a collector beside each task")] = False


@dataclass(frozen=True, slots=True)
class Functions:
    """Lambda functions; `validate` looks at each event of S3."""

    validate_mb: Annotated[int, Says("memory", least=192, most=10_240)] = 192
    validate_seconds: Annotated[int, Says("timeout", least=10, most=900)] = 60
    validate_batch: Annotated[int, Says("events in a call", least=10, most=10_000)] = 100
    validate_window_seconds: Annotated[int, Says("a call waits for more events", least=0, most=300)] = 5
    validate_concurrency: Annotated[int, Says("calls at once", least=2, most=1_000)] = 10


@dataclass(frozen=True, slots=True)
class History:
    """What runs now and then over much mail."""

    way: Annotated[str, Says("how a backfill goes", choices=("enqueue", "prefix"))] = "enqueue"
    concurrency: Annotated[int, Says("parts of a backfill at once", least=1, most=10_000)] = 10
    failed_percent: Annotated[int, Says("of parts may fail before a backfill stops", least=0, most=100)] = 1
    hour: Annotated[int, Says("at which the nightly chain starts", least=0, most=23)] = 3
    time_zone: Annotated[str, Says("of that hour", like=ZONE)] = "UTC"
    doctor: Annotated[str, Says("nights on which `mailloom doctor` looks over all that is there", like=NIGHTS)] = "SUN"
    spark_cores: Annotated[int, Says("EMR Serverless at most", least=4, most=10_000)] = 16
    spark_gb: Annotated[int, Says("memory of EMR Serverless at most", least=16, most=100_000)] = 128


@dataclass(frozen=True, slots=True)
class Watch:
    """Alarms, logs, money."""

    email: Annotated[str, Says("who is told; empty: nobody by mail", like=EMAIL)] = ""
    budget_usd: Annotated[
        int, Says("a month; told at 80 %, 100 % and when it will be; 0: none", least=0, most=100_000_000)
    ] = 500
    log_days: Annotated[int, Says("logs are kept")] = 30
    queue_minutes: Annotated[int, Says("the oldest message may wait", least=1, most=20_160)] = 15
    latency_seconds: Annotated[
        int, Says("from arrival to stored, the slowest of 100 mails", least=1, most=1_209_600)
    ] = 300
    least_mails: Annotated[int, Says("an hour with fewer is compared with no other week", least=1, most=10**9)] = 1_000
    concurrency: Annotated[
        int, Says("Lambda functions of the account that may run at once", least=10, most=1_000_000)
    ] = 1_000


@dataclass(frozen=True, slots=True)
class Release:
    """Which image runs, and how far a roll-out has come (docs/aws.md)."""

    kind: Annotated[str, Says("the first roll-out, or a new version beside the old", choices=("first", "upgrade"))] = (
        "first"
    )
    phase: Annotated[str, Says("how much mail it takes", choices=("shadow", "1%", "10%", "all"))] = "all"
    image: Annotated[str, Says("tag of the image that runs", like=TAG)] = "0.1.0"
    next_image: Annotated[str, Says("tag of the image beside it, in an upgrade", like=TAG)] = ""
    collector_image: Annotated[str, Says("tag of the ADOT collector", like=TAG)] = "v0.43.3"


@dataclass(frozen=True, slots=True)
class Stage:
    """One deployment."""

    name: str
    region: Annotated[str, Says("where", like=REGION)] = "us-east-1"
    protect: Annotated[bool, Says("what holds mail can't be deleted by a deployment")] = False
    network: Network = field(default_factory=Network)
    landing: Landing = field(default_factory=Landing)
    state: State = field(default_factory=State)
    database: Database = field(default_factory=Database)
    index: Index = field(default_factory=Index)
    lake: Lake = field(default_factory=Lake)
    workers: Workers = field(default_factory=Workers)
    functions: Functions = field(default_factory=Functions)
    history: History = field(default_factory=History)
    watch: Watch = field(default_factory=Watch)
    release: Release = field(default_factory=Release)

    @property
    def prefix(self) -> str:
        """What every name of it begins with."""
        return f"mailloom-{self.name}"

    @property
    def namespace(self) -> str:
        """Of its metrics in CloudWatch: stages may share an account."""
        return f"Mailloom/{self.name}"
