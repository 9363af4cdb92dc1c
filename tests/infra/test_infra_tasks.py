"""Tasks and services on Fargate: commands that exist, an end without loss, Spot, a way back."""

from __future__ import annotations

import json

import click
import pytest
from values import Values

from infra.config.load import load
from mailloom.cli import group

STAGES = ("dev", "staging", "prod")
SERVICES = {"work", "large", "settle", "next", "shadow"}


def tasks(made, stage):
    prefix = f"mailloom-{stage}-"
    found = {
        one.properties["Family"].removeprefix(prefix): one.properties
        for one in made.all(stage, "AWS::ECS::TaskDefinition")
    }
    assert set(found) == SERVICES | {"doctor", "desk", "migrate"}
    return found


def container(task, name="mailloom"):
    (found,) = [one for one in task["ContainerDefinitions"] if one["Name"] == name]
    return found


def services(made, stage):
    values = Values(made.templates[stage])
    found = {
        values.resource(one.properties["TaskDefinition"])["Properties"]["Family"].rpartition("-")[2]: one.properties
        for one in made.all(stage, "AWS::ECS::Service")
    }
    assert set(found) == SERVICES
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_each_command_exists_with_its_options(made, stage):
    for task in tasks(made, stage).values():
        name, *arguments = container(task)["Command"]
        context = click.Context(group)
        command = group.get_command(context, name)
        assert command is not None, name
        command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize("stage", STAGES)
def test_tasks_run_on_arm_as_nobody_and_write_nowhere(made, stage):
    for task in tasks(made, stage).values():
        assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        assert task["RequiresCompatibilities"] == ["FARGATE"]
        for one in task["ContainerDefinitions"]:
            assert one["ReadonlyRootFilesystem"] is True
            assert one["User"] == "10001:10001"
        assert container(task)["LinuxParameters"]["InitProcessEnabled"] is True


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_has_the_time_that_it_needs_to_end(made, stage):
    from mailloom.config import Worker

    for task in tasks(made, stage).values():
        for one in task["ContainerDefinitions"]:
            assert Worker().drain_seconds + 20 <= one["StopTimeout"] <= 120  # the most that Fargate gives


@pytest.mark.parametrize("stage", STAGES)
def test_what_serves_is_asked_whether_it_lives(made, stage):
    for name, task in tasks(made, stage).items():
        one = container(task)
        port = {v["Name"]: v["Value"] for v in one["Environment"]}["MAILLOOM_WORKER_HEALTH_PORT"]
        if name in SERVICES:
            assert f":{port}/healthz" in one["HealthCheck"]["Command"][-1]
            compile(one["HealthCheck"]["Command"][-1], "probe", "exec")
        else:
            assert "HealthCheck" not in one
            assert port == "0"


@pytest.mark.parametrize("stage", STAGES)
def test_lines_never_hold_up_mail_and_end_some_day(made, stage):
    values = Values(made.templates[stage])
    for task in tasks(made, stage).values():
        for one in task["ContainerDefinitions"]:
            options = one["LogConfiguration"]["Options"]
            assert options["mode"] == "non-blocking"
            group = values.resource(options["awslogs-group"])
            assert group["Properties"]["RetentionInDays"] == load()[stage].watch.log_days


@pytest.mark.parametrize("stage", STAGES)
def test_images_come_from_our_own_registry_by_tag(made, stage):
    values = Values(made.templates[stage])
    registries = {one.id for one in made.all(stage, "AWS::ECR::Repository")}
    assert len(registries) == 2
    for task in tasks(made, stage).values():
        for one in task["ContainerDefinitions"]:
            image = values.text(one["Image"])
            wanted = load()[stage].release
            tag = wanted.collector_image if one["Name"] == "collector" else wanted.image
            assert image.endswith(f":{tag}")
            assert ".dkr.ecr." in image


@pytest.mark.parametrize("stage", STAGES)
def test_traces_go_to_a_collector_beside_where_wanted(made, stage):
    for name, task in tasks(made, stage).items():
        environment = {v["Name"]: v["Value"] for v in container(task)["Environment"]}
        if load()[stage].workers.tracing and name in SERVICES:
            collector = container(task, "collector")
            assert collector["Essential"] is False
            config = {v["Name"]: v["Value"] for v in collector["Environment"]}["AOT_CONFIG_CONTENT"]
            assert environment["MAILLOOM_OBS_OTLP_ENDPOINT"].removeprefix("http://") in config
            assert "awsxray" in config
        else:
            assert len(task["ContainerDefinitions"]) == 1
            assert "MAILLOOM_OBS_OTLP_ENDPOINT" not in environment


@pytest.mark.parametrize("stage", STAGES)
def test_a_deployment_that_goes_wrong_goes_back(made, stage):
    values = Values(made.templates[stage])
    for name, service in services(made, stage).items():
        how = service["DeploymentConfiguration"]
        assert how["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
        assert how["Alarms"]["Enable"] is how["Alarms"]["Rollback"] is True
        watched = {values.resource(alarm)["Properties"]["AlarmName"] for alarm in how["Alarms"]["AlarmNames"]}
        assert watched == {f"mailloom-{stage}-release-errors", f"mailloom-{stage}-release-dead"}
        if name != "settle":
            assert how["MinimumHealthyPercent"] == 100
            assert how["MaximumPercent"] == 200
        assert service["EnableExecuteCommand"] is False
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"


@pytest.mark.parametrize("stage", STAGES)
def test_alarms_of_deployments_point_at_what_the_code_counts(made, stage):
    from mailloom.obs.metrics import TABLE

    alarms = [
        one.properties
        for one in made.all(stage, "AWS::CloudWatch::Alarm")
        if "-release-" in str(one.properties.get("AlarmName"))
    ]
    assert len(alarms) >= 3
    ours = [one for one in alarms if str(one.get("Namespace", "")).startswith("Mailloom")]
    assert len(ours) == 1
    assert set(TABLE[ours[0]["MetricName"]].dimensions) >= {one["Name"] for one in ours[0]["Dimensions"]}
    for one in alarms:
        assert "AlarmActions" not in one  # it stops a deployment and calls nobody
        assert one["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("stage", STAGES)
def test_capacity_is_spot_above_the_base(made, stage):
    wanted = load()[stage].workers
    found = {one["CapacityProvider"]: one for one in services(made, stage)["work"]["CapacityProviderStrategy"]}
    assert found["FARGATE_SPOT"]["Weight"] == wanted.spot_percent
    if wanted.base_tasks:
        assert found["FARGATE"]["Base"] == wanted.base_tasks
    assert sum(one["Weight"] for one in found.values()) == 100
    (cluster,) = made.all(stage, "AWS::ECS::Cluster")
    assert cluster.properties["ClusterSettings"] == [{"Name": "containerInsights", "Value": "enabled"}]
    (providers,) = made.all(stage, "AWS::ECS::ClusterCapacityProviderAssociations")
    assert set(providers.properties["CapacityProviders"]) == {"FARGATE", "FARGATE_SPOT"}


@pytest.mark.parametrize("stage", STAGES)
def test_no_secret_is_in_a_template(made, stage):
    for task in tasks(made, stage).values():
        text = json.dumps(task)
        assert "password=" not in text
        assert "resolve:secretsmanager" not in text
