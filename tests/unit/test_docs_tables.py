"""docs/configuration.md, docs/metrics.md and docs/aws.md say what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "metrics.md", "aws.md"])
def test_the_tables_are_current(name: str) -> None:
    module = generator()
    page = (DOCS / name).read_text("utf-8")
    assert page == module.renewed(page, module.PAGES[name]()), "run `python docs/generate.py`"


def test_the_plots_are_current() -> None:
    drawn = generator().plots()
    assert {path.name for path in (DOCS / "plots").glob("*.svg")} == set(drawn)
    for name, text in drawn.items():
        assert (DOCS / "plots" / name).read_text("utf-8") == text, "run `python docs/generate.py`"


def test_the_example_of_a_file_is_one(tmp_path: Path) -> None:
    from mailloom.config import load

    (example,) = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "mailloom.toml").write_text(example)
    found = load(None, None, {}, tmp_path)
    assert (found.settings.profile, found.settings.servers, found.settings.scope) == ("aws", True, "acme")
    assert load("local", None, {}, tmp_path).settings.archive == "/srv/mail/archive"
