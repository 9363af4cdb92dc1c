"""`python -m services start|stop|status|env|lock|up|down`."""

from __future__ import annotations

import argparse
import shlex
import sys

from services import fetch, stack
from services.servers import SERVERS, url


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m services", description="Real servers on loopback, for tests and a desk."
    )
    commands = top.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start servers, all unless named, and wait until they answer")
    start.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SERVERS))
    start.add_argument("--port", action="append", default=[], metavar="NAME=PORT", help="a port instead of a free one")
    stop = commands.add_parser("stop", help="stop servers, all unless named, and remove their data")
    stop.add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("status", help="what runs, where")
    commands.add_parser("env", help='the variables that point to them: eval "$(python -m services env)"')
    commands.add_parser("up", help="start everything: servers, bucket, queues, validator, workers, settle")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("lock", help="write maven.lock anew from maven/*.xml")
    return top


def show() -> None:
    running = stack.alive()
    for name in SERVERS:
        if found := running.get(name):
            print(f"{name:<10} {url(name, found.port)}  pid {found.pid}  log {found.log}")
        else:
            print(f"{name:<10} not running")


def tell(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    top = parser()
    options = top.parse_args()
    if unknown := sorted(set(getattr(options, "names", [])) - SERVERS.keys()):
        top.error(f"no such server: {', '.join(unknown)} (there are {', '.join(SERVERS)})")
    try:
        if options.command == "start":
            ports = {name: int(port) for name, _, port in (each.partition("=") for each in options.port)}
            stack.start(options.names or SERVERS, ports=ports, tell=tell)
            show()
        elif options.command == "stop":
            print("stopped: " + (", ".join(stack.stop(options.names or None)) or "nothing ran"))
        elif options.command == "status":
            show()
        elif options.command == "env":
            for name, value in stack.variables(stack.alive()).items():
                print(f"export {name}={shlex.quote(value)}")
        elif options.command == "up":
            from services import desk

            print(desk.up(tell))
        elif options.command == "down":
            from services import desk

            tell("Stopping what runs")
            print("stopped: " + (", ".join([*desk.down(), *stack.stop()]) or "nothing ran"))
        else:
            fetch.write_lock()
    except fetch.Unavailable as error:
        print(f"{error}\nWhat did start goes on: `make down` stops it.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped halfway. What did start goes on: `make down` stops it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
