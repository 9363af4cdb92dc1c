"""The pool of worker processes, where a program takes less care of it than ours do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from mailloom.run.pool import Pool

if __name__ == "__main__":
    kept = Pool(abs, 2)
    kept.submit(0, -3)
    print([result for _ in range(100) if kept.busy for _, result in kept.results(5)])
"""


def test_a_program_that_closes_no_pool_ends_all_the_same(tmp_path: Path) -> None:
    """Its processes hear of no SIGTERM, which is what Python would end them by, and wait."""
    script = tmp_path / "forgets.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[3]\n"
