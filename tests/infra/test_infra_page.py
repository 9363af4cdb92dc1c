"""docs/aws.md: the settings that it names are there, and so are the outputs that its commands want."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.config.stages import Stage
from infra.config.typed import keys

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "aws.md").read_text("utf-8")
TOLD = {
    "network": {"Subnet", "Group"},
    "landing": {"Bucket", "Images", "Collector"},
    "compute": {"Cluster"},
    "history": {"Backfill", "Nightly"},
}


def test_each_setting_that_is_named_is_one():
    known = keys(Stage)
    tables = {key.partition(".")[0] for key in known if "." in key}
    named = {key for key in re.findall(r"`(\w+\.\w+)(?: = [^`]*)?`", PAGE) if key.partition(".")[0] in tables}
    assert len(named) >= 15
    assert named - known.keys() == set()


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_what_commands_want_is_told(made, stage):
    for stack, names in TOLD.items():
        outputs = made.templates[stage][stack]["Outputs"]
        assert names <= outputs.keys()
        assert all(outputs[name]["Value"] for name in names)


def test_the_page_says_where_they_come_from():
    assert {
        name for names in TOLD.values() for name in names if f"`{name}`" not in PAGE and f"`{name.upper()}`" not in PAGE
    } <= {"Nightly"}
