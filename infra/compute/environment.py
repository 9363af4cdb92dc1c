"""What stacks made -> the settings of the product (docs/configuration.md), as variables. In one place, so that functions and tasks can't differ."""

from __future__ import annotations

from collections.abc import Mapping

from infra.compute.rollout import Rollout
from infra.config.stages import Stage
from infra.parts import Landing, State, Stores

COLLECTOR = "http://127.0.0.1:4318"
"""Where a collector beside a task takes OTLP over HTTP."""


def settings(stage: Stage, landing: Landing, state: State, stores: Stores, region: str) -> dict[str, str]:
    """What every process is told. Values may be tokens, which CloudFormation fills in. No secret is among them: the database's password is named by
    its ARN, and read by the process's own role.
    """
    found = {
        "MAILLOOM_PROFILE": "aws",
        "MAILLOOM_AWS_REGION": region,
        "MAILLOOM_AWS_BUCKET": landing.bucket.bucket_name,
        "MAILLOOM_AWS_TABLES": state.prefix,
        "MAILLOOM_AWS_STREAM": stores.stream.ref,
        **{f"MAILLOOM_AWS_QUEUES_{name.upper()}": queue.queue_url for name, queue in landing.queues.items()},
        "MAILLOOM_POSTGRES_DSN": dsn(stores.proxy.endpoint, stores),
        "MAILLOOM_POSTGRES_READER_DSN": dsn(stores.reader_host, stores),
        "MAILLOOM_POSTGRES_PASSWORD": f"secretsmanager:{stores.secret.secret_arn}#password",
        "MAILLOOM_OPENSEARCH_URL": f"https://{stores.domain.domain_endpoint}:443",
        "MAILLOOM_OPENSEARCH_SIGNED": "true",
        "MAILLOOM_OPENSEARCH_SHARDS": f"{stage.index.shards}",
        "MAILLOOM_OPENSEARCH_REPLICAS": "1" if stage.index.nodes > 1 else "0",
        "MAILLOOM_OPENSEARCH_DAYS": f"{stage.index.search_days}",
        "MAILLOOM_VALKEY_URL": state.cache_url,
        "MAILLOOM_VALKEY_CLUSTER": "true",  # ElastiCache Serverless speaks nothing else
        "MAILLOOM_OBS_LOG": "info",
        "MAILLOOM_OBS_EMF": "true",
        "MAILLOOM_OBS_NAMESPACE": stage.namespace,
    }
    return {name: value for name, value in found.items() if value}


def dsn(host: str, stores: Stores) -> str:
    """The proxy's certificates are of Amazon's public authority, so the system's own list knows it ("Using TLS/SSL with RDS Proxy", Aurora user guide)."""
    return (
        f"host={host} port=5432 dbname={stores.database_name} user={stores.user} sslmode=verify-full sslrootcert=system"
    )


def shares(rollout: Rollout) -> Mapping[str, str]:
    """For whoever takes mail in by its event. A backfill is told no `accept`: it takes what was held back."""
    return {"MAILLOOM_ROLLOUT_ACCEPT": _number(rollout.accept), **beside(rollout)}


def beside(rollout: Rollout) -> Mapping[str, str]:
    """For whoever else sends pointers to queues."""
    return {"MAILLOOM_ROLLOUT_NEXT": _number(rollout.next), "MAILLOOM_ROLLOUT_SHADOW": _number(rollout.shadow)}


def _number(share: float) -> str:
    return f"{share:g}"
