"""The commands. Each lives in a module of this folder that is imported when the command runs, so that `search` starts fast.

Exit codes: 0 done; 1 done, but something needs a look (the books don't balance, `doctor` found a fault, nothing was found);
2 wrong usage, or an input or archive that can't be used: the message says which and what to do; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailloom.ports import UserError

if TYPE_CHECKING:
    from mailloom.config import Loaded, Settings

COMMANDS = {
    "ingest": "ingest",
    "search": "find",
    "thread": "find",
    "show": "find",
    "explain": "find",
    "where": "find",
    "rejected": "find",
    "duplicates": "duplicates",
    "parse": "parse",
    "stats": "analyse",
    "sql": "analyse",
    "export": "analyse",
    "digest": "analyse",
    "doctor": "doctor",
    "rethread": "rethread",
    "synth": "synth",
    "work": "serve",
    "validate": "serve",
    "settle": "serve",
    "shadow": "shadow",
    "dead": "dead",
    "migrate": "serve",
    "plan": "plan",
    "config": "configuration",
}


class Lazy(click.Group):
    """A group whose commands are functions of the same name in the modules that COMMANDS names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"mailloom.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx) from None


# ------------------------------------------------------------------------------------------------ settings
def profile_options(command: Any) -> Any:
    """--profile NAME and --config FILE, before the command or behind it; settings() reads them."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
        if value is not None:
            ctx.find_root().meta[f"mailloom.{parameter.name}"] = value

    command = click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        expose_value=False,
        is_eager=True,
        callback=keep,
        help="Settings (default: $MAILLOOM_CONFIG, else ./mailloom.toml where there is one).",
    )(command)
    return click.option(
        "--profile",
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=keep,
        help="Which settings: local (a folder; the default), aws (servers), or your own.",
    )(command)


def loaded() -> Loaded:
    """The settings of this call with their origins, read once. Raises UserError."""
    from mailloom.config import load

    meta = click.get_current_context().find_root().meta
    if "mailloom.loaded" not in meta:
        meta["mailloom.loaded"] = load(meta.get("mailloom.profile"), meta.get("mailloom.config"), os.environ)
    found: Loaded = meta["mailloom.loaded"]
    return found


def settings() -> Settings:
    """The settings of this call. Raises UserError."""
    return loaded().settings


def on_servers() -> bool:
    """Whether the profile has servers, and no folder was named by --archive."""
    named = click.get_current_context().get_parameter_source("archive") == click.core.ParameterSource.COMMANDLINE
    return settings().servers and not named


def folder_only() -> None:
    """Raises UserError where the archive is on servers: what the command does is for folders."""
    if on_servers():
        name = click.get_current_context().info_name
        raise UserError(
            f"`mailloom {name}` does this in an archive in a folder only: name one by --archive, or leave out --profile"
        )


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mailloom", prog_name="mailloom")
@profile_options
def group() -> None:
    """Raw email in; clean, nested, threaded, searchable conversations out."""


def archive_option(command: Any) -> Any:
    """--archive DIR, or what the settings say (MAILLOOM_ARCHIVE, ./archive); with the options that choose the settings."""
    return click.option(
        "--archive",
        "-a",
        type=click.Path(path_type=Path, file_okay=True),
        default=lambda: settings().archive,
        help="The archive's folder (default: $MAILLOOM_ARCHIVE, else ./archive).",
    )(profile_options(command))


def json_option(command: Any) -> Any:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(command)


def jobs_option(command: Any) -> Any:
    return click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1, 256),
        default=os.cpu_count() or 1,
        help="Worker processes (default: one a CPU).",
    )(command)


def quiet_option(command: Any) -> Any:
    return click.option("--quiet", "-q", is_flag=True, help="No progress bar.")(command)


def policy_option(command: Any) -> Any:
    """--policy, or MAILLOOM_THREAD_POLICY."""
    return click.option(
        "--policy",
        type=click.Choice(["never", "subject", "gmail"]),
        default=lambda: settings().thread_policy,
        envvar="MAILLOOM_THREAD_POLICY",
        show_envvar=True,
        help="Split threads: never (default), where the subject changes, or as Gmail does.",
    )(command)


def main() -> None:
    """The console script: known errors become one line and exit code 2."""
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped; what was stored stays, the same command goes on from there", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:  # `mailloom search ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (UserError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:
            raise
        click.echo(f"mailloom: {error}", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
