"""The Embedded Metric Format as a JSON Schema, written from AWS's "Specification: Embedded metric format" (CloudWatch User Guide)."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator

UNITS = [
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits", "Megabits",
    "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second",
    "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
]  # fmt: skip

# What the specification says of each part, part by part.
DIMENSION_SET = {
    "type": "array",
    "maxItems": 30,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 250},
}
DEFINITION = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {
        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Unit": {"enum": UNITS},
        "StorageResolution": {"enum": [1, 60]},
    },
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Dimensions": {"type": "array", "minItems": 1, "items": DIMENSION_SET},
        "Metrics": {"type": "array", "maxItems": 100, "items": DEFINITION},
    },
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {"type": "array", "items": DIRECTIVE},
            },
        }
    },
}
METRIC = {
    "anyOf": [{"type": "number"}, {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "number"}}],
}
DIMENSION = {"type": "string", "minLength": 1, "maxLength": 1024}
LONGEST_LINE = 256 * 1024  # what the format allowed first; 1 MB now


def checked(line: str) -> dict[str, Any]:
    """The line's object. Raises where it breaks a rule of the format; what a directive names must be a member of the root."""
    assert len(line.encode()) <= LONGEST_LINE
    assert "\n" not in line

    def number(text: str) -> float:
        assert not re.fullmatch(r"-?(Infinity|NaN)", text)
        return float(text)

    value: dict[str, Any] = json.loads(line, parse_constant=number)
    Draft202012Validator(SCHEMA).validate(value)
    for directive in value["_aws"]["CloudWatchMetrics"]:
        for definition in directive["Metrics"]:
            Draft202012Validator(METRIC).validate(value[definition["Name"]])
        for dimensions in directive["Dimensions"]:
            for name in dimensions:
                Draft202012Validator(DIMENSION).validate(value[name])
    return value
