"""Runbooks: each alarm leads to one, each says the same five things, and what they tell to type or to set exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from conftest import ROOT, STAGES
from mailloom.cli import group

PAGE = ROOT / "docs" / "operations.md"
PARTS = ("Symptom", "Means", "Look", "Do", "Over")


def runbooks(page: str) -> dict[str, str]:
    """Anchor -> text, of the headings of the third level and the anchors just above them."""
    found = {}
    heads = list(re.finditer(r'(?m)^((?:<a id="[\w-]+"></a>)*)\n?^### (.+)$', page))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        text = page[head.end() : following.start() if following else len(page)].split("\n## ", maxsplit=1)[0]
        for name in (head[2], *re.findall(r'id="([\w-]+)"', head[1])):
            assert name not in found
            found[name] = text
    return found


def section() -> str:
    """The part of the page that has the runbooks."""
    return PAGE.read_text("utf-8").split("\n## Alarms and runbooks on AWS\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def books() -> dict[str, str]:
    return runbooks(section())


@pytest.mark.parametrize("stage", STAGES)
def test_each_alarm_leads_to_its_runbook(made, books, stage):
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    found = [one.properties for kind in kinds for one in made.all(stage, kind) if one.stack == "watch"]
    assert len(found) > 40
    for alarm in found:
        name = alarm["AlarmName"].removeprefix(f"mailloom-{stage}-")
        file, anchor = re.search(r"Runbook: (\S+)#(\S+)$", alarm["AlarmDescription"]).groups()
        assert (ROOT / file) == PAGE
        assert anchor == name
        assert anchor in books


def test_no_runbook_is_of_an_alarm_that_is_gone(made, books):
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    names = {
        one.properties["AlarmName"].removeprefix(f"mailloom-{stage}-")
        for stage in STAGES
        for kind in kinds
        for one in made.all(stage, kind)
        if "AlarmName" in one.properties
    }
    assert books.keys() - names == {"budget"}  # AWS Budgets tells that, no alarm


def test_each_says_the_same_five_things(books):
    assert len(books) > 40
    for name, text in books.items():
        assert re.findall(r"^- \*\*(\w+):\*\* \S", text, re.MULTILINE) == list(PARTS), name


def test_links_lead_somewhere(books):
    page = section()
    links = re.findall(r"\]\(#([\w-]+)\)", page)
    assert len(links) > 20
    assert set(links) <= books.keys()
    files = set(re.findall(r"\b(?:docs|infra)/[\w-]+\.(?:md|py|toml)", page))
    assert files
    assert [one for one in sorted(files) if not (ROOT / one).exists()] == []


def commands(text: str) -> list[str]:
    """What stands in code and begins with `mailloom`, and words of a task's command."""
    typed = re.findall(r"`mailloom ([a-z][^`]*)`", text)
    typed += [" ".join(re.findall(r'"([^"]+)"', one)) for one in re.findall(r'"command":\[([^\]]*)\]', text)]
    return [one for one in typed if "-STAGE" not in one]


def checked(line: str) -> click.Command:
    """The command of a line, its words taken by it: options exist, arguments are as many as it wants."""
    command: click.Command = group
    words = line.split()
    context = click.Context(group, info_name="mailloom")
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"no command {name}: {line}"
        context = click.Context(command, parent=context, info_name=name)
    command.make_context(context.info_name, words, parent=context.parent)  # refuses what it doesn't take
    return command


def test_commands_exist_with_their_options(books):
    lines = commands(section())
    assert len(lines) > 20
    used = {checked(line).name for line in lines}
    assert used >= {"list", "retry", "drop", "show", "doctor", "rejected", "where", "ingest", "settle"}


@pytest.mark.parametrize("line", ["dead lst", "doctor --mend", "rejected --again", "settle everything", "nothing"])
def test_a_command_that_does_not_exist_is_found(line):
    with pytest.raises((click.UsageError, AssertionError)):
        checked(line)


@pytest.mark.parametrize("stage", STAGES)
def test_the_task_that_commands_run_in_may_do_what_they_do(made, stage):
    page = section()
    family = re.search(r"--task-definition (\S+)", page)[1].replace("STAGE", stage)
    box = re.search(r'"containerOverrides":\[\{"name":"(\w+)"', page)[1]
    (task,) = [one for one in made.all(stage, "AWS::ECS::TaskDefinition") if one.properties["Family"] == family]
    assert [one["Name"] for one in task.properties["ContainerDefinitions"]] == [box]
    (role,) = [
        one
        for one in made.all(stage, "AWS::IAM::Role")
        if one.id == task.properties["TaskRoleArn"]["Fn::GetAtt"][0] and one.stack == "compute"
    ]
    statements = [
        statement for policy in role.properties["Policies"] for statement in policy["PolicyDocument"]["Statement"]
    ]
    may = {
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert may >= {
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage", "sqs:GetQueueAttributes"),  # dead letters
        *("dynamodb:Scan", "dynamodb:Query", "dynamodb:PartiQLUpdate", "dynamodb:UpdateItem"),  # the ledger
        *("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"),  # mail
        *("es:ESHttpGet", "es:ESHttpPost", "secretsmanager:GetSecretValue"),  # looking, and mending
    }


def test_settings_exist(books):
    from infra.config.stages import Stage
    from infra.config.typed import keys

    known = set(keys(Stage))
    tables = {key.split(".")[0] for key in known if "." in key}
    told = {one for text in books.values() for one in re.findall(r"`(\w+\.\w+)`", text) if one.split(".")[0] in tables}
    assert len(told) > 15
    assert told <= known


def test_widgets_that_a_runbook_looks_at_exist(made, books):
    import json

    from watching import plain

    (board,) = made.all("prod", "AWS::CloudWatch::Dashboard")
    titles = {one["properties"]["title"] for one in json.loads(plain(board.properties["DashboardBody"]))["widgets"]}
    elsewhere = {"Lambda", "Errors", "ConcurrentExecutions", "ThrottledCmds", "BytesUsedForCache", "OutOfMemoryError"}
    elsewhere |= {"Concurrent executions", "Deployments"}
    seen = set()
    for name, text in books.items():
        for title in re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", text):
            if title in elsewhere:
                continue
            assert any(title == one or one.startswith(title) for one in titles), (name, title)
            seen.add(title)
    assert len(seen) > 10
    assert Path(PAGE).exists()
