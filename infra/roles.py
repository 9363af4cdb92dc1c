"""What each component may do: statements of policies, put together to one role a component. Nothing is granted by a resource's own policy, so that
no stack that holds data depends on those that don't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.parts import Landing, State, Stores

CONSUME = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
LEDGER = ("PartiQLInsert", "PartiQLUpdate", "BatchGetItem", "UpdateItem", "Query")
NODES = ("PartiQLInsert", "PartiQLUpdate", "BatchGetItem", "GetItem", "UpdateItem")
SETTLE = ("PutItem", "ConditionCheckItem")
"""Of a transaction under the lease."""


@dataclass(frozen=True)
class Rights:
    """Statements for what the stacks below made. `partition`, `region` and `account` are those of the stack that uses them."""

    landing: Landing
    state: State
    stores: Stores

    # -------------------------------------------------------------------------------------------- mail that comes in
    def consume(self, *queues: str) -> iam.PolicyStatement:
        return _allow("sqs", CONSUME, *(self.landing.queues[name].queue_arn for name in queues))

    def send(self, *queues: str) -> iam.PolicyStatement:
        return _allow(
            "sqs", ("SendMessage", "GetQueueAttributes"), *(self.landing.queues[name].queue_arn for name in queues)
        )

    def read_mail(self) -> Sequence[iam.PolicyStatement]:
        """Mail with its versions. ListBucket on all of the bucket: without it S3 says "denied" of an object that is gone."""
        bucket = self.landing.bucket
        return (
            _allow("s3", ("GetObject", "GetObjectVersion"), bucket.arn_for_objects("raw/*")),
            _allow("s3", ("ListBucket",), bucket.bucket_arn),
            _allow("kms", ("Decrypt", "GenerateDataKey"), self.landing.key.key_arn),  # objects, and messages of queues
        )

    def quarantine(self) -> Sequence[iam.PolicyStatement]:
        """Copies of what is no mail. A copy takes an object's tags along, which S3 asks for apart."""
        bucket = self.landing.bucket
        return (
            _allow("s3", ("PutObject", "PutObjectTagging"), bucket.arn_for_objects("quarantine/*")),
            _allow("s3", ("GetObjectTagging", "GetObjectVersionTagging"), bucket.arn_for_objects("raw/*")),
        )

    def objects(self, prefix: str, *actions: str) -> iam.PolicyStatement:
        return _allow("s3", actions, self.landing.bucket.arn_for_objects(f"{prefix}*"))

    # -------------------------------------------------------------------------------------------- state
    def ledger(self, *more: str) -> Sequence[iam.PolicyStatement]:
        table = self.state.tables["ledger"].table_arn
        return (_allow("dynamodb", (*LEDGER, *more), table), self._state_key())

    def threads(self, *more: str) -> Sequence[iam.PolicyStatement]:
        tables = [self.state.tables[name].table_arn for name in ("nodes", "clues")]
        return (_allow("dynamodb", (*NODES, *more), *tables), self.described(), self._state_key())

    def described(self) -> iam.PolicyStatement:
        """Whether the tables are there is what a process asks first."""
        return _allow("dynamodb", ("DescribeTable",), *(table.table_arn for table in self.state.tables.values()))

    def _state_key(self) -> iam.PolicyStatement:
        actions = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo", "DescribeKey")
        return _allow("kms", actions, self.state.key.key_arn)

    # -------------------------------------------------------------------------------------------- stores
    def database(self) -> Sequence[iam.PolicyStatement]:
        """The password; the proxy lets in who knows it and is in its security group."""
        return (
            _allow("secretsmanager", ("GetSecretValue",), self.stores.secret.secret_arn),
            _allow("kms", ("Decrypt",), self.stores.key.key_arn),
        )

    def search(self, *, write: bool) -> iam.PolicyStatement:
        actions = ("ESHttpGet", "ESHttpHead", "ESHttpPost", *(("ESHttpPut",) if write else ()))
        return _allow("es", actions, f"{self.stores.domain.domain_arn}/*")

    def stream(self) -> iam.PolicyStatement:
        return _allow("firehose", ("PutRecordBatch",), self.stores.stream.attr_arn)

    # -------------------------------------------------------------------------------------------- what components are made of
    def commits(self) -> list[iam.PolicyStatement]:
        """What a worker does with a mail, whichever way it came."""
        return [
            *(*self.read_mail(), *self.quarantine(), *self.ledger(), *self.threads(), *self.database()),
            *(self.search(write=True), self.stream()),
        ]


def traced() -> iam.PolicyStatement:
    """X-Ray has no resources ("Actions, resources, and condition keys for AWS X-Ray", service authorization reference)."""
    return _allow("xray", ("PutTraceSegments", "PutTelemetryRecords"), "*")


def in_vpc() -> iam.PolicyStatement:
    """What Lambda does in a function's name to put it into a VPC ("Giving Lambda functions access to resources in an Amazon VPC", Lambda developer
    guide); these actions know no resource when the interface isn't there yet.
    """
    made = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface")
    return _allow("ec2", (*made, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"), "*")


def logs(arn: str) -> iam.PolicyStatement:
    return _allow("logs", ("CreateLogStream", "PutLogEvents"), arn)


def protects(cluster_tasks: str) -> iam.PolicyStatement:
    """A task may keep itself from being chosen when there are too many."""
    return _allow("ecs", ("GetTaskProtection", "UpdateTaskProtection"), cluster_tasks)


def role(scope: Construct, name: str, service: str, statements: Sequence[iam.PolicyStatement]) -> iam.Role:
    """A role with these statements and no other. They are part of the role itself: who assumes it has them from the first moment."""
    own = {"own": iam.PolicyDocument(statements=list(statements), minimize=True)} if statements else None
    return iam.Role(scope, name, assumed_by=iam.ServicePrincipal(service), inline_policies=own)


def _allow(service: str, actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[f"{service}:{action}" for action in actions], resources=list(resources))
