"""The zip that Lambda runs on arm64, built without Docker: what is native in it is for arm64, all else is what imports here.

An arm64 library can't be loaded on another machine. So its twin for this machine is built by the same command from the same lock: that one
is imported, and the two may differ in nothing but the machine that libraries are for.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {"arm64": 183, "x86_64": 62}  # e_machine: EM_AARCH64, EM_X86_64 (ELF-64 object file format)
HERE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
IMPORT = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for handler in sys.argv[2:]:
    module, _, name = handler.rpartition(".")
    found = importlib.import_module(module)
    assert found.__file__.startswith(sys.argv[1]), found.__file__
    assert callable(getattr(found, name)), handler
import psycopg, orjson, zstandard, numpy
psycopg.pq.version()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def build(arch: str, python: str, folder: Path) -> Path:
    command = [
        sys.executable,
        ROOT / "packaging" / "lambda_zip.py",
        "--arch",
        arch,
        "--python",
        python,
        "--out",
        folder,
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob(f"*python{python}-{arch}.zip"))


@pytest.fixture(scope="module")
def runtime(made) -> str:
    """The Python of the functions, as the templates say."""
    runtimes = {one.properties["Runtime"] for stage in made.templates for one in ours(made, stage)}
    assert len(runtimes) == 1
    return runtimes.pop().removeprefix("python")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory, runtime) -> Path:
    return build("arm64", runtime, tmp_path_factory.mktemp("arm64"))


def ours(made, stage: str) -> list:
    every = made.all(stage, "AWS::Lambda::Function")
    return [one for one in every if str(one.properties.get("Handler", "")).startswith("mailloom.")]


def libraries(file: Path) -> Mapping[str, int]:
    """Name of each ELF file in a zip -> the machine that it is for."""
    found = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                head = member.read(20)
            if head.startswith(b"\x7fELF"):
                assert head[4:6] == b"\x02\x01", f"{name}: 64 bits, little end first"
                found[name] = struct.unpack_from("<H", head, 18)[0]
    return found


def plain(name: str) -> str:
    """A library's name without the machine, and without the hash that wheels put into names of what they bring along."""
    return re.sub(r"(aarch64|x86_64|arm64)|-[0-9a-f]{8}(?=\.so)", "", name)


def others(file: Path) -> Iterator[tuple[str, str]]:
    """(name, hash) of all that is no library."""
    native = libraries(file)
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name not in native:
                yield name, hashlib.sha256(archive.read(name)).hexdigest()


def test_each_library_is_for_arm64(shipped):
    found = libraries(shipped)
    assert {name.partition("/")[0].partition(".")[0] for name in found} >= {
        "orjson",
        "psycopg_binary",
        "numpy",
        "zstandard",
    }
    assert {name for name, machine in found.items() if machine != MACHINES["arm64"]} == set()
    assert not [name for name in found if "x86_64" in name]


def test_it_differs_from_its_twin_in_machines_alone(shipped, runtime, tmp_path):
    twin = build("x86_64", runtime, tmp_path)
    assert set(libraries(twin).values()) == {MACHINES["x86_64"]}
    assert {plain(name) for name in extensions(shipped)} == {plain(name) for name in extensions(twin)}
    differ = dict(set(others(shipped)) ^ set(others(twin)))
    # What numpy was built with and what wheels say of their parts; no handler reads it.
    told = re.compile(r"numpy/__config__\.py|[^/]+\.dist-info/(WHEEL|sboms/.+)")
    assert {name for name in differ if not told.fullmatch(name)} == set()


def extensions(file: Path) -> list[str]:
    """Modules of Python among the libraries; what those link against, each wheel's builder chooses."""
    return [name for name in libraries(file) if ".libs/" not in name]


def test_each_handler_of_the_templates_imports(made, tmp_path):
    handlers = sorted({one.properties["Handler"] for stage in made.templates for one in ours(made, stage)})
    assert "mailloom.run.aws_lambda.validate" in handlers
    assert len(handlers) >= 5
    code = tmp_path / "code"
    with zipfile.ZipFile(build(HERE, f"{sys.version_info[0]}.{sys.version_info[1]}", tmp_path)) as archive:
        archive.extractall(code)
    # -S: not even this environment's site-packages.
    argv = [sys.executable, "-I", "-S", "-c", IMPORT, str(code), *handlers]
    done = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"pyarrow", "duckdb", "rich", "click", "aws_cdk"}.isdisjoint(json.loads(done.stdout))


def test_every_function_of_ours_is_for_arm64(made):
    for stage in made.templates:
        functions = ours(made, stage)
        assert len(functions) >= 5
        assert {tuple(one.properties["Architectures"]) for one in functions} == {("arm64",)}
