"""Secrets, asked of a Secrets Manager that answers as AWS's does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailloom.config import load
from mailloom.ports import Transient, UserError
from mailloom.wire.clients import Clients

pytestmark = pytest.mark.servers
DSN = "postgresql://ann:geheim-17@db.example.org/mail"


def clients(aws_url: str, **environ: str) -> Clients:
    known = {"MAILLOOM_AWS_ENDPOINT_URL": aws_url, "MAILLOOM_AWS_REGION": "eu-central-1", **environ}
    return Clients(load("aws", None, known, Path("/nowhere")).settings, known)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_a_secret_is_read_when_it_is_needed(aws_url: str, prefix: str) -> None:
    made = clients(aws_url, MAILLOOM_POSTGRES_DSN=f"secretsmanager:{prefix}/pg#dsn")
    wanted = made.settings.postgres.dsn
    with pytest.raises(UserError, match=f"ResourceNotFoundException for {prefix}/pg: check its name"):
        made.text(wanted)
    manager = made.aws("secretsmanager")
    arn = manager.create_secret(Name=f"{prefix}/pg", SecretString=json.dumps({"dsn": DSN}))["ARN"]
    assert made.wanted(wanted, "postgres.dsn") == DSN
    by_arn = clients(aws_url, MAILLOOM_POSTGRES_DSN=f"secretsmanager:{arn}#dsn")
    assert by_arn.text(by_arn.settings.postgres.dsn) == DSN
    assert "geheim" not in repr((made.settings, by_arn.settings))
    assert made.requests["secretsmanager"] >= 3
    made.close()
    by_arn.close()


def test_what_is_missing_is_told_by_its_key(aws_url: str) -> None:
    made = clients(aws_url)
    with pytest.raises(UserError, match=r"postgres\.dsn \(profile aws, or MAILLOOM_POSTGRES_DSN\) is not set"):
        made.wanted(made.settings.postgres.dsn, "postgres.dsn")
    assert made.valkey() is None


def test_a_service_that_is_away_is_transient(prefix: str) -> None:
    made = clients("http://127.0.0.1:9", MAILLOOM_POSTGRES_DSN=f"secretsmanager:{prefix}")
    with pytest.raises(Transient, match="can't be reached"):
        made.text(made.settings.postgres.dsn)


def test_without_credentials_it_is_said_how_to_give_them(
    aws_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    made = clients(aws_url, MAILLOOM_POSTGRES_DSN=f"secretsmanager:{prefix}")
    with pytest.raises(UserError, match="no AWS credentials to read the secret"):
        made.text(made.settings.postgres.dsn)
