"""Fetching the servers: nothing is taken that isn't in the lock, and what is missing is told with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services import desk, fetch, java, stack
from services.__main__ import main as services_main


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILLOOM_SERVICES", str(tmp_path / "cache"))


def test_every_file_of_maven_is_locked() -> None:
    lock = fetch.maven_lock()
    assert lock.keys() == {pom.stem for pom in (fetch.HERE / "maven").glob("*.xml")}
    assert "DynamoDBLocal-3.3.1.jar" in lock["dynamodb"]
    assert lock["opensearch"].keys() == {"opensearch-3.6.0.zip"}
    assert {len(digest) for files in lock.values() for digest in files.values()} == {64}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "a.jar is missing"),
        ({"a.jar": b"other"}, "a.jar has another hash"),
        ({"a.jar": b"a", "b.jar": b"b"}, "b.jar is not in the lock"),
    ],
)
def test_nothing_but_the_lock_is_taken(tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    want = {"a.jar": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(fetch.Unavailable, match=told):
        fetch.check("x", tmp_path, want)
    for file in tmp_path.glob("*.jar"):
        file.unlink()
    (tmp_path / "a.jar").write_bytes(b"a")
    fetch.check("x", tmp_path, want)


def test_a_folder_is_made_once_and_whole(tmp_path: Path) -> None:
    times = []

    def make(folder: Path) -> None:
        times.append(folder)
        (folder / "file").touch()

    threads = [threading.Thread(target=fetch.made, args=("x", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
    assert (tmp_path / "cache" / "x" / "file").exists()


def test_what_failed_half_way_is_made_anew() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise fetch.Unavailable("no")

    with pytest.raises(fetch.Unavailable):
        fetch.made("x", fail)
    assert list(fetch.made("x", lambda folder: (folder / "whole").touch()).iterdir()) == [fetch.cache() / "x" / "whole"]


def test_a_missing_program_is_told_with_advice() -> None:
    with pytest.raises(fetch.Unavailable, match="dynamodb: no-such-program is not installed: get it"):
        fetch.run("dynamodb", ["no-such-program"], "get it")


def test_a_failing_program_is_told_with_its_last_lines() -> None:
    with pytest.raises(fetch.Unavailable, match=r"(?s)x: .* failed: get it.*    last words"):
        fetch.run("x", [sys.executable, "-c", "print('last words'); raise SystemExit(3)"], "get it")


def home(folder: Path, release: str, *programs: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    for program in programs:
        (folder / "bin" / program).touch()
    return folder


@pytest.mark.parametrize(("release", "number"), [("25.0.3", 25), ("17", 17), ("1.8.0_402", 8), ("21-ea", 21), ("x", 0)])
def test_reads_the_release_of_java(tmp_path: Path, release: str, number: int) -> None:
    assert java.version(home(tmp_path / "a", release)) == number


def test_takes_java_home_if_new_enough_else_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = [home(tmp_path / name, name, "java") for name in ("11", "21", "25")]
    home(tmp_path / "23", "23", "java", "javac")
    monkeypatch.setattr(java, "homes", lambda: [homes[1], homes[2], tmp_path / "23", homes[0]])
    assert java.java(21) == homes[1]
    assert java.java(22) == homes[2]
    assert java.java(21, compiler=True) == tmp_path / "23"
    with pytest.raises(fetch.Unavailable, match=r"Java 26 or later .*11 \(11\).*JAVA_HOME"):
        java.java(26)


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home(tmp_path / "a", "8")))
    assert java.homes()[0] == tmp_path / "a"


def test_a_process_that_took_over_an_id_is_not_ours() -> None:
    me = stack.Running(os.getpid(), 1.0, 1, 2, "", "")
    assert me.process() is None


def test_ports_are_none_that_a_client_could_get() -> None:
    ports = stack.free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32768  # Linux gives clients those from here on, other systems higher ones


def test_the_command_tells_names_and_variables(tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "services", *words]
        return subprocess.run(argv, cwd=fetch.ROOT, capture_output=True, text=True, check=False)

    assert "postgres" in command("status").stdout
    wrong = command("start", "postgras")
    assert wrong.returncode == 2
    assert "no such server: postgras" in wrong.stderr


def test_variables_point_to_each_server() -> None:
    running = {
        name: stack.Running(1, 1.0, 1234, 2, "", "") for name in ("postgres", "valkey", "dynamodb", "aws", "opensearch")
    }
    found = stack.variables(running)
    assert found["MAILLOOM_POSTGRES_DSN"] == "postgresql://mailloom@127.0.0.1:1234/postgres"
    assert found["AWS_ENDPOINT_URL_DYNAMODB"] == "http://127.0.0.1:1234"
    assert len(stack.variables({})) == 0


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 failed"), ("", "1 skipped")])
def test_a_missing_server_is_skipped_at_a_desk_and_fails_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    """In a run of its own, with an empty cache and no program that could fill it."""
    test = fetch.ROOT / "tests" / "e2e" / "test_servers_stack.py"
    env = os.environ | {"CI": ci, "PATH": "/nonexistent", "MAILLOOM_SERVICES": str(tmp_path / "cache")}
    argv = [sys.executable, "-m", "pytest", "-n", "0", "-m", "servers", "-k", "dynamodb", str(test)]
    done = subprocess.run(argv, cwd=fetch.ROOT, env=env, capture_output=True, text=True, check=False)
    if "dynamodb" in stack.alive():
        pytest.skip("a server of the desk runs, so none is missing")
    assert outcome in done.stdout
    assert ci == "" or "mvn is not installed" in done.stdout


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (fetch.Unavailable("Java 21 or later is needed"), 1, "Java 21 or later is needed\n"),
        (KeyboardInterrupt(), 130, "Stopped halfway. "),
    ],
)
def test_who_stops_halfway_is_told_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, told: str
) -> None:
    """The servers that came up are processes of their own, and nobody else says that they run."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(desk, "down", list)
    monkeypatch.setattr(stack, "start", fail)
    monkeypatch.setattr(sys, "argv", ["services", "up"])
    assert services_main() == code
    said = capsys.readouterr()
    assert said.err.startswith(told)
    assert "`make down` stops it" in said.err
    assert said.out.startswith("Starting postgres, ")  # before the wait, not after it


def test_each_server_is_told_when_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = stack.Running(1, 0.0, 0, 0, "", "")
    monkeypatch.setattr(stack, "start_one", lambda *_: running)
    lines: list[str] = []
    assert stack.start(["valkey", "aws"], tmp_path, tell=lines.append) == {"valkey": running, "aws": running}
    assert sorted(line.split()[:2] for line in lines) == [["aws", "answers,"], ["valkey", "answers,"]]
