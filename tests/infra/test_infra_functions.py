"""Lambda functions: their handlers exist, their queues wait long enough, new versions come by a canary."""

from __future__ import annotations

import pytest
from values import Values

from infra.config.load import load
from mailloom.run import aws_lambda

STAGES = ("dev", "staging", "prod")
HANDLERS = {"validate", "prefix", "manifest", "enqueue", "migrate"}


def functions(made, stage):
    found = {
        one.properties["Handler"].rpartition(".")[2]: one
        for one in made.all(stage, "AWS::Lambda::Function")
        if one.properties["Handler"].startswith("mailloom.")
    }
    assert set(found) >= HANDLERS
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_each_handler_is_there(made, stage):
    for handler, one in functions(made, stage).items():
        assert one.properties["Handler"] == f"mailloom.run.aws_lambda.{handler}"
        assert callable(getattr(aws_lambda, handler))


@pytest.mark.parametrize("stage", STAGES)
def test_functions_run_on_arm_in_the_private_network_and_are_traced(made, stage):
    for one in functions(made, stage).values():
        properties = one.properties
        assert properties["Architectures"] == ["arm64"]
        assert properties["Runtime"] == "python3.13"
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert len(properties["VpcConfig"]["SubnetIds"]) >= 2
        assert len(properties["VpcConfig"]["SecurityGroupIds"]) == 1


@pytest.mark.parametrize("stage", STAGES)
def test_each_has_a_log_of_json_that_ends(made, stage):
    values = Values(made.templates[stage])
    for one in functions(made, stage).values():
        logging = one.properties["LoggingConfig"]
        assert logging["LogFormat"] == "JSON"
        group = values.resource(logging["LogGroup"])
        assert group["Properties"]["RetentionInDays"] == load()[stage].watch.log_days


@pytest.mark.parametrize("stage", STAGES)
def test_no_two_share_a_role(made, stage):
    roles = [str(one.properties["Role"]) for one in functions(made, stage).values()]
    roles += [str(one.properties["TaskRoleArn"]) for one in made.all(stage, "AWS::ECS::TaskDefinition")]
    assert len(roles) >= 10
    assert len(set(roles)) == len(roles)


@pytest.mark.parametrize("stage", STAGES)
def test_events_come_in_batches_whose_failures_are_named(made, stage):
    values = Values(made.templates[stage])
    mappings = made.all(stage, "AWS::Lambda::EventSourceMapping")
    assert mappings
    for one in mappings:
        properties = one.properties
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["BatchSize"] >= 10
        assert properties["MaximumBatchingWindowInSeconds"] >= 1  # which more than ten messages need
        assert properties["ScalingConfig"]["MaximumConcurrency"] >= 2
        alias = values.resource(properties["FunctionName"]["Fn::Join"][1][0]["Fn::Select"][1]["Fn::Split"][1])
        assert alias["Properties"]["Name"] == "live"
        function = values.resource(alias["Properties"]["FunctionName"])
        queue = values.resource(properties["EventSourceArn"])
        assert queue["Type"] == "AWS::SQS::Queue"
        assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Properties"]["Timeout"]
        assert "ReservedConcurrentExecutions" not in function["Properties"]  # calls without room count as receivings


@pytest.mark.parametrize("stage", STAGES)
def test_a_new_validator_takes_a_tenth_first_and_goes_back_at_an_alarm(made, stage):
    values = Values(made.templates[stage])
    (group,) = made.all(stage, "AWS::CodeDeploy::DeploymentGroup")
    properties = group.properties
    assert properties["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    rollback = properties["AutoRollbackConfiguration"]
    assert rollback["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in rollback["Events"]
    alarms = properties["AlarmConfiguration"]
    assert alarms["Enabled"] is True
    watched = {values.resource(alarm["Name"])["Properties"]["AlarmName"] for alarm in alarms["Alarms"]}
    assert watched == {f"mailloom-{stage}-release-{what}" for what in ("validate", "errors", "dead")}
    live = [
        one
        for one in made.all(stage, "AWS::Lambda::Alias")
        if "CodeDeployLambdaAliasUpdate" in one.body.get("UpdatePolicy", {})
    ]
    assert len(live) == 1
    assert values.resource(live[0].properties["FunctionName"])["Properties"]["Handler"].endswith(".validate")


@pytest.mark.parametrize("stage", STAGES)
def test_schema_changes_come_before_all_that_needs_them_and_after_all_that_does_not(made, stage):
    resources = made.templates[stage]["compute"]["Resources"]
    found = {
        body["Properties"]["phase"]: (id_, body)
        for id_, body in resources.items()
        if body["Type"] == "Custom::MailloomMigration"
    }
    before, after = found["before"], found["after"]
    services = {id_ for id_, body in resources.items() if body["Type"] == "AWS::ECS::Service"}
    live = {id_ for id_, body in resources.items() if "CodeDeployLambdaAliasUpdate" in body.get("UpdatePolicy", {})}
    assert len(services) >= 4
    assert len(live) == 1
    for id_ in services | live:
        assert before[0] in resources[id_]["DependsOn"]
    assert services | live <= set(after[1]["DependsOn"])
    for _, body in (before, after):  # again with another zip or another image
        assert "Version" in body["Properties"]["code"]["Fn::GetAtt"][1]
        assert body["Properties"]["image"] == load()[stage].release.image
    framework = Values(made.templates[stage]).resource(before[1]["Properties"]["ServiceToken"])
    called = Values(made.templates[stage]).resource(
        framework["Properties"]["Environment"]["Variables"]["USER_ON_EVENT_FUNCTION_ARN"]
    )
    assert called["Properties"]["Handler"] == "mailloom.run.aws_lambda.migrate"


def test_a_call_of_cloudformation_migrates_and_its_end_undoes_nothing(monkeypatch):
    called: list[bool] = []

    class Servers:
        def migrate(self, *, after: bool) -> list[str]:
            called.append(after)
            return ["done"]

    monkeypatch.setattr(aws_lambda, "_servers", Servers)
    event = {"RequestType": "Update", "ResourceProperties": {"ServiceToken": "arn", "phase": "after", "image": "1.0"}}
    assert aws_lambda.migrate(event) == {"done": ["done"]}
    assert aws_lambda.migrate(event | {"RequestType": "Delete"}) == {"done": []}
    assert aws_lambda.migrate({"phase": "before"}) == {"done": ["done"]}
    assert called == [True, False]
