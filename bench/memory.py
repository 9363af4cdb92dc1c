"""Peak memory of a command with all its processes: the largest sum of PSS seen, twice a second (Linux).

    python bench/memory.py [--kill-after SECONDS] -- mailloom ingest big.mbox --archive out

With --kill-after the command is killed with SIGKILL after so many seconds, for a test of resuming.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import time
from pathlib import Path

EVERY = 0.5  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kill-after", type=float)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    began = time.monotonic()
    process = subprocess.Popen(given.command, start_new_session=True)
    peak, most = 0, 0
    while process.poll() is None:
        sizes = [size for pid in members(process.pid) if (size := pss(pid))]
        peak, most = max(peak, sum(sizes)), max(most, len(sizes))
        if given.kill_after and time.monotonic() - began > given.kill_after:
            process.send_signal(signal.SIGKILL)
            given.kill_after = None
        time.sleep(EVERY)
    print(
        f"peak {peak / 1024:,.0f} MB of PSS over {most} processes, {time.monotonic() - began:,.1f} s, exit {process.returncode}"
    )


def members(session: int) -> list[int]:
    """The processes of a session: the command, its workers, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def pss(pid: int) -> int:
    """KB; 0 for a process that is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
