"""What functions and tasks are told is what the product understands, and says where things really are."""

from __future__ import annotations

import pytest
from values import Values

from infra.config.load import load as stages
from mailloom.config import load

STAGES = ("dev", "staging", "prod")


def told(made, stage):
    """Name of what runs -> its variables, as AWS would fill them in."""
    values = Values(made.templates[stage])
    found = {}
    for one in made.all(stage, "AWS::Lambda::Function"):
        if one.properties["Handler"].startswith("mailloom."):
            found[one.id] = {
                name: values.text(value) for name, value in one.properties["Environment"]["Variables"].items()
            }
    for one in made.all(stage, "AWS::ECS::TaskDefinition"):
        (main,) = [c for c in one.properties["ContainerDefinitions"] if c["Name"] == "mailloom"]
        found[one.id] = {v["Name"]: values.text(v["Value"]) for v in main["Environment"]}
    assert len(found) >= 12
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_product_takes_all_of_it(made, stage, tmp_path):
    for name, variables in told(made, stage).items():
        settings = load(None, None, variables, tmp_path).settings
        assert settings.profile == "aws", name
        assert settings.servers
        assert settings.aws.tables == f"mailloom-{stage}-"
        queues = settings.aws.queues
        urls = [
            getattr(queues, queue) for queue in ("events", "work", "large", "next", "shadow", "dead", "dead_shadow")
        ]
        assert len(set(urls)) == 7
        assert all(url.startswith("https://sqs.") for url in urls)
        assert settings.aws.bucket
        assert settings.aws.stream
        assert settings.opensearch.signed
        assert settings.opensearch.replicas == min(1, stages()[stage].index.nodes - 1)
        assert settings.opensearch.days == stages()[stage].index.search_days
        assert settings.valkey.cluster
        assert settings.valkey.url.reveal().startswith("rediss://")
        assert settings.obs.emf
        assert settings.obs.namespace == f"Mailloom/{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_password_is_named_and_the_connection_proven(made, stage, tmp_path):
    for variables in told(made, stage).values():
        postgres = load(None, None, variables, tmp_path).settings.postgres
        assert postgres.password.reveal().startswith("secretsmanager:arn:")
        assert postgres.password.reveal().endswith("#password")
        for dsn in (postgres.dsn.reveal(), postgres.reader_dsn.reveal()):
            assert "password" not in dsn
            assert "sslmode=verify-full" in dsn
            assert "sslrootcert=system" in dsn


@pytest.mark.parametrize("stage", STAGES)
def test_queues_and_tables_are_those_that_were_made(made, stage):
    from infra.parts import QUEUES

    values = Values(made.templates[stage])
    tables = {one.properties["TableName"] for one in made.all(stage, "AWS::DynamoDB::Table")}
    assert tables == {f"mailloom-{stage}-{name}" for name in ("nodes", "clues", "ledger")}
    for one in made.all(stage, "AWS::Lambda::Function"):
        variables = one.properties.get("Environment", {}).get("Variables", {})
        for queue in QUEUES if "MAILLOOM_AWS_BUCKET" in variables else ():
            place = values.place(variables[f"MAILLOOM_AWS_QUEUES_{queue.upper()}"])
            assert place.stack == "landing"
            assert place.id.lower().startswith(queue.replace("_", ""))


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_validator_holds_mail_back(made, stage):
    """A backfill takes what was held back."""
    holding = [name for name, variables in told(made, stage).items() if "MAILLOOM_ROLLOUT_ACCEPT" in variables]
    assert [name.startswith("Validate") for name in holding] == [True]


@pytest.mark.parametrize("stage", STAGES)
def test_each_says_its_own_name(made, stage):
    names = [variables["MAILLOOM_OBS_SERVICE"] for variables in told(made, stage).values()]
    assert all(name.startswith(f"mailloom-{stage}-") for name in names)


@pytest.mark.parametrize("stage", STAGES)
def test_workers_hold_messages_as_long_as_their_queue_says(made, stage):
    variables = told(made, stage)
    queues = {
        name: one.properties["VisibilityTimeout"]
        for one in made.all(stage, "AWS::SQS::Queue")
        for name in ("work", "large", "next", "shadow")
        if one.stack == "landing" and one.id.lower().startswith(name)
    }
    assert len(queues) == 4
    for name, seconds in queues.items():
        (task,) = [own for id_, own in variables.items() if id_.lower().startswith(f"{name}task")]
        assert int(task["MAILLOOM_WORKER_VISIBILITY"]) == seconds >= 120
