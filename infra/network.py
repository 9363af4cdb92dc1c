"""The network: subnets without a way to the internet, endpoints for the services that are called, and who may call whom.

Nothing in it has a route out, so there is no NAT to pay. What AWS's services do for each other (Lambda writing its log, S3 using a key, the
proxy reading its secret, Step Functions starting a task) doesn't come through here and needs no endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config.rules import PREFIX_LISTS
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.parts import GROUPS, Network

SQL, WEB, VALKEY, VALKEY_READ = 5432, 443, 6379, 6380
RUNS = ("functions", "workers", "history")
"""Groups of what runs; all others only answer."""
CALLS: Mapping[tuple[str, str], tuple[int, ...]] = {
    **{(caller, "proxy"): (SQL,) for caller in RUNS},
    **{(caller, "search"): (WEB,) for caller in RUNS},
    **{(caller, "endpoints"): (WEB,) for caller in RUNS},
    **{(caller, "cache"): (VALKEY, VALKEY_READ) for caller in ("functions", "workers")},
    ("proxy", "database"): (SQL,),
}
"""Who may call whom, on which ports. S3 and DynamoDB are called by all of RUNS besides."""
NOTHING = {
    "CidrIp": "255.255.255.255/32",
    "IpProtocol": "icmp",
    "FromPort": 252,
    "ToPort": 86,
    "Description": "nothing matches this",
}
"""What leaves a group that calls nobody, or none but by the rules above."""
GROUPS_SAY = {
    "functions": "Lambda functions",
    "workers": "tasks on Fargate",
    "database": "instances of Aurora",
    "proxy": "RDS Proxy",
    "search": "nodes of OpenSearch",
    "cache": "ElastiCache Serverless",
    "history": "EMR Serverless",
    "endpoints": "interface endpoints",
}
ENDPOINTS = {
    "Sqs": (ec2.InterfaceVpcEndpointAwsService.SQS, "workers and functions: queues"),
    "Secrets": (ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER, "workers and functions: the database's password"),
    "Firehose": (ec2.InterfaceVpcEndpointAwsService.KINESIS_FIREHOSE, "workers: records for Parquet"),
    "Logs": (
        ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
        "tasks: the awslogs driver, metrics (EMF) are in the logs",
    ),
    "Registry": (ec2.InterfaceVpcEndpointAwsService.ECR, "tasks: which layers an image has"),
    "Images": (ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER, "tasks: the image; its layers come from S3"),
}
"""What is called through an interface endpoint, and by whom. X-Ray is another, where tasks are traced."""
TRACING = {"Xray": (ec2.InterfaceVpcEndpointAwsService.XRAY, "the collector beside each task: traces")}


class NetworkStack(cdk.Stack):
    out: Network

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        vpc = self._vpc(stage)
        groups = {
            group: ec2.SecurityGroup(
                self,
                group.capitalize(),
                vpc=vpc,
                description=f"{stage.prefix}: {GROUPS_SAY[group]}",
                allow_all_outbound=False,
            )
            for group in GROUPS
        }
        self._rules(stage, groups)
        self._gateways(stage, vpc)
        self._interfaces(stage, vpc, groups["endpoints"])
        # Who may call whom is said here alone: what other stacks get can't be changed, or each would write rules into this one, and a cycle were made.
        fixed = {
            group: ec2.SecurityGroup.from_security_group_id(
                self, f"{group}Fixed", made.security_group_id, mutable=False
            )
            for group, made in groups.items()
        }
        self.out = Network(vpc, fixed)

    def _vpc(self, stage: Stage) -> ec2.Vpc:
        """A quarter of the addresses for each zone (config/addresses.py). The CDK knows two zones of a region that it must not look up; these are tokens of the region."""
        settings = stage.network
        length = int(settings.cidr.partition("/")[2])
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
            availability_zones=list(settings.zone_names)
            or [cdk.Fn.select(number, cdk.Fn.get_azs()) for number in range(settings.zones)],
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=length + 2
                )
            ],
        )
        if settings.flow_logs == "none":
            accept(vpc, "AwsSolutions-VPC7", "off by network.flow_logs: nothing enters or leaves but by endpoints")
        else:
            kind = {"all": ec2.FlowLogTrafficType.ALL, "reject": ec2.FlowLogTrafficType.REJECT}[settings.flow_logs]
            group = log_group(self, "FlowLog", stage)
            vpc.add_flow_log("Flow", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group), traffic_type=kind)
        return vpc

    def _rules(self, stage: Stage, groups: Mapping[str, ec2.SecurityGroup]) -> None:
        for (caller, callee), ports in CALLS.items():
            for port in ports:
                says = f"{caller} to {callee}"
                groups[caller].connections.allow_to(groups[callee], ec2.Port.tcp(port), says)
        known = PREFIX_LISTS.get(stage.region, {})
        lists = {
            "S3": stage.network.s3_list or known["s3"],
            "DynamoDB": stage.network.dynamodb_list or known["dynamodb"],
        }
        for name, group in groups.items():
            # Inside the group, not beside it as the rules above: a group that has no rule for what leaves inside it gets one for everything from EC2
            # ("AWS::EC2::SecurityGroup", CloudFormation reference).
            leaves = [
                {"DestinationPrefixListId": named, "IpProtocol": "tcp", "FromPort": WEB, "ToPort": WEB}
                | {"Description": f"{name} to {service}"}
                for service, named in lists.items()
            ]
            made = cast("ec2.CfnSecurityGroup", group.node.default_child)
            made.add_property_override("SecurityGroupEgress", leaves if name in RUNS else [NOTHING])

    def _gateways(self, stage: Stage, vpc: ec2.Vpc) -> None:
        """Free, and by policy for this account's buckets and this stage's tables alone."""
        bucket = vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        bucket.add_to_policy(
            iam.PolicyStatement(  # what each role may do there its own policies say
                principals=[iam.AnyPrincipal()],
                actions=["s3:*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:ResourceAccount": self.account}},
            )
        )
        bucket.add_to_policy(
            iam.PolicyStatement(  # layers of images, in a bucket of AWS ("Amazon ECR interface VPC endpoints", ECR user guide)
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[f"arn:{self.partition}:s3:::prod-{self.region}-starport-layer-bucket/*"],
            )
        )
        tables = vpc.add_gateway_endpoint("DynamoDb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        tables.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["dynamodb:*"],
                resources=[self.format_arn(service="dynamodb", resource="table", resource_name=f"{stage.prefix}-*")],
            )
        )

    def _interfaces(self, stage: Stage, vpc: ec2.Vpc, group: ec2.SecurityGroup) -> None:
        """Each is paid by the hour in each zone that it is in; from the others it is reached across zones."""
        subnets = ec2.SubnetSelection(subnets=vpc.isolated_subnets[: stage.network.endpoint_zones])
        for name, (service, _) in (ENDPOINTS | (TRACING if stage.workers.tracing else {})).items():
            made = vpc.add_interface_endpoint(
                name, service=service, subnets=subnets, security_groups=[group], open=False, private_dns_enabled=True
            )
            made.add_to_policy(
                iam.PolicyStatement(  # or credentials of another account would carry mail out through here
                    principals=[iam.AnyPrincipal()],
                    actions=["*"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:PrincipalAccount": self.account}},
                )
            )
