"""What several tests stand on: where real mail lies, hostile mail, and how hard Hypothesis tries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# The folder is on the path once pytest has found this file: servers.py lies beside it.
pytest_plugins = ["servers"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# Machines that run other things beside the tests make deadlines fail by chance; time is tested as ratios instead.
settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", settings.get_profile("default"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def corpus() -> Path:
    """A folder of real mail, named by MAILLOOM_CORPUS. It is no part of the project, so tests with it are skipped without it."""
    folder = Path(os.environ.get("MAILLOOM_CORPUS") or SHARED / "corpus")
    if not folder.is_dir():
        pytest.skip(f"no real mail here: {folder} is absent (MAILLOOM_CORPUS names it)")
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of hostile and broken mail at scale 1, made by the script that MAILLOOM_HOSTILE names."""
    script = Path(os.environ.get("MAILLOOM_HOSTILE") or SHARED / "tools" / "hostile.py")
    if not script.is_file():
        pytest.skip(f"no maker of hostile mail here: {script} is absent (MAILLOOM_HOSTILE names it)")
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run([sys.executable, str(script), str(folder), "--scale", "1"], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def server_missing() -> Callable[[str], NoReturn]:
    """What a test calls when the server it needs doesn't answer: skipped at a desk, a failure where CI=true.

    A desk has rarely everything running; in CI a skipped test would be a promise that nobody keeps.
    """

    def tell(what: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is needed in CI and does not answer", pytrace=False)
        pytest.skip(f"{what} does not answer")

    return tell
