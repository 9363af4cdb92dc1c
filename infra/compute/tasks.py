"""Tasks on Fargate: the image with one command each, a role of its own, and where it is wanted a collector of traces beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.compute import environment, roles
from infra.compute.rollout import Rollout
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept, accept_star
from infra.parts import Landing

HEALTH_PORT = 8080
PROBE = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{HEALTH_PORT}/healthz', timeout=4)"
STOP_SECONDS = 120
"""The most that Fargate gives; a worker takes 100 to finish what it holds, and then gives back the rest."""
USER = "10001:10001"
CONTAINER = "mailloom"
TRACES = """receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:4318
processors:
  batch:
    timeout: 5s
exporters:
  awsxray:
    indexed_attributes: [source]
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [awsxray]
"""
"""Traces only: metrics go as lines of the log, which costs no second way."""


class Job(NamedTuple):
    """`serves`: it runs until it is stopped and answers on its health port."""

    command: Sequence[str]
    cpu: int
    megabytes: int
    serves: bool
    statements: Sequence[roles.Right]


def jobs(stage: Stage, rights: roles.Rights, cluster_tasks: str) -> dict[str, Job]:
    """Name -> what runs."""
    mine = stage.workers
    protects = roles.protects(cluster_tasks)

    def worker(queue: str) -> list[roles.Right]:
        return [rights.consume(queue), rights.send("dead"), protects, *rights.commits()]

    found = {
        "work": Job(["work"], mine.cpu, mine.memory_mb, True, worker("work")),
        "next": Job(["work", "--queue", "next"], mine.cpu, mine.memory_mb, True, worker("next")),
        "large": Job(["work", "--large"], mine.large_cpu, mine.large_memory_mb, True, worker("large")),
        "shadow": Job(
            *(["work", "--shadow"], mine.cpu, mine.memory_mb, True),
            [
                *(rights.consume("shadow"), *rights.read_mail()),
                *(*rights.database(), *rights.looks(), rights.objects("shadow/", "PutObject")),
            ],
        ),
        "settle": Job(
            *(["settle", "--every", "300"], 256, 1024, True),
            [*rights.database(), *rights.threads(*roles.SETTLE), rights.search(write=False)],
        ),
        "doctor": Job(
            *(["doctor", "--json"], 1024, 4096, False),
            [
                *(*rights.database(), *rights.looks("Scan"), *rights.read_mail()),
                *(rights.count("dead"), rights.search(write=False)),
            ],
        ),
        "desk": Job(  # what people type: looking, dead letters, repairs
            *(["dead", "list"], 1024, 4096, False),
            [
                *(rights.consume("dead", "dead_shadow"), rights.send("work", "large", "next", "shadow", "dead")),
                *(*rights.commits(), *rights.ledger("Scan"), *rights.threads(*roles.SETTLE)),
                rights.objects("shadow/", "GetObject"),  # `mailloom shadow report`
                rights.list_mail(),  # `mailloom ingest s3://BUCKET/PREFIX`
            ],
        ),
        "migrate": Job(
            *(["migrate"], 256, 512, False),
            [*rights.database(), rights.described(), rights.search(write=True, delete=True)],
        ),
    }
    return {name: job for name, job in found.items() if name != "work" or mine.arrangement == "ecs"}


def tasks(
    scope: Construct,
    stage: Stage,
    landing: Landing,
    settings: Mapping[str, str],
    wanted: Mapping[str, Job],
    rollout: Rollout,
) -> dict[str, ecs.FargateTaskDefinition]:
    """By name. The image is taken by its tag, which the registry never lets point to another."""
    made = {}
    starts = _starts(scope)
    for name, job in wanted.items():
        kind = name.capitalize()
        traced = stage.workers.tracing and job.serves
        role = roles.role(
            scope,
            f"{kind}TaskRole",
            "ecs-tasks.amazonaws.com",
            [*job.statements, *([roles.traced()] if traced else [])],
        )
        task = ecs.FargateTaskDefinition(
            scope,
            f"{kind}Task",
            family=f"{stage.prefix}-{name}",
            cpu=job.cpu,
            memory_limit_mib=job.megabytes,
            task_role=role,
            execution_role=starts,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        task.add_container(
            CONTAINER,
            container_name=CONTAINER,
            image=ecs.ContainerImage.from_ecr_repository(landing.images, rollout.images[name]),
            command=list(job.command),
            environment={**settings, **_own(stage, name, job, rollout)},
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=ecs.LinuxParameters(scope, f"{kind}Linux", init_process_enabled=True),
            stop_timeout=cdk.Duration.seconds(STOP_SECONDS),
            health_check=_health() if job.serves else None,
            logging=_lines(scope, kind, stage, name),
        )
        accept(
            task,
            "AwsSolutions-ECS2",
            "Variables name where things are; the one secret is named by its ARN, and read by the task",
        )
        if traced:
            _collector(task, stage, landing)
        made[name] = task
    return made


def _own(stage: Stage, name: str, job: Job, rollout: Rollout) -> dict[str, str]:
    """The settings of a task that are not those of all."""
    landing = stage.landing
    found = {
        "MAILLOOM_OBS_SERVICE": f"{stage.prefix}-{name}",
        "MAILLOOM_WORKER_HEALTH_PORT": str(HEALTH_PORT if job.serves else 0),
        "MAILLOOM_WORKER_VISIBILITY": str(landing.large_seconds if name == "large" else landing.work_seconds),
        "MAILLOOM_WORKER_JOBS": str(max(1, job.cpu // 1024)),  # a process for each core
    }
    if name == "desk":  # what is tried again goes the same way
        found |= environment.beside(rollout)
    if stage.workers.tracing and job.serves:
        found["MAILLOOM_OBS_OTLP_ENDPOINT"] = environment.COLLECTOR
    return found


def _starts(scope: Construct) -> iam.Role:
    """What ECS does in our name to start a task: take its image, make its log. The same for all; what a task may do itself is a role of its own."""
    role = roles.role(scope, "StartRole", "ecs-tasks.amazonaws.com", ())
    accept_star(role, "*", "Only ecr:GetAuthorizationToken, which knows no resource")
    return role


def _health() -> ecs.HealthCheck:
    return ecs.HealthCheck(
        command=["CMD", "python", "-c", PROBE],
        interval=cdk.Duration.seconds(30),
        timeout=cdk.Duration.seconds(5),
        retries=3,
        start_period=cdk.Duration.seconds(60),
    )


def _lines(scope: Construct, kind: str, stage: Stage, prefix: str) -> ecs.LogDriver:
    """Logs and metrics, as lines. Not blocking: where CloudWatch Logs is away, lines are lost and no mail waits."""
    return ecs.LogDriver.aws_logs(
        stream_prefix=prefix,
        log_group=log_group(scope, f"{kind}TaskLog", stage),
        mode=ecs.AwsLogDriverMode.NON_BLOCKING,
        max_buffer_size=cdk.Size.mebibytes(25),
    )


def _collector(task: ecs.FargateTaskDefinition, stage: Stage, landing: Landing) -> None:
    """The AWS distribution of OpenTelemetry's collector, from our own registry: there is no way to a public one. Not essential: without it mail goes on,
    untraced.
    """
    task.add_container(
        "collector",
        container_name="collector",
        image=ecs.ContainerImage.from_ecr_repository(landing.collector, stage.release.collector_image),
        essential=False,
        memory_limit_mib=256,
        user=USER,
        readonly_root_filesystem=True,
        environment={"AOT_CONFIG_CONTENT": TRACES},
        stop_timeout=cdk.Duration.seconds(STOP_SECONDS),
        logging=ecs.LogDriver.aws_logs(
            stream_prefix="collector",
            log_group=log_group(task, "CollectorLog", stage),
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
        ),
    )
