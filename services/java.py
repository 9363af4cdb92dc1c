"""Finds a Java that is new enough: JAVA_HOME, else the newest one installed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from services.fetch import Unavailable


def version(home: Path) -> int:
    """The Java release of a home (8, 17, 25), as its `release` file says; 0 where there is none."""
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def homes() -> list[Path]:
    """Every Java home on this machine, JAVA_HOME first, then the newest."""
    named = os.environ.get("JAVA_HOME")
    found = [
        Path(path).resolve() for path in ("/usr/lib/jvm", "/Library/Java/JavaVirtualMachines") if Path(path).is_dir()
    ]
    inside = {child.resolve() for folder in found for child in (*folder.iterdir(), *folder.glob("*/Contents/Home"))}
    if on_path := shutil.which("java"):
        inside.add(Path(on_path).resolve().parent.parent)
    rest = sorted((home for home in inside if version(home)), key=lambda home: (-version(home), str(home)))
    return [Path(named), *rest] if named else rest


def java(least: int, *, compiler: bool = False) -> Path:
    """The home of a Java of release `least` or later; with compiler, one that runs .java files.

    Raises:
        Unavailable: there is none.
    """
    wanted = "javac" if compiler else "java"
    for home in homes():
        if version(home) >= least and (home / "bin" / wanted).exists():
            return home
    seen = ", ".join(f"{home} ({version(home)})" for home in homes()) or "none"
    kind = "JDK" if compiler else "Java"
    raise Unavailable(
        f"{kind} {least} or later is needed and not here (found: {seen}): install one, or name it in JAVA_HOME"
    )
