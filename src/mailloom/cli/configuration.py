"""`mailloom config`: which settings are in force, and where each came from."""

from __future__ import annotations

from itertools import groupby

import click
import orjson

from mailloom.cli import draw, json_option, loaded, profile_options
from mailloom.config import Secret


@click.command()
@profile_options
@json_option
@click.option("--all", "everything", is_flag=True, help="Those that are left at their default, too.")
def config(as_json: bool, everything: bool) -> None:
    """Print the settings in force, and where each came from.

    Passwords are shown as ***. docs/configuration.md tells what each setting means.
    """
    found = loaded()
    rows = [(key, value, origin) for key, value, origin in found.values() if everything or origin != "default"]
    if as_json:
        for key, value, origin in rows:
            shown = str(value) if isinstance(value, Secret) else value
            draw.say(orjson.dumps({"key": key, "value": shown, "origin": origin}).decode())
        return
    draw.say(f"profile {found.settings.profile}, {found.file or 'no file'}")
    room = max((len(row[0].rpartition(".")[2]) + len(_written(row[1])) + 3 for row in rows), default=0)
    for table, members in groupby(rows, lambda row: row[0].rpartition(".")[0]):
        if table:
            draw.say(f"\n[{table}]")
        for key, value, origin in members:
            draw.say(f"{key.rpartition('.')[2]} = {_written(value)}".ljust(min(room, 60)) + f"  # {origin}")
    if not everything:
        draw.say("\nAll others are at their defaults: --all prints them", error=True)


def _written(value: object) -> str:
    """As TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(str(value)).decode()
