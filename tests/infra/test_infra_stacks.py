"""All stages are there, and more than an empty app."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_each_stage_has_its_stacks_and_resources(made, stage):
    assert set(made.templates[stage]) == {"network", "landing", "state", "stores", "compute", "history", "watch"}
    assert len(made.all(stage)) > 60
    assert len(made.all(stage, "AWS::DynamoDB::Table")) == 3
