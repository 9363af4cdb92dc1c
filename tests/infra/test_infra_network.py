"""The network: a private subnet in each zone, no way out but endpoints, and only those calls that somebody makes."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from infra.config import addresses
from infra.config.load import load

STAGES = ("dev", "staging", "prod")


def names(made, stage: str) -> dict[str, str]:
    """Logical id of a security group -> the component, by its description."""
    words = {
        "Lambda functions": "functions",
        "tasks on Fargate": "workers",
        "instances of Aurora": "database",
        "RDS Proxy": "proxy",
        "nodes of OpenSearch": "search",
        "ElastiCache Serverless": "cache",
        "EMR Serverless": "history",
        "interface endpoints": "endpoints",
    }
    every = made.all(stage, "AWS::EC2::SecurityGroup")
    groups = {one.id: one.properties["GroupDescription"] for one in every if one.stack == "network"}
    return {name: words[says.partition(": ")[2]] for name, says in groups.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_each_zone_has_a_private_subnet_and_room_for_another_zone(made, stage):
    settings = load()[stage].network
    assert [one.properties["CidrBlock"] for one in made.all(stage, "AWS::EC2::VPC")] == [settings.cidr]
    subnets = made.all(stage, "AWS::EC2::Subnet")
    zones = [str(one.properties["AvailabilityZone"]) for one in subnets]
    assert len(set(zones)) == len(subnets) == settings.zones
    assert not any(one.properties.get("MapPublicIpOnLaunch") for one in subnets)
    networks = [IPv4Network(one.properties["CidrBlock"]) for one in subnets]
    assert networks == list(addresses.subnets(IPv4Network(settings.cidr), settings.zones))
    assert all(addresses.room(one) >= addresses.wanted(load()[stage]) for one in networks)


def test_production_has_three_zones(made):
    assert len(made.all("prod", "AWS::EC2::Subnet")) == 3


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_leads_to_the_internet(made, stage):
    kinds = {one.kind for one in made.all(stage)}
    assert "AWS::EC2::RouteTable" in kinds
    ways = {
        "InternetGateway",
        "NatGateway",
        "EgressOnlyInternetGateway",
        "TransitGateway",
        "VPNGateway",
        "EIP",
        "Route",
    }
    assert {f"AWS::EC2::{way}" for way in ways} & kinds == set()


@pytest.mark.parametrize("stage", STAGES)
def test_gateway_endpoints_are_there_and_take_only_what_is_ours(made, stage):
    gateways = {
        str(one.properties["ServiceName"]["Fn::Join"][1][-1]).lstrip("."): one.properties
        for one in made.all(stage, "AWS::EC2::VPCEndpoint")
        if one.properties["VpcEndpointType"] == "Gateway"
    }
    assert set(gateways) == {"s3", "dynamodb"}
    for service, properties in gateways.items():
        assert len(properties["RouteTableIds"]) == load()[stage].network.zones
        statements = properties["PolicyDocument"]["Statement"]
        assert all("Condition" in one or one["Resource"] != "*" for one in statements)
        assert f"mailloom-{stage}-*" in str(statements) or service == "s3"
    own, layers = gateways["s3"]["PolicyDocument"]["Statement"]
    assert own["Condition"] == {"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}
    assert layers["Action"] == "s3:GetObject"
    assert "starport-layer-bucket/*" in str(layers["Resource"])


@pytest.mark.parametrize("stage", STAGES)
def test_interface_endpoints_are_those_that_are_called(made, stage):
    settings = load()[stage]
    interfaces = [
        one.properties
        for one in made.all(stage, "AWS::EC2::VPCEndpoint")
        if one.properties["VpcEndpointType"] == "Interface"
    ]
    services = {one["ServiceName"].partition(f"com.amazonaws.{settings.region}.")[2] for one in interfaces}
    called = {"sqs", "secretsmanager", "kinesis-firehose", "logs", "ecr.api", "ecr.dkr"}
    assert services == called | ({"xray"} if settings.workers.tracing else set())
    for one in interfaces:
        assert one["PrivateDnsEnabled"] is True
        assert len(one["SubnetIds"]) == settings.network.endpoint_zones
        assert "aws:PrincipalAccount" in str(one["PolicyDocument"])
        assert [names(made, stage)[group["Fn::GetAtt"][0]] for group in one["SecurityGroupIds"]] == ["endpoints"]


@pytest.mark.parametrize("stage", STAGES)
def test_who_may_call_whom(made, stage):
    """Said again here in our own words: each call that somebody makes, and no other."""
    callers = ("functions", "workers", "history")
    calls = {("proxy", "database", 5432)}
    for caller in callers:
        calls |= {(caller, "proxy", 5432), (caller, "search", 443), (caller, "endpoints", 443)}
    for caller in ("functions", "workers"):
        calls |= {(caller, "cache", 6379), (caller, "cache", 6380)}
    known = names(made, stage)

    def called(kind: str, mine: str, others: str) -> set:
        found = set()
        for one in made.all(stage, f"AWS::EC2::SecurityGroup{kind}"):
            rule = one.properties
            assert (rule["IpProtocol"], rule["FromPort"]) == ("tcp", rule["ToPort"])
            pair = [known[rule[key]["Fn::GetAtt"][0]] for key in (mine, others)]
            found.add((*(pair if kind == "Egress" else reversed(pair)), rule["FromPort"]))
        return found

    assert called("Ingress", "GroupId", "SourceSecurityGroupId") == calls
    assert called("Egress", "GroupId", "DestinationSecurityGroupId") == calls


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_leaves_but_what_is_said(made, stage):
    """A group without a rule of its own for what leaves gets one for everything from EC2, whatever stands beside it."""
    known, lists = names(made, stage), {}
    groups = [one for one in made.all(stage, "AWS::EC2::SecurityGroup") if one.id in known]
    assert len(groups) == 8
    for one in groups:
        assert one.properties.get("SecurityGroupIngress", []) == []
        assert one.properties["SecurityGroupEgress"]
        for rule in one.properties["SecurityGroupEgress"]:
            if "CidrIp" in rule:  # a rule that nothing matches
                assert (rule["CidrIp"], rule["IpProtocol"]) == ("255.255.255.255/32", "icmp")
            else:
                assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
                lists.setdefault(known[one.id], set()).add(rule["DestinationPrefixListId"])
    assert lists == {group: {"pl-63a5400a", "pl-02cd2c6b"} for group in ("functions", "workers", "history")}


@pytest.mark.parametrize("stage", STAGES)
def test_flow_logs_are_as_the_stage_says(made, stage):
    logs = [one.properties for one in made.all(stage, "AWS::EC2::FlowLog")]
    wanted = load()[stage].network.flow_logs
    assert [one["TrafficType"] for one in logs] == ([] if wanted == "none" else [wanted.upper()])
    assert load()["prod"].network.flow_logs != "none"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stack_is_bound_to_its_region_and_kept_where_the_stage_is(made, stage):
    import json

    manifest = json.loads((made.folder / "manifest.json").read_text())["artifacts"]
    stacks = {
        name: one
        for name, one in manifest.items()
        if name.startswith(f"Mailloom{stage.capitalize()}") and one["type"] == "aws:cloudformation:stack"
    }
    assert len(stacks) == 7
    assert {one["environment"] for one in stacks.values()} == {f"aws://unknown-account/{load()[stage].region}"}
    assert {one["properties"].get("terminationProtection", False) for one in stacks.values()} == {load()[stage].protect}


@pytest.mark.parametrize("stage", STAGES)
def test_every_group_of_the_stage_is_one_of_the_network(made, stage):
    """A group that another stack makes for itself would have rules that nobody reads here."""
    groups = made.all(stage, "AWS::EC2::SecurityGroup")
    assert len(groups) == 8
    assert {one.stack for one in groups} == {"network"}
    rules = [one for kind in ("Ingress", "Egress") for one in made.all(stage, f"AWS::EC2::SecurityGroup{kind}")]
    assert {one.stack for one in rules} == {"network"}
