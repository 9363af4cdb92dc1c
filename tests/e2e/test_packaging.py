"""What is shipped to servers: an image without root or loose versions, and a zip that Lambda can import."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
sys.path.insert(0, str(PACKAGING))

import lambda_zip  # noqa: E402


def instructions() -> list[tuple[str, str]]:
    """(instruction, its words) of the Dockerfile in order, continued lines joined."""
    text = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    begin = max(number for number, (word, _) in enumerate(every) if word == "FROM")
    return every[begin:]


def test_the_base_is_one_pinned_python() -> None:
    bases = [words.partition("=")[2] for word, words in instructions() if word == "ARG"]
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0]), "a patch release and a Debian release"
    assert {words.split()[0] for word, words in instructions() if word == "FROM"} == {"${BASE}"}
    assert not any("--platform" in words for word, words in instructions() if word == "FROM"), "the builder's choice"


def test_all_that_is_installed_has_a_hash() -> None:
    installs = [
        command
        for word, words in instructions()
        if word == "RUN"
        for command in words.split("&&")
        if "pip install" in command
    ]
    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or "--no-deps --offline" in command, command
    assert not any(re.search(r"curl|wget|apt|https?://", words) for word, words in instructions() if word == "RUN")


def test_what_runs_is_not_root() -> None:
    stage = last_stage()
    users = [number for number, (word, _) in enumerate(stage) if word == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage[users[0]][1]), "numbers, so that runAsNonRoot can be checked"
    assert not any(word in {"RUN", "COPY", "ADD"} for word, _ in stage[users[0] :])


def test_it_ends_in_order_and_tells_its_health() -> None:
    stage = dict(last_stage())
    assert stage["STOPSIGNAL"] == "SIGTERM"
    # A shell between would keep the signal for itself.
    assert json.loads(stage["ENTRYPOINT"]) == ["mailloom"]
    assert json.loads(stage["CMD"]) == ["work"]
    assert "/healthz" in stage["HEALTHCHECK"]
    port = re.search(r"MAILLOOM_WORKER_HEALTH_PORT=(\d+)", stage["ENV"])
    assert port
    assert f"127.0.0.1:{port[1]}/healthz" in stage["HEALTHCHECK"]


def test_aurora_can_be_trusted_where_the_manual_says() -> None:
    (added,) = [words.split() for word, words in instructions() if word == "ADD"]
    assert added[-2].startswith("https://truststore.pki.rds.amazonaws.com/")
    assert "--chmod=444" in added, "what is fetched is root's alone"
    assert added[-1] in (ROOT / "docs" / "postgres.md").read_text(encoding="utf-8")


def test_no_secret_and_nothing_needless_goes_in() -> None:
    for word, words in instructions():
        assert not re.search(r"(?i)password|secret|token|access_key", words), word
    ignored = (PACKAGING / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*", "all is left out but what is named"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, words in instructions()
        if word == "COPY" and "--from" not in words
        for source in words.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / path).exists() for path in let_in)


def test_a_zip_too_large_for_lambda_fails_and_tells_what_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def install(uv: Path, target: Path, arch: str, python: str, room: Path) -> None:
        for name, size in {"big/code.py": 3000, "small.py": 10, "big/tests/test_code.py": 9999}.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(b"#" * size)

    monkeypatch.setattr(lambda_zip, "install", install)
    monkeypatch.setattr(sys, "argv", ["lambda_zip.py", "--out", str(tmp_path)])
    assert lambda_zip.main() == 0
    made = list(tmp_path.glob("*.zip"))
    with zipfile.ZipFile(made[0]) as archive:
        assert archive.namelist() == ["big/code.py", "small.py"]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("none\n")
    monkeypatch.setattr(sys, "argv", ["lambda_zip.py", "--out", str(tmp_path), "--certificates", str(bundle)])
    with pytest.raises(SystemExit):
        lambda_zip.main()
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    assert lambda_zip.main() == 0
    with zipfile.ZipFile(made[0]) as archive:
        assert archive.namelist() == ["big/code.py", "global-bundle.pem", "small.py"]
    for file in (made[0], bundle):
        file.unlink()
    monkeypatch.setattr(sys, "argv", ["lambda_zip.py", "--out", str(tmp_path)])
    monkeypatch.setattr(lambda_zip, "LIMIT", 3009)
    assert lambda_zip.main() == 1
    assert "big" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_out_is_in_the_lock_and_goes_with_its_hashes() -> None:
    lock = (ROOT / "requirements" / "aws.txt").read_text(encoding="utf-8")
    names = {name.lower() for name in re.findall(r"^(\S+?)==", lock, re.MULTILINE)}
    left = set(re.findall(r"^(\S+?)==", lambda_zip.wanted(lock), re.MULTILINE))
    assert lambda_zip.LEFT_OUT.keys() <= names
    assert names - {name.lower() for name in left} == lambda_zip.LEFT_OUT.keys()
    blocks = re.split(r"^(?=\S+==)", lambda_zip.wanted(lock), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


IMPORT = """
import importlib, json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import mailloom
assert mailloom.__file__.startswith(sys.argv[1]), mailloom.__file__
import boto3, opensearchpy, psycopg, redis, structlog
import opentelemetry.exporter.otlp.proto.http.trace_exporter, opentelemetry.propagators.aws
import opentelemetry.sdk.extension.aws.trace
psycopg.pq.version()
boto3.client("sqs", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
at_home = ("mailloom.archive", "mailloom.cli", "mailloom.synth", "mailloom.__main__")
for found in pkgutil.walk_packages(mailloom.__path__, "mailloom.", onerror=None):
    if not found.name.startswith(at_home):
        importlib.import_module(found.name)
mail = mailloom.parse(b"Subject: it runs\\r\\n\\r\\nhello\\r\\n")
print(json.dumps({"subject": mail.subject, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def test_a_function_loads_nothing_that_only_a_folder_needs() -> None:
    code = (
        "import sys, mailloom.run.aws_lambda, mailloom.wire.profile; print(*{n.partition('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"apsw", "pyarrow", "duckdb", "rich", "click"}.isdisjoint(done.stdout.split())


@pytest.mark.prove
def test_the_zip_imports_where_nothing_else_is(tmp_path: Path) -> None:
    arch = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    made = []
    for name in ("a", "b"):
        build = [sys.executable, str(PACKAGING / "lambda_zip.py"), "--arch", arch, "--python", python]
        done = subprocess.run([*build, "--out", str(tmp_path / name)], check=True, capture_output=True, text=True)
        assert "MB unzipped, of the 250 MB that Lambda takes" in done.stdout
        made += (tmp_path / name).glob("*.zip")
    assert len({hashlib.sha256(file.read_bytes()).digest() for file in made}) == 1, "the same bytes each time"

    code = tmp_path / "code"
    with zipfile.ZipFile(made[0]) as archive:
        names = archive.namelist()
        archive.extractall(code)
    assert names == sorted(names, key=lambda name: Path(name).parts)
    assert not [name for name in names if re.search(r"(^|/)(tests?|__pycache__)/|\.pyc$|direct_url|^bin/", name)]
    assert not [name for name in names if str(tmp_path) in name or str(ROOT) in name]
    # -S: not even this environment's site-packages; what Lambda has is the standard library, and boto3 we bring.
    argv = [sys.executable, "-I", "-S", "-W", "error::ImportWarning", "-c", IMPORT, str(code)]
    done = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    assert said["subject"] == "it runs"
    assert {"pyarrow", "duckdb", "rich", "click", "grpc"}.isdisjoint(said["modules"])
