"""What all state machines share: retries by the errors that pass, a role of its own, logs without what went through it, traces.

A definition is the Amazon States Language (https://states-language.net) as a dict, made by a pure function: what is deployed is what is read here, and
what the tests validate. Sources of the names of errors: "Handling errors in Step Functions workflows", AWS Step Functions developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept_star

BUSY = (
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)
"""Lambda had no place or no answer: soon again. All would come at once, so the waits are drawn by lot."""
AWAY = ("Transient", "Lambda.Unknown", "States.Timeout", "Sandbox.Timedout")
"""A store is away (mailloom.ports.Transient), or the time was over: again, with minutes between. Every handler may be called twice."""
LAMBDA_SECONDS = 900
"""The longest that a function may run ("Lambda quotas")."""


def invoke(function: str, payload: Mapping[str, Any] | str, **rest: Any) -> dict[str, Any]:
    """A state that calls a function with this (or with what is at this path) and waits: what it answers is `$.Payload` for a ResultSelector in `rest`."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": function,
            **({"Payload.$": payload} if isinstance(payload, str) else {"Payload": payload}),
        },
        "TimeoutSeconds": LAMBDA_SECONDS + 20,
        "Retry": [retry(BUSY, seconds=2, attempts=8, longest=120), retry(AWAY, seconds=30, attempts=6, longest=600)],
        **rest,
    }


def retry(errors: Sequence[str], *, seconds: int, attempts: int, longest: int) -> dict[str, Any]:
    """A retrier: waits double from `seconds` to `longest`, each drawn by lot."""
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": seconds,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }


def machine(stack: cdk.Stack, stage: Stage, name: str, definition: Mapping[str, Any]) -> sfn.StateMachine:
    """The machine of a definition. Its role may do nothing but tell: grants are the caller's."""
    # The services of AWS may write to a group of such a name without a policy of each, and an account has few of those ("Logging using CloudWatch Logs").
    group = log_group(stack, f"{name}Log", stage, f"/aws/vendedlogs/states/{stage.prefix}-{name.lower()}")
    role = iam.Role(stack, f"{name}Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
    made = sfn.StateMachine(
        stack,
        name,
        # Not by the CDK's own writer of JSON: that leaves out what is null, and "ResultPath": null is what keeps a state's input.
        definition_body=sfn.DefinitionBody.from_string(json.dumps(definition)),
        role=role,
        tracing_enabled=True,
        # Keys of objects are no one's to read in a log; the execution itself shows them for 90 days.
        logs=sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL, include_execution_data=False),
    )
    accept_star(role, "*", "deliveries of logs and X-Ray's actions know no resource")
    return made
