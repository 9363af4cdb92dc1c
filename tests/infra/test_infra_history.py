"""State machines that are valid, name only what exists, try again what passes, and may do just what they do; schedules; Spark."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import zoneinfo

import pytest
from definitions import definition, states, text

from infra import asl
from infra.config.load import load
from infra.config.stages import WEEKDAYS, History
from infra.history import backfill, nightly
from infra.history.schedules import nights

STAGES = ("dev", "staging", "prod")
ARNS = {
    name: f"arn:aws:lambda:us-east-1:123456789012:function:{name}:live" for name in ("manifest", "enqueue", "prefix")
}
LETTERS = "https://sqs.us-east-1.amazonaws.com/123456789012/letters"
WAYS = {
    "enqueue": backfill.by_enqueue(History(), "bucket", ARNS, LETTERS),
    "prefix": backfill.by_prefix(History(), "bucket", ARNS),
}
NIGHTLY = nightly.definition(
    nightly.Place("arn:aws:ecs:us-east-1:123456789012:cluster/c", ["subnet-1"], ["sg-1"]),
    nightly.Task("settle", "mailloom"),
    nightly.Task("doctor", "mailloom"),
)


@pytest.fixture(scope="module")
def machines(made):
    """(stage, id) -> definition, as it is deployed."""
    found = {
        (stage, machine.id): definition(machine.body)
        for stage in STAGES
        for machine in made.all(stage, "AWS::StepFunctions::StateMachine")
    }
    assert len(found) >= 2 * len(STAGES)
    return found


# ------------------------------------------------------------------------------------------------ definitions
def test_all_definitions_are_valid(machines):
    every = [*machines.values(), *WAYS.values(), NIGHTLY]
    assert asl.validate(every) == [[]] * len(every)
    assert [asl.dangling(each) for each in every] == [[]] * len(every)


def test_what_is_deployed_is_what_the_functions_made(machines):
    """Nothing is lost on the way to the template: null, above all, which keeps a state's input."""
    for (stage, name), deployed in machines.items():
        pure = NIGHTLY if name.startswith("Nightly") else WAYS["enqueue"]
        assert shape(deployed) == shape(pure), f"{stage} {name}"
    assert '["States"]["Enqueue"]["ResultPath"] null' in shape(WAYS["enqueue"])


def shape(value, path=""):
    """Where a definition has which keys, and which of them are null."""
    if isinstance(value, dict):
        return {one for key, each in value.items() for one in shape(each, f'{path}["{key}"]')}
    return {f"{path}{' null' if value is None else ''}"}


def broken(change):
    made = copy.deepcopy(WAYS["enqueue"])
    change(made["States"])
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda states: states["List"].pop("Resource"),
        lambda states: states["List"].update(Type="Tusk"),
        lambda states: states["List"].update(ResultPath="listed"),
        lambda states: states["Enqueue"]["ItemProcessor"].pop("StartAt"),
        lambda states: states["Begin"].pop("Next"),
        lambda states: states["List"]["Retry"][0].pop("ErrorEquals"),
        lambda states: states["List"].update(TimeoutSeconds="long"),
    ],
)
def test_the_validator_sees_a_broken_definition(change):
    (found,) = asl.validate([broken(change)])
    assert found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda states: states["List"].update(Next="Lost"), "/Lost: something leads there"),
        (lambda states: states["All listed?"].update(Default="Lost"), "/Lost: something leads there"),
        (lambda states: states["All listed?"]["Choices"][0].update(Next="Lost"), "/Lost: something leads there"),
        (
            lambda states: states["Enqueue"]["ItemProcessor"]["States"]["Enqueue part"]["Catch"][0].update(Next="Lost"),
            "/Enqueue/Lost: something leads there",
        ),
        (lambda states: states.update(Alone={"Type": "Succeed"}), "/Alone: nothing leads there"),
        (
            lambda states: states["Enqueue"]["ItemProcessor"]["States"].update(Alone={"Type": "Succeed"}),
            "/Enqueue/Alone: nothing leads there",
        ),
    ],
)
def test_a_target_that_is_not_there_and_a_state_that_nothing_leads_to_are_seen(change, words):
    assert any(words in each for each in asl.dangling(broken(change)))


def test_each_command_and_handler_exists(machines):
    import click

    from mailloom.cli import group
    from mailloom.run import aws_lambda

    handlers, commands = set(), []
    for each in [*machines.values(), *WAYS.values()]:
        for _, state in states(each):
            if state.get("Resource", "").endswith(":lambda:invoke"):
                handlers.add(state["Parameters"]["FunctionName"])
            if "ecs:runTask" in state.get("Resource", ""):
                commands += [override["Command"] for override in state["Parameters"]["Overrides"]["ContainerOverrides"]]
    names = {match[0] for handler in handlers if (match := re.findall(r"manifest|enqueue|prefix", handler.lower()))}
    assert names == {"manifest", "enqueue", "prefix"}
    for name in names:
        assert callable(getattr(aws_lambda, name)), f"there is no handler {name}"
    assert len(commands) == 2 * len(STAGES)
    for name, *arguments in commands:
        command = group.get_command(click.Context(group), name)
        assert command is not None, f"there is no command {name}"
        command.make_context(name, list(arguments))  # raises where an option isn't known


def test_every_task_has_an_end_a_retry_with_lots_and_keeps_its_input(machines):
    tasks = [
        state for each in [*machines.values(), *WAYS.values()] for _, state in states(each) if state["Type"] == "Task"
    ]
    assert len(tasks) > 4 * len(STAGES)
    for state in tasks:
        assert state["Retry"]
        for retrier in state["Retry"]:
            assert retrier["JitterStrategy"] == "FULL"
            assert retrier["BackoffRate"] > 1
            assert retrier["MaxDelaySeconds"] >= retrier["IntervalSeconds"]
        if not state["Resource"].endswith("sqs:sendMessage"):
            assert state["TimeoutSeconds"] > 900


def test_what_lambda_and_our_handlers_say_of_passing_trouble_is_tried_again():
    from mailloom import ports

    state = WAYS["enqueue"]["States"]["List"]
    named = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
    assert {"Lambda.ServiceException", "Lambda.TooManyRequestsException", "Sandbox.Timedout"} <= named
    ours = {error for error in named if "." not in error}
    assert ours == {"Transient"}
    assert issubclass(ports.Transient, Exception)
    assert not named & {"UserError", "States.ALL", "States.TaskFailed"}  # a wrong setting stays wrong


def test_a_map_is_as_wide_as_the_settings_say_and_writes_what_parts_came_to():
    settings = dataclasses.replace(History(), concurrency=7, failed_percent=3)
    for name, made in {
        "Enqueue": backfill.by_enqueue(settings, "bucket", ARNS, LETTERS),
        "Each prefix": backfill.by_prefix(settings, "bucket", ARNS),
    }.items():
        state = made["States"][name]
        assert (state["MaxConcurrency"], state["ToleratedFailurePercentage"]) == (7, 3)
        assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
        assert state["ResultWriter"]["Parameters"] == {"Bucket": "bucket", "Prefix": "backfill/results"}


def test_a_prefix_without_mail_starts_no_map():
    made = WAYS["enqueue"]["States"]["All listed?"]
    by = {choice["Variable"]: (choice["Next"], choice) for choice in made["Choices"]}
    assert by["$.listed.done"][0] == "List"
    assert by["$.listed.done"][1]["BooleanEquals"] is False
    assert by["$.listed.parts"][0] == WAYS["enqueue"]["States"]["Enqueue"]["Next"]
    assert by["$.listed.parts"][1]["NumericEquals"] == 0
    assert made["Default"] == "Enqueue"


def test_a_night_tells_of_either_failing_and_runs_both():
    made = NIGHTLY["States"]
    look = made["A night to look?"]
    assert made["Settle"]["Catch"][0]["Next"] == made["Settle"]["Next"] == "A night to look?"
    assert look["Default"] == "Doctor"  # by hand, `--input '{}'`, too
    (other,) = look["Choices"]
    assert other["Next"] == "All well?"
    assert [one["Variable"] for one in other["And"]] == ["$.look"] * 2
    failing = {choice["Variable"] for choice in made["All well?"]["Choices"] if choice["Next"] == "Not well"}
    caught = {state["Catch"][0]["ResultPath"] for state in (made["Settle"], made["Doctor"])}
    assert failing == caught
    assert made["Not well"]["Type"] == "Fail"
    assert all(state["ResultPath"] is None for state in (made["Settle"], made["Doctor"]))
    assert not any("States.TaskFailed" in r["ErrorEquals"] for r in made["Doctor"]["Retry"])  # it would find it again


# ------------------------------------------------------------------------------------------------ what they may do
def statements(made, stage, role):
    """What a role of the stack `history` may do: (actions, resources as text)."""
    found = []
    for policy in made.all(stage, "AWS::IAM::Policy"):
        if policy.stack == "history" and {"Ref": role} in policy.properties["Roles"]:
            for each in policy.properties["PolicyDocument"]["Statement"]:
                assert each["Effect"] == "Allow"
                actions, resources = each["Action"], each["Resource"]
                found.append(
                    (
                        set(actions if isinstance(actions, list) else [actions]),
                        [text(resource) for resource in (resources if isinstance(resources, list) else [resources])],
                    )
                )
    return found


def role_of(made, stage, kind):
    (found,) = [
        machine
        for machine in made.all(stage, "AWS::StepFunctions::StateMachine")
        if machine.id.startswith(kind) and machine.stack == "history"
    ]
    return found.properties["RoleArn"]["Fn::GetAtt"][0], found


@pytest.mark.parametrize("stage", STAGES)
def test_machines_have_a_role_each_logs_without_data_and_traces(made, stage):
    roles = set()
    for kind in ("Backfill", "Nightly"):
        role, machine = role_of(made, stage, kind)
        roles.add(role)
        logging = machine.properties["LoggingConfiguration"]
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", False)
        assert machine.properties["TracingConfiguration"] == {"Enabled": True}
    assert len(roles) == 2
    groups = [group for group in made.all(stage, "AWS::Logs::LogGroup") if group.stack == "history"]
    assert len(groups) >= 2
    for group in groups:
        assert group.properties["RetentionInDays"] > 0
        assert group.properties["LogGroupName"].startswith("/aws/vendedlogs/")


@pytest.mark.parametrize("stage", STAGES)
def test_the_backfill_may_call_its_functions_start_its_children_and_touch_backfill_only(made, stage):
    role, machine = role_of(made, stage, "Backfill")
    called = {
        state["Parameters"]["FunctionName"]
        for _, state in states(definition(machine.body))
        if "lambda" in state.get("Resource", "")
    }
    allowed = statements(made, stage, role)
    assert {r for actions, resources in allowed if actions == {"lambda:InvokeFunction"} for r in resources} == called
    assert any(
        actions == {"states:StartExecution"} and resources == [text({"Ref": machine.id})]
        for actions, resources in allowed
    )
    written = [r for actions, resources in allowed if "s3:PutObject" in actions for r in resources]
    assert written
    assert all(resource.endswith("/backfill/results/*") for resource in written)
    assert written == [r for actions, resources in allowed if "s3:GetObject" in actions for r in resources]
    listed = [actions for actions, _ in allowed if "s3:ListBucket" in actions]
    assert listed == [{"s3:ListBucket"}]


@pytest.mark.parametrize("stage", STAGES)
def test_the_night_may_run_the_two_tasks_and_names_no_revision(made, stage):
    role, machine = role_of(made, stage, "Nightly")
    allowed = statements(made, stage, role)
    (families,) = [resources for actions, resources in allowed if actions == {"ecs:RunTask"}]
    run = {
        state["Parameters"]["TaskDefinition"]
        for _, state in states(definition(machine.body))
        if "ecs:runTask" in state.get("Resource", "")
    }
    assert {family.split("/")[-1] for family in families} == {f"{name}:*" for name in run}
    known = {task.properties["Family"]: task for task in made.all(stage, "AWS::ECS::TaskDefinition")}
    assert run <= set(known)
    for name in run:
        containers = {each["Name"] for each in known[name].properties["ContainerDefinitions"]}
        assert "mailloom" in containers
    (passed,) = [resources for actions, resources in allowed if actions == {"iam:PassRole"}]
    roles = {known[name].properties[of]["Fn::GetAtt"][0] for name in run for of in ("TaskRoleArn", "ExecutionRoleArn")}
    assert len(roles) >= 3
    assert {next((role for role in roles if f"GetAtt{role}Arn" in arn), arn) for arn in passed} == roles
    assert not [
        resources
        for actions, resources in allowed
        if "*" in resources and not any(a.split(":")[0] in {"logs", "xray"} for a in actions)
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_no_stack_hands_on_what_changes_with_each_deployment(made, stage):
    """CloudFormation refuses to change an export that another stack imports: revisions of tasks and versions of functions change always."""
    seen = 0
    for template in made.templates[stage].values():
        for output in template.get("Outputs", {}).values():
            seen += 1
            target = output["Value"].get("Ref") if isinstance(output["Value"], dict) else None
            kind = template["Resources"].get(target, {}).get("Type")
            assert kind not in {"AWS::ECS::TaskDefinition", "AWS::Lambda::Version"}, f"{stage}: {target} is exported"
    assert seen > 10


# ------------------------------------------------------------------------------------------------ schedules
CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")


def field(value, least, most):
    """One field of a cron expression, as EventBridge Scheduler has it: numbers, *, lists, ranges, steps."""
    for part in value.split(","):
        if part == "*":
            continue
        head, _, step = part.partition("/")
        assert not step or step.isdigit()
        for end in head.split("-"):
            assert end == "*" or (end.isdigit() and least <= int(end) <= most), f"{value} is not within {least}-{most}"


def check_cron(expression):
    """("Schedule types in EventBridge Scheduler": six fields; of day-of-month and day-of-week one is ?.)"""
    match = CRON.fullmatch(expression)
    assert match, f"{expression} has not the six fields of cron"
    minute, hour, day, month, weekday, year = match.groups()
    assert (day == "?") != (weekday == "?"), f"{expression}: one of day and weekday must be ?"
    for value, least, most in ((minute, 0, 59), (hour, 0, 23), (month, 1, 12), (year, 1970, 2199)):
        field(value, least, most)
    if day not in {"?", "L"}:
        field(day, 1, 31)
    if weekday not in {"?", "L"} and not set(weekday.split(",")) <= set(WEEKDAYS):
        field(weekday, 1, 7)


@pytest.mark.parametrize(
    "expression",
    ["cron(0 3 * * *)", "cron(0 3 * * * *)", "cron(0 24 * * ? *)", "cron(60 3 * * ? *)", "cron(0 3 32 * ? *)"],
)
def test_a_wrong_cron_is_seen(expression):
    with pytest.raises(AssertionError):
        check_cron(expression)


def ours(made, stage):
    return [each for each in made.all(stage, "AWS::Scheduler::Schedule") if each.stack == "history"]


@pytest.mark.parametrize("stage", STAGES)
def test_schedules_have_a_time_zone_a_window_retries_and_a_queue(made, stage):
    schedules = ours(made, stage)
    assert len(schedules) == 3
    assert not made.all(stage, "AWS::Events::Rule")
    (letters,) = [queue for queue in made.all(stage, "AWS::SQS::Queue") if queue.stack == "history"]
    assert letters.properties["MessageRetentionPeriod"] == 14 * 86400
    roles = set()
    for schedule in schedules:
        what = schedule.properties
        check_cron(what["ScheduleExpression"])
        assert what["ScheduleExpressionTimezone"] in zoneinfo.available_timezones()
        assert what["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
        assert what["State"] == "ENABLED"
        target = what["Target"]
        assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [letters.id, "Arn"]}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86400
        role = target["RoleArn"]["Fn::GetAtt"][0]
        allowed = {action for actions, _ in statements(made, stage, role) for action in actions}
        assert allowed in ({"states:StartExecution", "sqs:SendMessage"}, {"lambda:InvokeFunction", "sqs:SendMessage"})
        roles.add(role)
    assert len(roles) == 2  # one starts the machine, one calls the function


@pytest.mark.parametrize("wanted", ["SUN", "MON,THU", "all", "THU,MON", ",".join(WEEKDAYS)])
def test_each_night_is_started_once(wanted):
    """Two starts in one night would be two runs of settle at the same time, of which one fails."""
    looking, other = (some.split(",") if some else [] for some in nights(wanted))
    assert sorted([*looking, *other]) == sorted(WEEKDAYS)
    assert set(looking) == (set(WEEKDAYS) if wanted == "all" else set(wanted.split(",")))


@pytest.mark.parametrize("stage", STAGES)
def test_the_clock_starts_the_night_and_the_migration_that_makes_partitions(made, stage):
    from mailloom.run import aws_lambda

    _, night = role_of(made, stage, "Nightly")
    targets = [schedule.properties["Target"] for schedule in ours(made, stage)]
    nights = {
        s.properties["Target"]["Input"]: s.properties["ScheduleExpression"]
        for s in ours(made, stage)
        if s.properties["Target"]["Arn"] == {"Ref": night.id}
    }
    hour = load()[stage].history.hour
    assert nights == {
        "{}": f"cron(0 {hour} ? * SUN *)",
        '{"look":false}': f"cron(0 {hour} ? * MON,TUE,WED,THU,FRI,SAT *)",
    }
    (when,) = [
        s.properties["ScheduleExpression"]
        for s in ours(made, stage)
        if s.properties["Target"]["Arn"] != {"Ref": night.id}
    ]
    assert when.endswith(" * * ? *)")  # each day: months leave search by it
    ((arn, given),) = [(text(t["Arn"]), json.loads(t["Input"])) for t in targets if t["Arn"] != {"Ref": night.id}]
    assert "MigrateLive" in arn
    assert given == {"phase": "before"}
    assert callable(aws_lambda.migrate)


# ------------------------------------------------------------------------------------------------ Spark
@pytest.mark.parametrize("stage", STAGES)
def test_spark_stops_by_itself_has_an_end_and_lies_in_the_network(made, stage):
    (application,) = made.all(stage, "AWS::EMRServerless::Application")
    what = application.properties
    assert (what["Type"], what["Architecture"]) == ("SPARK", "ARM64")
    assert what["AutoStopConfiguration"]["Enabled"] is True
    assert 1 <= what["AutoStopConfiguration"]["IdleTimeoutMinutes"] <= 60
    assert "InitialCapacity" not in what  # what is kept warm is paid for
    cpus, memory = (int(what["MaximumCapacity"][key].split()[0]) for key in ("Cpu", "Memory"))
    assert (
        2 * cpus <= memory <= 8 * cpus
    )  # as a worker may have ("Understanding worker configurations", EMR Serverless)
    assert len(what["NetworkConfiguration"]["SubnetIds"]) >= 2
    assert len(what["NetworkConfiguration"]["SecurityGroupIds"]) == 1
    assert re.fullmatch(r"emr-7\.\d+\.\d+", what["ReleaseLabel"])


@pytest.mark.parametrize("stage", STAGES)
def test_jobs_of_spark_read_mail_and_the_lake_and_write_history_only(made, stage):
    (role,) = [
        each
        for each in made.all(stage, "AWS::IAM::Role")
        if "emr-serverless" in json.dumps(each.properties["AssumeRolePolicyDocument"])
    ]
    (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    assert "aws:SourceArn" in trust["Condition"]["ArnLike"]
    allowed = statements(made, stage, role.id)
    written = [
        r for actions, rs in allowed if {"s3:PutObject", "s3:DeleteObject"} & actions for r in rs if r.endswith("*")
    ]
    assert written
    assert all(resource.endswith("/history/*") for resource in written)
