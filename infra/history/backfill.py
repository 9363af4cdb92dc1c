"""The state machine that works through mail which was in the bucket before anybody listened: {"prefixes": ["raw/source=old/", ...]}.

By `enqueue` (each prefix after the other): the function `manifest` lists the prefix into objects of so many keys each, a Distributed Map gives every
such part to `enqueue`, and the workers do the rest. By `prefix` (all at the same time): one chain of calls a prefix does all work itself.
Batches are ours, by `manifest`: a key is listed once, and a part is the same whoever reads it. All may be done twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.config.stages import History
from infra.history.state_machine import invoke, retry

ASKED = {"And": [{"Variable": "$.prefixes[0]", "IsPresent": True}, {"Variable": "$.prefixes[0]", "IsString": True}]}
NOT_ASKED = {
    "Type": "Fail",
    "Error": "UserError",
    "Cause": 'no prefixes: start it with {"prefixes": ["raw/source=NAME/"]}, the prefixes in the bucket whose mail shall be read',
}
PART = 1000
"""Mails that one call of `enqueue` gets: a minute's work for it, and few enough calls for many mails."""
LISTED = ("bucket", "prefix", "run", "batch", "after", "parts", "objects", "bytes", "done", "manifest")
"""What `manifest` answers, and is called again with while it isn't done."""
RESULTS = "backfill/results"
"""Where the Map writes what each part came to."""


def by_enqueue(settings: History, bucket: str, functions: Mapping[str, str], letters: str) -> dict[str, Any]:
    """List a prefix, then hand its parts to `enqueue`. `functions`: name -> ARN; `letters`: URL of the queue for parts that can't be done."""
    return {
        "Comment": "Mail of the prefixes to the queues of the workers",
        "StartAt": "Asked?",
        "States": {
            "Asked?": {"Type": "Choice", "Choices": [{**ASKED, "Next": "Count"}], "Default": "Not asked"},
            "Not asked": NOT_ASKED,
            "Count": {
                "Type": "Pass",
                "Parameters": {"prefixes.$": "$.prefixes", "of.$": "States.ArrayLength($.prefixes)", "next": 0},
                "Next": "Begin",
            },
            "Begin": {
                "Type": "Pass",
                "Parameters": {
                    "bucket": bucket,
                    "prefix.$": "States.ArrayGetItem($.prefixes, $.next)",
                    # Drawn here and not in the function: a call that is made again goes on with the parts of the one before.
                    "run.$": "States.UUID()",
                    "batch": PART,
                },
                "ResultPath": "$.listed",
                "Next": "List",
            },
            "List": invoke(
                functions["manifest"],
                "$.listed",
                ResultSelector={f"{name}.$": f"$.Payload.{name}" for name in LISTED},
                ResultPath="$.listed",
                Next="All listed?",
            ),
            "All listed?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.listed.done", "BooleanEquals": False, "Next": "List"},
                    {"Variable": "$.listed.parts", "NumericEquals": 0, "Next": "Count on"},  # no mail there, no map
                ],
                "Default": "Enqueue",
            },
            "Enqueue": {
                "Type": "Map",
                "Label": "Enqueue",
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:listObjectsV2",
                    "Parameters": {
                        "Bucket.$": "$.listed.manifest.bucket",
                        "Prefix.$": "$.listed.manifest.prefix",
                    },
                },
                "ItemSelector": {"bucket.$": "$.listed.manifest.bucket", "Key.$": "$$.Map.Item.Value.Key"},
                "ItemProcessor": _part(functions["enqueue"], letters),
                **_wide(settings, bucket),
                "ResultPath": None,
                "Next": "Count on",
            },
            "Count on": {
                "Type": "Pass",
                "Parameters": {
                    "prefixes.$": "$.prefixes",
                    "of.$": "$.of",
                    "next.$": "States.MathAdd($.next, 1)",
                },
                "Next": "Another?",
            },
            "Another?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.next", "NumericLessThanPath": "$.of", "Next": "Begin"}],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }


def _part(function: str, letters: str) -> dict[str, Any]:
    """One part to `enqueue`. What still fails after the retries is a letter, which an alarm tells of, and counts against `history.failed_percent`."""
    return {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Enqueue part",
        "States": {
            "Enqueue part": invoke(
                function,
                {"bucket.$": "$.bucket", "Key.$": "$.Key"},
                ResultSelector={"counts.$": "$.Payload"},
                Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Keep as letter"}],
                End=True,
            ),
            "Keep as letter": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": {
                    "QueueUrl": letters,
                    "MessageBody": {"bucket.$": "$.bucket", "Key.$": "$.Key", "error.$": "$.error"},
                },
                "Retry": [retry(["States.ALL"], seconds=2, attempts=6, longest=60)],
                "Next": "Not enqueued",
            },
            "Not enqueued": {
                "Type": "Fail",
                "Error": "NotEnqueued",
                "Cause": "a part of the manifest could not be enqueued: its letter says why; mend that, and start the backfill of the same prefix again, twice is once",
            },
        },
    }


def by_prefix(settings: History, bucket: str, functions: Mapping[str, str]) -> dict[str, Any]:
    """A chain of calls of `prefix` for each prefix: it keeps its place itself, and says whether it is done."""
    return {
        "Comment": "Mail of the prefixes into the stores, without workers",
        "StartAt": "Asked?",
        "States": {
            "Asked?": {"Type": "Choice", "Choices": [{**ASKED, "Next": "Each prefix"}], "Default": "Not asked"},
            "Not asked": NOT_ASKED,
            "Each prefix": {
                "Type": "Map",
                "Label": "Prefix",
                "ItemsPath": "$.prefixes",
                "ItemSelector": {"prefix.$": "$$.Map.Item.Value"},
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Work through",
                    "States": {
                        "Work through": invoke(
                            functions["prefix"],
                            {"bucket": bucket, "prefix.$": "$.prefix"},
                            ResultSelector={"done.$": "$.Payload.done", "after.$": "$.Payload.after"},
                            ResultPath="$.place",
                            Next="Through?",
                        ),
                        "Through?": {
                            "Type": "Choice",
                            "Choices": [{"Variable": "$.place.done", "BooleanEquals": True, "Next": "Through"}],
                            "Default": "Work through",
                        },
                        "Through": {"Type": "Succeed"},
                    },
                },
                **_wide(settings, bucket),
                "ResultPath": None,
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }


def _wide(settings: History, bucket: str) -> dict[str, Any]:
    return {
        "MaxConcurrency": settings.concurrency,
        "ToleratedFailurePercentage": settings.failed_percent,
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": bucket, "Prefix": RESULTS},
        },
        # A Map Run that couldn't be started, or a bucket that didn't answer; children have their own retries.
        "Retry": [
            retry(
                ["States.ItemReaderFailed", "States.ResultWriterFailed", "StepFunctions.ExecutionLimitExceeded"],
                seconds=30,
                attempts=4,
                longest=300,
            )
        ],
    }
