"""What each component may do: statements of policies, put together to one role a component. Nothing is granted by a resource's own policy, so that
no stack that holds data depends on those that don't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.nag import accept_star
from infra.parts import Landing, State, Stores, elsewhere

CONSUME = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
LEDGER = ("PartiQLInsert", "PartiQLUpdate", "BatchGetItem", "UpdateItem", "Query")
NODES = ("PartiQLInsert", "PartiQLUpdate", "BatchGetItem", "GetItem", "UpdateItem")
SETTLE = ("PutItem", "ConditionCheckItem")
"""Of a transaction under the lease."""
XRAY = "X-Ray's actions know no resource"
INTERFACES = "Actions on network interfaces know no resource before there is one"


class Right(NamedTuple):
    """Actions on resources; `star` says why one of these has a star in it, and must where one has."""

    actions: Sequence[str]
    resources: Sequence[str]
    star: str = ""


@dataclass(frozen=True)
class Rights:
    """Rights on what the stacks below made."""

    landing: Landing
    state: State
    stores: Stores

    # -------------------------------------------------------------------------------------------- mail that comes in
    def consume(self, *queues: str) -> Right:
        return _allow("sqs", CONSUME, *(self.landing.queues[name].queue_arn for name in queues))

    def send(self, *queues: str) -> Right:
        return _allow(
            "sqs", ("SendMessage", "GetQueueAttributes"), *(self.landing.queues[name].queue_arn for name in queues)
        )

    def count(self, *queues: str) -> Right:
        return _allow("sqs", ("GetQueueAttributes",), *(self.landing.queues[name].queue_arn for name in queues))

    def read_mail(self) -> Sequence[Right]:
        """Mail with its versions. ListBucket on all of the bucket: without it S3 says "denied" of an object that is gone."""
        bucket = self.landing.bucket
        return (
            self.objects("raw/", "GetObject", "GetObjectVersion"),
            _allow("s3", ("ListBucket",), bucket.bucket_arn),
            _allow("kms", ("Decrypt", "GenerateDataKey"), self.landing.key.key_arn),  # objects, and messages of queues
        )

    def list_mail(self) -> Right:
        """What is current, with its version, as ListObjectVersions tells it."""
        return _allow("s3", ("ListBucketVersions",), self.landing.bucket.bucket_arn)

    def quarantine(self) -> Sequence[Right]:
        """Copies of what is no mail. A copy takes an object's tags along, which S3 asks for apart."""
        return (
            self.objects("quarantine/", "PutObject", "PutObjectTagging"),
            self.objects("raw/", "GetObjectTagging", "GetObjectVersionTagging"),
        )

    def objects(self, prefix: str, *actions: str) -> Right:
        bucket = self.landing.bucket
        return _allow(
            "s3", actions, f"{elsewhere(bucket, bucket.bucket_arn)}/{prefix}*", star=f"All objects below {prefix}"
        )

    # -------------------------------------------------------------------------------------------- state
    def ledger(self, *more: str) -> Sequence[Right]:
        table = self.state.tables["ledger"].table_arn
        return (_allow("dynamodb", (*LEDGER, *more), table), self._state_key())

    def threads(self, *more: str) -> Sequence[Right]:
        tables = [self.state.tables[name].table_arn for name in ("nodes", "clues")]
        return (_allow("dynamodb", (*NODES, *more), *tables), self.described(), self._state_key())

    def looks(self, *more: str) -> Sequence[Right]:
        """Reads all of the state, and changes nothing."""
        tables = [table.table_arn for table in self.state.tables.values()]
        return (
            _allow("dynamodb", ("BatchGetItem", "GetItem", "Query", *more), *tables),
            self.described(),
            self._state_key(),
        )

    def described(self) -> Right:
        """Whether the tables are there is what a process asks first."""
        return _allow("dynamodb", ("DescribeTable",), *(table.table_arn for table in self.state.tables.values()))

    def _state_key(self) -> Right:
        actions = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo", "DescribeKey")
        return _allow("kms", actions, self.state.key.key_arn)

    # -------------------------------------------------------------------------------------------- stores
    def database(self) -> Sequence[Right]:
        """The password; the proxy lets in who knows it and is in its security group."""
        return (
            _allow("secretsmanager", ("GetSecretValue",), self.stores.secret.secret_arn),
            _allow("kms", ("Decrypt",), self.stores.key.key_arn),
        )

    def search(self, *, write: bool, delete: bool = False) -> Right:
        more = (*(("ESHttpPut",) if write else ()), *(("ESHttpDelete",) if delete else ()))
        actions = ("ESHttpGet", "ESHttpHead", "ESHttpPost", *more)
        domain = self.stores.domain
        return _allow("es", actions, f"{elsewhere(domain, domain.domain_arn)}/*", star="All indices of the one domain")

    def stream(self) -> Right:
        return _allow("firehose", ("PutRecordBatch",), self.stores.stream.attr_arn)

    # -------------------------------------------------------------------------------------------- what components are made of
    def commits(self) -> list[Right]:
        """What a worker does with a mail, whichever way it came."""
        return [
            *(*self.read_mail(), *self.quarantine(), *self.ledger(), *self.threads(), *self.database()),
            *(self.search(write=True), self.stream()),
        ]


def traced() -> Right:
    """For a process that sends traces itself; to functions Lambda sees."""
    return _allow("xray", ("PutTraceSegments", "PutTelemetryRecords"), "*", star=XRAY)


def in_vpc() -> Right:
    """What Lambda does in a function's name to put it into a VPC ("Giving Lambda functions access to resources in an Amazon VPC", Lambda developer
    guide); these actions know no resource when the interface isn't there yet.
    """
    made = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface")
    return _allow("ec2", (*made, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"), "*", star=INTERFACES)


def logs(arn: str) -> Right:
    return _allow("logs", ("CreateLogStream", "PutLogEvents"), arn)


def protects(cluster_tasks: str) -> Right:
    """A task may keep itself from being chosen when there are too many."""
    return _allow(
        "ecs",
        ("GetTaskProtection", "UpdateTaskProtection"),
        cluster_tasks,
        star="Any task of the one cluster: a role can't name the task that has it",
    )


def role(scope: Construct, name: str, service: str, rights: Sequence[Right]) -> iam.Role:
    """A role with these rights and no other. They are part of the role itself: who assumes it has them from the first moment."""
    statements = [iam.PolicyStatement(actions=list(one.actions), resources=list(one.resources)) for one in rights]
    own = {"own": iam.PolicyDocument(statements=statements, minimize=True)} if statements else None
    made = iam.Role(scope, name, assumed_by=iam.ServicePrincipal(service), inline_policies=own)
    for resource, star in {resource: one.star for one in rights for resource in one.resources if one.star}.items():
        accept_star(made, resource, star)
    return made


def _allow(service: str, actions: Sequence[str], *resources: str, star: str = "") -> Right:
    return Right([f"{service}:{action}" for action in actions], resources, star)
