"""The nightly chain: settle what workers marked, then, on the nights that the stage says, look whether all stores agree. Commands of the image,
each a task on Fargate.

One that fails doesn't keep the other from running; the execution fails all the same, at its end, and an alarm tells.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from infra.history.state_machine import retry

HOURS = {"settle": 4, "doctor": 12}
"""How long each may take: a night that isn't over at noon is no night."""
LOOK = "look"
"""The member of the input that, where it is false, leaves the looking out; so whoever starts a night by hand gets all of it."""
NO_PLACE = ("AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.ServerException", "ECS.ThrottlingException")
"""Fargate had no room for a task, or its API no answer."""


class Task(NamedTuple):
    """What is run: the family of a task definition (its newest revision is taken), and the container that gets the command."""

    family: str
    container: str


class Place(NamedTuple):
    """Where it is run."""

    cluster: str
    subnets: list[str]
    groups: list[str]


def definition(place: Place, settle: Task, doctor: Task) -> dict[str, Any]:
    """`mailloom settle`, then `mailloom doctor`, unless the input says {"look": false}. A task that ends with another code than 0 has failed ("Run Amazon ECS or Fargate tasks with Step Functions")."""
    return {
        "Comment": "Threads in order, then the stores compared",
        "StartAt": "Settle",
        "States": {
            "Settle": _run(
                *(place, settle, ["settle", "--json"], HOURS["settle"]),
                # Marks stay until they are settled: whatever ended it, it may simply go on.
                Retry=[_no_place(), retry(["States.TaskFailed"], seconds=120, attempts=2, longest=600)],
                Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.settle", "Next": "A night to look?"}],
                Next="A night to look?",
            ),
            "A night to look?": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [
                            {"Variable": f"$.{LOOK}", "IsPresent": True},
                            {"Variable": f"$.{LOOK}", "BooleanEquals": False},
                        ],
                        "Next": "All well?",
                    }
                ],
                "Default": "Doctor",
            },
            "Doctor": _run(
                *(place, doctor, ["doctor", "--json"], HOURS["doctor"]),
                # It ends with 1 where it found a fault, and would find it again: only a task that had no place is tried again.
                Retry=[_no_place()],
                Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.doctor", "Next": "All well?"}],
                Next="All well?",
            ),
            "All well?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.settle", "IsPresent": True, "Next": "Not well"},
                    {"Variable": "$.doctor", "IsPresent": True, "Next": "Not well"},
                ],
                "Default": "Well",
            },
            "Not well": {
                "Type": "Fail",
                "Error": "NotWell",
                "Cause": "settle or doctor failed: the logs of the tasks say why (docs/operations.md, nightly)",
            },
            "Well": {"Type": "Succeed"},
        },
    }


def _run(place: Place, task: Task, command: list[str], hours: int, **rest: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "LaunchType": "FARGATE",  # not Spot: it runs for hours, and seldom
            "Cluster": place.cluster,
            "TaskDefinition": task.family,
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "Subnets": place.subnets,
                    "SecurityGroups": place.groups,
                    "AssignPublicIp": "DISABLED",
                }
            },
            "Overrides": {"ContainerOverrides": [{"Name": task.container, "Command": command}]},
        },
        "ResultPath": None,
        "TimeoutSeconds": hours * 3600,
        **rest,
    }


def _no_place() -> dict[str, Any]:
    return retry(NO_PLACE, seconds=60, attempts=10, longest=900)
