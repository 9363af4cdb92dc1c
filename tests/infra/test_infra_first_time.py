"""What would fail in an account though every template is valid: order, rights and times that only AWS sees."""

from __future__ import annotations

import pytest
from values import Values

from conftest import STAGES, Made


@pytest.mark.parametrize("stage", STAGES)
def test_services_come_after_what_their_first_tasks_need(made: Made, stage):
    """A service before its capacity providers isn't made, and providers that a service still uses aren't deleted; a role without its policy pulls no image."""
    resources = made.templates[stage]["compute"]["Resources"]
    (providers,) = (
        id_ for id_, one in resources.items() if one["Type"] == "AWS::ECS::ClusterCapacityProviderAssociations"
    )
    services = {id_: one for id_, one in resources.items() if one["Type"] == "AWS::ECS::Service"}
    assert len(services) == 5
    for one in services.values():
        assert providers in one["DependsOn"]
        task = resources[one["Properties"]["TaskDefinition"]["Ref"]]
        starts = task["Properties"]["ExecutionRoleArn"]["Fn::GetAtt"][0]
        policies = {
            id_
            for id_, each in resources.items()
            if each["Type"] == "AWS::IAM::Policy" and {"Ref": starts} in each["Properties"]["Roles"]
        }
        assert policies
        assert policies <= set(one["DependsOn"])


@pytest.mark.parametrize("stage", STAGES)
def test_a_migration_that_hangs_is_told_of_before_who_called_it_has_no_time_left(made: Made, stage):
    values = Values(made.templates[stage])
    resources = made.templates[stage]["compute"]["Resources"]
    calls = [one for one in resources.values() if one["Type"] == "Custom::MailloomMigration"]
    assert calls
    for one in calls:
        framework = values.resource(one["Properties"]["ServiceToken"])["Properties"]
        called = values.resource(framework["Environment"]["Variables"]["USER_ON_EVENT_FUNCTION_ARN"])["Properties"]
        assert called["Timeout"] + 30 <= framework["Timeout"] <= 900
        assert framework["Timeout"] < int(one["Properties"]["ServiceTimeout"]) <= 3600


@pytest.mark.parametrize("stage", STAGES)
def test_letters_that_somebody_looks_at_stop_no_deployment(made: Made, stage):
    """`mailloom dead list` hides letters for a while: what comes back is not new. SQS has no figure where nothing is hidden."""
    (alarm,) = (
        one.properties
        for one in made.all(stage, "AWS::CloudWatch::Alarm")
        if one.properties.get("AlarmName") == f"mailloom-{stage}-release-dead"
    )
    metrics = {one["Id"]: one["MetricStat"]["Metric"]["MetricName"] for one in alarm["Metrics"] if "MetricStat" in one}
    assert metrics == {
        "visible": "ApproximateNumberOfMessagesVisible",
        "held": "ApproximateNumberOfMessagesNotVisible",
    }
    (expression,) = (one["Expression"] for one in alarm["Metrics"] if one["ReturnData"])
    assert expression == "DIFF(visible + FILL(held, 0))"


@pytest.mark.parametrize("stage", STAGES)
def test_a_distributed_map_may_handle_its_own_executions(made: Made, stage):
    """ARNs of "IAM policies for using Distributed Map states": a child has the map's label behind the machine's name, the parent has not."""
    values = Values(made.templates[stage])
    allowed: dict[str, set[str]] = {}
    for policy in made.all(stage, "AWS::IAM::Policy"):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                if action.startswith("states:") and policy.stack == "history" and policy.id.startswith("Backfill"):
                    listed = statement["Resource"]
                    allowed.setdefault(action, set()).update(
                        values.text(one, "history") for one in (listed if isinstance(listed, list) else [listed])
                    )
    for action in ("states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"):
        ends = {
            one.partition(":execution:")[2].lstrip("abcdefghijklmnopqrstuvwxyz0123456789-") for one in allowed[action]
        }
        assert ends == {":*", "/*:*"}, action
