"""Services scale by their backlog a task: the formula is worked out here as CloudWatch would."""

from __future__ import annotations

import pytest
from values import Values

from infra.config.load import load
from mailloom.plan.scaling import DEFAULT

STAGES = ("dev", "staging", "prod")


def evaluate(expression: str, metrics: dict[str, float | None]) -> float | None:
    """CloudWatch's metric math, as far as it is used: a metric without data is None, and so is what is made of it."""

    def fill(value: float | None, default: float) -> float:
        return default if value is None else value

    def choose(condition: bool, yes: float | None, no: float | None) -> float | None:
        return yes if condition else no

    try:
        return eval(expression, {"__builtins__": {}, "FILL": fill, "IF": choose}, dict(metrics))
    except TypeError:  # of None
        return None


def policies(made, stage, kind):
    found = [
        one.properties
        for one in made.all(stage, "AWS::ApplicationAutoScaling::ScalingPolicy")
        if one.stack == "compute"
    ]
    return [one for one in found if one["PolicyType"] == kind]


@pytest.mark.parametrize("stage", STAGES)
def test_the_backlog_is_all_that_is_not_done_over_the_tasks_that_run(made, stage):
    values = Values(made.templates[stage])
    tracked = [
        policy
        for policy in policies(made, stage, "TargetTrackingScaling")
        if "CustomizedMetricSpecification" in policy["TargetTrackingScalingPolicyConfiguration"]
    ]
    assert len(tracked) == 4
    for policy in tracked:
        how = policy["TargetTrackingScalingPolicyConfiguration"]
        metrics = {one["Id"]: one for one in how["CustomizedMetricSpecification"]["Metrics"]}
        assert [one["ReturnData"] for one in metrics.values()].count(True) == 1
        names = {id_: one["MetricStat"]["Metric"]["MetricName"] for id_, one in metrics.items() if "MetricStat" in one}
        assert names == {
            "visible": "ApproximateNumberOfMessagesVisible",
            "held": "ApproximateNumberOfMessagesNotVisible",
            "running": "RunningTaskCount",
        }
        backlog = metrics["backlog"]["Expression"]
        assert evaluate(backlog, {"visible": 90.0, "held": 10.0, "running": 5.0}) == 20
        assert evaluate(backlog, {"visible": 90.0, "held": 10.0, "running": 0.0}) == 100
        assert (
            evaluate(backlog, {"visible": 90.0, "held": None, "running": 3.0}) == 30
        )  # SQS tells of no messages by nothing
        # Of a minute that isn't complete yet, no figure: filled in, forty tasks were one, or a long queue none.
        assert evaluate(backlog, {"visible": 90.0, "held": 10.0, "running": None}) is None
        assert evaluate(backlog, {"visible": None, "held": None, "running": 40.0}) is None
        visible, running = (metrics[id_]["MetricStat"]["Metric"]["Dimensions"] for id_ in ("visible", "running"))
        queue = values.resource(visible[0]["Value"])
        assert queue["Type"] == "AWS::SQS::Queue"
        service = values.resource({d["Name"]: d["Value"] for d in running}["ServiceName"])
        assert service["Type"] == "AWS::ECS::Service"
        target = values.resource(policy["ScalingTargetId"])["Properties"]
        assert values.place({d["Name"]: d["Value"] for d in running}["ServiceName"]).id in str(target["ResourceId"])
        assert how["TargetValue"] > 0
        assert how["ScaleOutCooldown"] >= 60
        assert how["ScaleInCooldown"] >= how["ScaleOutCooldown"]


@pytest.mark.parametrize("stage", STAGES)
def test_tasks_are_bounded_as_the_stage_says(made, stage):
    wanted = load()[stage].workers
    values = Values(made.templates[stage])
    bounds = {}
    for one in made.all(stage, "AWS::ApplicationAutoScaling::ScalableTarget"):
        if one.stack == "compute":
            service = values.text(one.properties["ResourceId"]).rpartition("/")[2]
            bounds[service] = (one.properties["MinCapacity"], one.properties["MaxCapacity"])
    assert sorted(bounds.values()) == sorted(
        [(wanted.min_tasks, wanted.max_tasks), (0, wanted.max_large), (0, wanted.max_tasks), (0, wanted.max_tasks)]
    )


def calling(made, stage, policy):
    """Alarms that call step policies whose name ends so, with their one expression."""
    values = Values(made.templates[stage])
    found = []
    for one in made.all(stage, "AWS::CloudWatch::Alarm"):
        if one.stack == "compute" and (actions := one.properties.get("AlarmActions")):
            called = values.resource(actions[0])["Properties"]
            assert called["PolicyType"] == "StepScaling"
            if called["PolicyName"].endswith(policy):
                (expression,) = [each["Expression"] for each in one.properties["Metrics"] if each["ReturnData"]]
                found.append((one.properties, called["StepScalingPolicyConfiguration"], expression))
    return found


def without_tasks(made, stage):
    return [
        one
        for one in made.all(stage, "AWS::ApplicationAutoScaling::ScalableTarget")
        if one.stack == "compute" and one.properties["MinCapacity"] == 0
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_a_service_without_tasks_gets_its_first(made, stage):
    alarms = calling(made, stage, "-first")
    assert len(alarms) == len(without_tasks(made, stage)) >= 3
    for alarm, step, waiting in alarms:
        assert step["AdjustmentType"] == "ChangeInCapacity"
        assert [one["ScalingAdjustment"] for one in step["StepAdjustments"]] == [1]
        assert evaluate(waiting, {"visible": 3.0, "running": None}) >= alarm["Threshold"]
        assert evaluate(waiting, {"visible": 3.0, "running": 1.0}) < alarm["Threshold"]
        assert evaluate(waiting, {"visible": None, "running": None}) is None
        # ECS's figures may be two minutes later than those of SQS: one minute without them is no service without tasks.
        assert alarm["EvaluationPeriods"] >= 3
        assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) >= 3


@pytest.mark.parametrize("stage", STAGES)
def test_a_service_with_nothing_to_do_goes_back_to_none(made, stage):
    """By target tracking it can't: an idle task has more than no CPU, and a part of a task is rounded up."""
    alarms = calling(made, stage, "-last")
    assert len(alarms) == len(without_tasks(made, stage)) >= 3
    for alarm, step, waiting in alarms:
        assert step["AdjustmentType"] == "ExactCapacity"
        (only,) = step["StepAdjustments"]
        assert (only["ScalingAdjustment"], only.get("MetricIntervalUpperBound"), alarm["Threshold"]) == (0, 0, 1)
        assert alarm["ComparisonOperator"] == "LessThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["EvaluationPeriods"] >= 10
        assert evaluate(waiting, {"visible": 0.0, "held": None}) < alarm["Threshold"]
        assert evaluate(waiting, {"visible": 0.0, "held": 1.0}) >= alarm["Threshold"]
        assert evaluate(waiting, {"visible": 1.0, "held": None}) >= alarm["Threshold"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_deployment_leaves_the_number_of_tasks_alone(made, stage):
    scaled = {
        Values(made.templates[stage]).text(one.properties["ResourceId"]).rpartition("/")[2]
        for one in made.all(stage, "AWS::ApplicationAutoScaling::ScalableTarget")
        if one.stack == "compute"
    }
    assert scaled
    for one in made.all(stage, "AWS::ECS::Service"):
        if f"compute-{one.id.lower()}" in scaled:
            assert "DesiredCount" not in one.properties
        else:
            assert one.properties["DesiredCount"] == 1  # the settler


def test_prod_is_what_the_plan_plays(made):
    """`mailloom plan` simulates a policy and prices its tasks: it must be the one that is deployed."""
    workers = load()["prod"].workers
    assert (workers.cpu, workers.memory_mb) == (1024 * DEFAULT.vcpu, 1024 * DEFAULT.memory)
    assert (workers.min_tasks, workers.max_tasks) == (DEFAULT.min_tasks, DEFAULT.max_tasks)
    assert (workers.base_tasks, workers.spot_percent) == (DEFAULT.on_demand_base, 100 * DEFAULT.spot_share)
    found = {
        policy["PolicyName"]: policy["TargetTrackingScalingPolicyConfiguration"]
        for policy in policies(made, "prod", "TargetTrackingScaling")
    }
    backlog, cpu = found["work-backlog"], found["work-cpu"]
    assert backlog["TargetValue"] == pytest.approx(DEFAULT.backlog_per_task)
    assert cpu["TargetValue"] == pytest.approx(100 * DEFAULT.cpu_target)
    assert cpu["PredefinedMetricSpecification"] == {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    for one in (backlog, cpu):
        assert one["ScaleOutCooldown"] == DEFAULT.scale_out_cooldown
        assert one["ScaleInCooldown"] == DEFAULT.scale_in_cooldown
        assert "DisableScaleIn" not in one
    stops = {
        container["StopTimeout"]
        for task in made.all("prod", "AWS::ECS::TaskDefinition")
        for container in task.properties["ContainerDefinitions"]
    }
    assert stops == {DEFAULT.stop_seconds}
