"""What a profile `aws` needs beside servers: bucket, queues, events between them, a database, and the settings that name it all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.servers import REGION

RECEIVES = 5  # receivings of a message before it is a dead letter
KEYS = {"AWS_ACCESS_KEY_ID": "desk", "AWS_SECRET_ACCESS_KEY": "desk"}
"""Any do: the stand-ins look at none."""


@dataclass(frozen=True)
class Profile:
    """A profile that is laid out: its settings file, and what the environment of `mailloom --profile aws` must hold."""

    name: str
    config: Path
    environ: Mapping[str, str]
    endpoint: str

    def client(self, service: str) -> Any:
        """A boto3 client of one of the services that `aws` stands for."""
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )
        return session.client(
            service, endpoint_url=self.endpoint, config=Config(s3={"addressing_style": "path"}, max_pool_connections=32)
        )

    def env(self) -> dict[str, str]:
        """The whole environment of a process on this profile."""
        return {**os.environ, **self.environ}


def lay_out(
    urls: Mapping[str, str],
    name: str,
    folder: Path,
    *,
    receives: int = RECEIVES,
    more: Mapping[str, Mapping[str, object]] | None = None,
    scope: str = "",
) -> Profile:
    """Make bucket, queues and events called `name` and write folder/mailloom.toml.

    `urls` are of postgres (a database), dynamodb, aws, opensearch and valkey; `more` are further settings, by table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    profile = Profile(name, folder / "mailloom.toml", {}, urls["aws"])
    queues = _queues(profile.client("sqs"), name, receives)
    _bucket(profile.client("s3"), name, queues["events"][1])
    tables: dict[str, dict[str, object]] = {
        "": {"scope": scope},
        "aws": {
            "region": REGION,
            "endpoint_url": urls["aws"],
            "dynamodb_url": urls["dynamodb"],
            "bucket": name,
            "tables": f"{name}-",
        },
        "aws.queues": {role: url for role, (url, _) in queues.items()},
        "postgres": {"dsn": "env:MAILLOOM_DESK_POSTGRES"},
        "opensearch": {"url": urls["opensearch"], "prefix": name, "replicas": 0},
        "valkey": {"url": urls["valkey"]},
    }
    for table, values in (more or {}).items():
        tables.setdefault(table, {}).update(values)
    lines = []
    for table, values in tables.items():
        lines.append(f"[profile.aws{'.' + table if table else ''}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    profile.config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    environ = {
        **KEYS,
        "MAILLOOM_CONFIG": str(profile.config),
        "MAILLOOM_PROFILE": "aws",
        "MAILLOOM_DESK_POSTGRES": urls["postgres"],
    }
    return Profile(name, profile.config, environ, urls["aws"])


def _queues(sqs: Any, name: str, receives: int) -> dict[str, tuple[str, str]]:
    """Role -> (URL, ARN)."""
    made: dict[str, tuple[str, str]] = {}
    for role in ("dead", "dead_shadow", "events", "work", "large", "next", "shadow"):
        attributes = {"VisibilityTimeout": "120", "MessageRetentionPeriod": str(14 * 24 * 3600)}
        if role not in {"dead", "dead_shadow"}:
            letters = made["dead_shadow" if role == "shadow" else "dead"][1]  # a copy is nobody's mail
            redrive = {"deadLetterTargetArn": letters, "maxReceiveCount": receives}
            attributes["RedrivePolicy"] = json.dumps(redrive)
        url = sqs.create_queue(QueueName=f"{name}-{role.replace('_', '-')}", Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        made[role] = (url, arn)
    return made


def _bucket(s3: Any, name: str, events: str) -> None:
    if all(bucket["Name"] != name for bucket in s3.list_buckets()["Buckets"]):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    # Only what lands below raw/: a rejected mail is copied to quarantine/, which is no new mail.
    only = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}}
    told = [{"QueueArn": events, "Events": ["s3:ObjectCreated:*"], "Filter": only}]
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": told})
