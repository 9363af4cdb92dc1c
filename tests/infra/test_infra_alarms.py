"""Alarms: those that are promised are there, look at metrics that somebody tells, are alarms when they should be, and tell somebody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from watching import OURS, PUBLISHED, breaching, evaluate, expressions, plain, watched

from conftest import STAGES, Made
from mailloom.archive.doctor.servers import CHECKS
from mailloom.obs.metrics import TABLE

KIND, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"
PROMISED = {
    *("queue-age-events", "queue-age-work", "queue-age-next", "queue-age-large", "workers-gone"),
    *("dead-letters", "dead-shadow"),
    *("books-off", "books-open", "archive-faults", "latency", "throughput", "settle-stopped", "dirty-growing"),
    *("validator-errors", "validator-throttles", "function-errors", "function-concurrency", "store-away"),
    *("errors-bug", "errors-poison", "error-share-transient", "error-share-bug", "error-share-poison"),
    *("shadow-failed", "hold-lost", "cache-away", "firehose-late", "firehose-refused", "dynamodb-throttles"),
    *("database-lag", "database-full", "database-cpu", "database-ids"),
    *("search-red", "search-blocked", "search-disk", "search-memory", "search-snapshot"),
    *("backfill-failed", "nightly-failed", "nightly-missing", "schedule-lost"),
}


def alarms(made: Made, stage: str) -> dict[str, Mapping[str, Any]]:
    """Name without the stage's prefix -> properties, of the alarms of the watch stack on metrics."""
    found = [one for one in made.all(stage, KIND) if one.stack == "watch"]
    return {one.properties["AlarmName"].removeprefix(f"mailloom-{stage}-"): one.properties for one in found}


def composites(made: Made, stage: str) -> dict[str, Mapping[str, Any]]:
    found = made.all(stage, COMPOSITE)
    return {one.properties["AlarmName"].removeprefix(f"mailloom-{stage}-"): one.properties for one in found}


@pytest.mark.parametrize("stage", STAGES)
def test_every_promised_alarm_is_there(made, stage):
    more = set() if stage == "dev" else {"search-yellow"}  # one node alone has no place for a replica
    assert alarms(made, stage).keys() == PROMISED | more
    assert composites(made, stage).keys() == {"behind", "stores"}


@pytest.mark.parametrize("stage", STAGES)
def test_alarms_look_at_what_processes_tell_and_aws_publishes(made, stage):
    seen, own = 0, 0
    for name, alarm in alarms(made, stage).items():
        for used in watched(alarm):
            seen += 1
            if used.namespace.startswith(OURS):
                own += 1
                metric = TABLE[used.name]
                sets = {(), tuple(sorted(metric.dimensions)), *(tuple(sorted(some)) for some in metric.also)}
                assert tuple(sorted(used.dimensions)) in sets, (name, used)
                assert used.unit == metric.unit, (name, used)
                assert metric.kind != "distribution" or re.fullmatch(r"p\d+|SampleCount", used.stat), (name, used)
                assert metric.kind != "counter" or used.stat == "Sum", (name, used)
                assert metric.kind != "gauge" or used.stat in {"Maximum", "Minimum"}, (name, used)
            else:
                assert used.name in PUBLISHED[used.namespace][tuple(sorted(used.dimensions))], (name, used)
                assert used.unit == ""
    assert seen > 60
    assert own > 20


@pytest.mark.parametrize("stage", STAGES)
def test_values_of_dimensions_are_those_that_processes_tell(made, stage):
    known = {
        "kind": {"transient", "bug", "poison"},
        "state": {"received", "stored", "duplicate", "rejected"},
        "check": set(CHECKS),
        "outcome": {"hit", "miss", "away", "failed"},
    }
    seen = set()
    for alarm in alarms(made, stage).values():
        for used in watched(alarm):
            for name, value in used.dimensions.items() if used.namespace.startswith(OURS) else ():
                assert value in known[name]
                seen.add(name)
    assert seen == known.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_the_namespace_is_that_in_which_processes_tell(made, stage):
    told = {used.namespace for alarm in alarms(made, stage).values() for used in watched(alarm)}
    assert {one for one in told if one.startswith("Mailloom")} == {f"Mailloom/{stage}"}
    settings = [
        one.properties["Environment"]["Variables"]
        for one in made.all(stage, "AWS::Lambda::Function")
        if "Environment" in one.properties
    ]
    for task in made.all(stage, "AWS::ECS::TaskDefinition"):
        settings += [
            {pair["Name"]: pair["Value"] for pair in box.get("Environment", ())}
            for box in task.properties["ContainerDefinitions"]
        ]
    emitting = [one for one in settings if one.get("MAILLOOM_OBS_EMF") == "true"]
    assert len(emitting) >= 8
    assert {one["MAILLOOM_OBS_NAMESPACE"] for one in emitting} == {f"Mailloom/{stage}"}


@pytest.mark.parametrize("stage", STAGES)
def test_cloudwatch_takes_them(made, stage):
    """What it refuses only when it is deployed ("Limits that apply to alarms", CloudWatch user guide)."""
    for name, alarm in alarms(made, stage).items():
        used = list(watched(alarm))
        assert len(used) <= 10, name
        periods = {one.period for one in used} | {one["Period"] for one in alarm.get("Metrics", ()) if "Period" in one}
        assert len(periods) == 1, name
        (period,) = periods
        assert period * alarm["EvaluationPeriods"] <= (7 * 86_400 if period >= 3600 else 86_400), name
        assert len(alarm["AlarmDescription"]) <= 1024, name
        ids = {one["Id"] for one in alarm.get("Metrics", ())}
        for expression in expressions(alarm):
            names = set(re.findall(r"[A-Za-z_]\w*", re.sub(r'"[^"]*"', "", expression)))
            assert {one for one in names if not one.isupper()} <= ids, (name, expression)
            assert {one for one in names if one.isupper()} <= {
                *("FILL", "IF", "AND", "MAX", "LAMBDA", "ANOMALY_DETECTION_BAND")
            }, (name, expression)
        returned = [one["Id"] for one in alarm.get("Metrics", ()) if one.get("ReturnData", True)]
        if band := alarm.get("ThresholdMetricId"):
            assert band in returned
            assert len(returned) == 2
            assert "Threshold" not in alarm
        elif "Metrics" in alarm:
            assert len(returned) == 1


# ------------------------------------------------------------------------------------------------ when they are alarms
QUEUES = {f"{queue}{state}": 0.0 for queue in ("work", "large", "next", "dead") for state in ("Visible", "NotVisible")}
CASES = [
    ("workers-gone", {"waiting": 0, "received": 0}, False),
    ("workers-gone", {"waiting": 5, "received": 0}, True),
    ("workers-gone", {"waiting": 5, "received": None}, True),
    ("workers-gone", {"waiting": 5, "received": 1}, False),
    ("workers-gone", {"waiting": None, "received": None}, False),
    ("dead-letters", {"queue": 0, "told": 0}, False),
    ("dead-letters", {"queue": 1, "told": None}, True),
    ("dead-letters", {"queue": None, "told": 1}, True),
    ("books-off", {"books": 0, "overdue": 0}, False),
    ("books-off", {"books": 0, "overdue": 1}, True),
    ("books-off", {"books": 1, "overdue": 0}, True),
    # ten came, eight ended (18 entries in the books): two must be somewhere
    ("books-open", {"received": 10, "all": 18, **QUEUES, "workVisible": 2}, False),
    ("books-open", {"received": 10, "all": 18, **QUEUES, "workVisible": 1, "deadVisible": 1}, False),
    ("books-open", {"received": 10, "all": 18, **QUEUES, "workNotVisible": 1}, True),
    ("books-open", {"received": 10, "all": 20, **QUEUES}, False),
    ("books-open", {"received": 0, "all": 7, **QUEUES}, False),  # only the backlog of before was worked off
    ("books-open", {"received": None, "all": None, **QUEUES}, False),
    ("store-away", {"retries": 3, "mails": None}, True),
    ("store-away", {"retries": 3, "mails": 500}, False),
    ("store-away", {"retries": None, "mails": None}, False),
    ("cache-away", {"away": 6, "hit": 90, "miss": 4}, True),
    ("cache-away", {"away": 5, "hit": 90, "miss": 5}, False),
    ("cache-away", {"away": None, "hit": None, "miss": None}, False),
    ("firehose-refused", {"throttled": None, "failed": None}, False),
    ("firehose-refused", {"throttled": None, "failed": 1}, True),
]


@pytest.mark.parametrize(("name", "values", "is_alarm"), CASES)
def test_an_alarm_is_one_when_it_should_be(made, name, values, is_alarm):
    for stage in STAGES:
        assert breaching(alarms(made, stage)[name], values) is is_alarm


def test_one_letter_of_the_shadow_tells_and_is_no_dead_mail(made):
    for stage in STAGES:
        found = alarms(made, stage)
        shadow, mail = found["dead-shadow"], found["dead-letters"]
        assert (shadow["ComparisonOperator"], shadow["Threshold"]) == ("GreaterThanThreshold", 0)
        queues = [
            {str(used.dimensions["QueueName"]) for used in watched(alarm) if used.namespace == "AWS/SQS"}
            for alarm in (shadow, mail)
        ]
        assert [len(some) for some in queues] == [1, 1]
        assert "DeadShadow" in queues[0].pop()
        assert "DeadShadow" not in queues[1].pop()


@pytest.mark.parametrize("kind", ["transient", "bug", "poison"])
def test_the_share_of_errors_is_one_of_a_hundred_and_is_held_against_a_band(made, kind):
    alarm = alarms(made, "prod")[f"error-share-{kind}"]
    assert alarm["ComparisonOperator"] == "GreaterThanUpperThreshold"
    share, band = sorted(expressions(alarm), key=lambda one: "BAND" in one)
    assert re.fullmatch(r"ANOMALY_DETECTION_BAND\(\w+, \d\)", band)
    assert evaluate(share, {"errors": 1, "mails": 99}) == 1
    assert evaluate(share, {"errors": None, "mails": 99}) == 0
    assert evaluate(share, {"errors": None, "mails": None}) is None


def test_silence_is_an_alarm_only_where_somebody_should_always_speak(made):
    for stage in STAGES:
        by = {}
        for name, alarm in alarms(made, stage).items():
            by.setdefault(alarm["TreatMissingData"], set()).add(name)
        assert by["breaching"] == {"settle-stopped", "nightly-missing"}
        assert by["ignore"] == {"books-off", "archive-faults"}  # told once a night
        for name in by["ignore"]:  # and filled in, an hour without news would be an hour without a fault
            assert "FILL" not in str(alarms(made, stage)[name].get("Metrics"))
        assert by.keys() == {"breaching", "ignore", "notBreaching"}


def test_half_of_last_week_is_asked_of_the_function_that_cloudwatch_may_call(made):
    for stage in STAGES:
        alarm = alarms(made, stage)["throughput"]
        assert expressions(alarm) == [f'LAMBDA("mailloom-{stage}-week", "share")']
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 0.5)
        (function,) = [
            one
            for one in made.all(stage, "AWS::Lambda::Function")
            if one.properties.get("FunctionName") == f"mailloom-{stage}-week"
        ]
        code = function.properties["Code"]["ZipFile"]
        compile(code, "week_before.py", "exec")
        assert function.properties["Handler"] == "index.handler"
        for name in re.findall(r'os\.environ\["(\w+)"\]', code):
            assert name in function.properties["Environment"]["Variables"]
        assert function.properties["Environment"]["Variables"]["METRIC"] in TABLE
        allowed = [
            one.properties
            for one in made.all(stage, "AWS::Lambda::Permission")
            if one.properties["Principal"] == "lambda.datasource.cloudwatch.amazonaws.com"
        ]
        assert [one["Action"] for one in allowed] == ["lambda:InvokeFunction"]
        assert allowed[0]["SourceAccount"] == {"Ref": "AWS::AccountId"}
        assert allowed[0]["FunctionName"]["Fn::GetAtt"][0] == function.id


# ------------------------------------------------------------------------------------------------ who is told
@pytest.mark.parametrize("stage", STAGES)
def test_each_alarm_tells_one_topic_or_is_part_of_one_that_does(made, stage):
    topics = {one.id: one for one in made.all(stage, "AWS::SNS::Topic") if one.stack == "watch"}
    assert len(topics) == 2
    behind = composites(made, stage)["behind"]
    silent = set()
    for name, alarm in {**alarms(made, stage), "behind": behind}.items():
        assert alarm.get("ActionsEnabled", True)
        if "AlarmActions" in alarm:
            assert len(alarm["AlarmActions"]) == 1
            assert alarm["AlarmActions"][0]["Ref"] in topics
            assert alarm["OKActions"] == alarm["AlarmActions"]  # that it is over is news, too
        else:
            silent.add(name)
    assert silent == {
        *("queue-age-events", "queue-age-work", "queue-age-next", "queue-age-large"),
        *("latency", "throughput", "validator-errors"),
    }
    ids = {one.properties["AlarmName"]: one.id for one in made.all(stage, KIND) if one.stack == "watch"}
    rule = json.dumps(behind["AlarmRule"])
    assert {name for name in alarms(made, stage) if f'"{ids[f"mailloom-{stage}-{name}"]}"' in rule} == silent


@pytest.mark.parametrize("stage", STAGES)
def test_what_follows_is_silent_while_a_store_is_away(made, stage):
    found = composites(made, stage)
    stores = next(one for one in made.all(stage, COMPOSITE) if one.properties is found["stores"])
    assert found["behind"]["ActionsSuppressor"] == {"Fn::GetAtt": [stores.id, "Arn"]}
    assert "AlarmActions" not in found["stores"]
    ids = {one.properties["AlarmName"]: one.id for one in made.all(stage, KIND) if one.stack == "watch"}
    rule = json.dumps(found["stores"]["AlarmRule"])
    causes = {name for name in alarms(made, stage) if f'"{ids[f"mailloom-{stage}-{name}"]}"' in rule}
    assert causes == {
        *("store-away", "search-red", "search-blocked", "dynamodb-throttles", "database-full", "database-cpu")
    }
    assert all("AlarmActions" in alarms(made, stage)[name] for name in causes)  # they tell by themselves


@pytest.mark.parametrize("stage", STAGES)
def test_topics_are_encrypted_take_tls_only_and_take_what_aws_tells(made, stage):
    topics = [one for one in made.all(stage, "AWS::SNS::Topic") if one.stack == "watch"]
    keys = {one.id: one for one in made.all(stage, "AWS::KMS::Key") if one.stack == "watch"}
    policies = [one for one in made.all(stage, "AWS::SNS::TopicPolicy") if one.stack == "watch"]
    assert len(topics) == len(policies) == 2
    for topic in topics:
        key = keys[topic.properties["KmsMasterKeyId"]["Fn::GetAtt"][0]].properties
        assert key["EnableKeyRotation"]
        may_use = [
            set(one["Principal"]["Service"]) & {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
            for one in key["KeyPolicy"]["Statement"]
            if {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(one["Action"]) and "Service" in one["Principal"]
        ]
        assert may_use == [{"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}]
        (policy,) = [one for one in policies if one.properties["Topics"] == [{"Ref": topic.id}]]
        statements = policy.properties["PolicyDocument"]["Statement"]
        denied = [one for one in statements if one["Effect"] == "Deny"]
        assert [one["Condition"] for one in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
        (allowed,) = [one for one in statements if one["Effect"] == "Allow"]
        assert set(allowed["Principal"]["Service"]) == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
        assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("stage", STAGES)
def test_alarms_of_other_stacks_tell_nobody(made, stage):
    """Those are for scaling and deployments; who shall be told is told from here."""
    others = [one for one in made.all(stage, KIND) if one.stack != "watch"]
    topics = {one.id for one in made.all(stage, "AWS::SNS::Topic")}
    assert others
    for one in others:
        assert one.properties["AlarmDescription"].endswith("Tells nobody."), one.id
        assert not topics & set(re.findall(r"\w+", plain(json.dumps(one.properties.get("AlarmActions", [])))))


# ------------------------------------------------------------------------------------------------ money, logs
@pytest.mark.parametrize("stage", STAGES)
def test_the_budget_tells_before_it_is_spent(made, stage):
    from infra.config.load import load

    (budget,) = made.all(stage, "AWS::Budgets::Budget")
    limits = budget.properties["Budget"]
    assert limits["BudgetLimit"] == {"Amount": load()[stage].watch.budget_usd, "Unit": "USD"}
    assert (limits["BudgetType"], limits["TimeUnit"]) == ("COST", "MONTHLY")
    assert limits["CostFilters"] == {"TagKeyValue": [f"user:mailloom:stage${stage}"]}
    topics = {one.id for one in made.all(stage, "AWS::SNS::Topic") if one.stack == "watch"}
    told = set()
    for one in budget.properties["NotificationsWithSubscribers"]:
        what = one["Notification"]
        told.add((what["NotificationType"], what["Threshold"], what["ThresholdType"], what["ComparisonOperator"]))
        assert [(to["SubscriptionType"], to["Address"]["Ref"] in topics) for to in one["Subscribers"]] == [
            ("SNS", True)
        ]
    assert told == {
        (kind, percent, "PERCENTAGE", "GREATER_THAN")
        for kind, percent in (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
    }
    tags = {tag["Key"]: tag["Value"] for tag in made.all(stage, "AWS::S3::Bucket")[0].properties["Tags"]}
    assert tags["mailloom:stage"] == stage  # what the budget counts


@pytest.mark.parametrize("stage", STAGES)
def test_no_log_is_kept_for_ever(made, stage):
    groups = made.all(stage, "AWS::Logs::LogGroup")
    assert len(groups) >= 10
    assert [one.id for one in groups if "RetentionInDays" not in one.properties] == []
    functions = made.all(stage, "AWS::Lambda::Function")
    assert functions
    # A function without a group of ours makes its own, which nobody bounds.
    assert [
        f"{one.stack} {one.id}" for one in functions if "LogGroup" not in one.properties.get("LoggingConfig", {})
    ] == []
    boxes = [
        box for one in made.all(stage, "AWS::ECS::TaskDefinition") for box in one.properties["ContainerDefinitions"]
    ]
    assert boxes
    ours = {one.id for one in groups}
    for box in boxes:
        assert box["LogConfiguration"]["Options"]["awslogs-group"]["Ref"] in ours
