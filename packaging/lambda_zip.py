"""Build the zip that AWS Lambda runs: the package, and of the lock's wheels those that its handlers import.

    python packaging/lambda_zip.py --arch arm64 --python 3.13 --out build/lambda

Needs `make setup` and no compiler: wheels for the other architecture come as they are. The same sources and lock give
the same bytes, so a zip that did not change needs no new deployment.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "aws.txt"
# AWS Lambda quotas: code and layers together, unzipped.
LIMIT = 250 * 1024 * 1024
# Lambda's Python runtimes from 3.12 on run on Amazon Linux 2023 (glibc 2.34); these wheels need 2.28.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
# What only the archive on one machine and the command use, by the distribution's name, with its size in MB: together
# with them the code would be 390 MB. tests/e2e/test_packaging.py imports the handlers without these.
LEFT_OUT = {
    "click": 1,
    "duckdb": 62,
    "grpcio": 17,  # opensearch-py's other transport, with its messages; we talk HTTP
    "markdown-it-py": 1,
    "mdurl": 1,
    "opensearch-protobufs": 1,
    "pyarrow": 151,
    "pygments": 6,
    "rich": 2,
}
# No module imports these; .dist-info stays, as OpenTelemetry finds its parts by entry points.
NEEDLESS_FOLDERS = {"tests", "test", "__pycache__", "bin"}
NEEDLESS_FILES = {".pyi", ".pyx", ".pxd", ".pyc", ".h", ".hpp", ".c", ".cpp", ".a"}
# The oldest date that a zip can tell.
DATE = (1980, 1, 1, 0, 0, 0)


def wanted(lock: str) -> str:
    """The lock without what is left out, hashes and markers as they are."""
    blocks = re.split(r"^(?=\S+==)", lock, flags=re.MULTILINE)
    return "".join(block for block in blocks if block.partition("==")[0].strip().lower() not in LEFT_OUT)


def install(uv: Path, target: Path, arch: str, python: str, room: Path) -> None:
    """Put wheels and the package into target."""
    lock = room / "requirements.txt"
    lock.write_text(wanted(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    into = [str(uv), "pip", "install", "--quiet", "--target", str(target), "--python-version", python]
    into += ["--python-platform", PLATFORMS[arch], "--only-binary", ":all:", "--link-mode", "copy", "--no-deps"]
    subprocess.run([*into, "--require-hashes", "-r", str(lock)], check=True)
    build = [str(uv), "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", str(room / "dist"), str(ROOT)], check=True)
    subprocess.run([*into, "--offline", *map(str, (room / "dist").glob("*.whl"))], check=True)


def needed(target: Path) -> list[Path]:
    """The files of target that go into the zip, relative to it, sorted."""
    found = []
    for file in target.rglob("*"):
        path = file.relative_to(target)
        if file.is_file() and not NEEDLESS_FOLDERS & set(path.parts) and path.suffix not in NEEDLESS_FILES:
            found.append(path)
    # Of .dist-info, RECORD lists what was removed and INSTALLER, REQUESTED and the like tell of this machine.
    local = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
    return sorted(
        path
        for path in found
        if not (path.parent.suffix == ".dist-info" and path.name in local) and path.name != ".lock"
    )


def pack(target: Path, files: list[Path], out: Path) -> None:
    """Write files into the zip `out`: in this order, with one date and rights that any user may read."""
    half = out.with_suffix(".half")
    with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.as_posix(), DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix: or the rights say nothing
            entry.external_attr = (0o100755 if ".so" in path.suffixes else 0o100644) << 16
            archive.writestr(entry, (target / path).read_bytes())
    half.replace(out)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the zip that AWS Lambda runs.")
    parser.add_argument("--arch", choices=PLATFORMS, default="arm64")
    parser.add_argument("--python", default="3.13", help="Lambda's runtime: 3.12 or later in production (default 3.13)")
    parser.add_argument(
        "--certificates",
        type=Path,
        help="Amazon RDS's global-bundle.pem, to be /var/task/global-bundle.pem: for functions that connect to Aurora itself",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "lambda", help="folder of the zip")
    options = parser.parse_args()
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        parser.exit(1, "uv is not beside this Python: run it by `make lambda-zip`\n")
    if options.certificates is not None and b"BEGIN CERTIFICATE" not in options.certificates.read_bytes():
        parser.exit(1, f"{options.certificates} holds no certificates\n")
    options.out.mkdir(parents=True, exist_ok=True)
    version = importlib.metadata.version("mailloom")
    out = options.out / f"mailloom-{version}-python{options.python}-{options.arch}.zip"
    with tempfile.TemporaryDirectory(prefix="mailloom-lambda-") as name:
        room = Path(name)
        target = room / "code"
        install(uv, target, options.arch, options.python, room)
        if options.certificates is not None:
            shutil.copyfile(options.certificates, target / "global-bundle.pem")
        files = needed(target)
        size = sum((target / path).stat().st_size for path in files)
        print(f"{size / 2**20:.0f} MB unzipped, of the {LIMIT / 2**20:.0f} MB that Lambda takes")
        if size > LIMIT:
            top: dict[str, int] = {}
            for path in files:
                top[path.parts[0]] = top.get(path.parts[0], 0) + (target / path).stat().st_size
            for part in sorted(top, key=lambda part: -top[part])[:12]:
                print(f"  {top[part] / 2**20:6.1f} MB {part}")
            return 1
        pack(target, files, out)
    print(f"{out.stat().st_size / 2**20:.0f} MB zipped: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
