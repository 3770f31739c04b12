"""The command line: one module a command, loaded when it is used; errors become one line and an exit code here.

Exit codes: 0 done; 1 it cannot be done; 2 the command line is wrong; 75 something outside failed that may heal
(EX_TEMPFAIL: try again later); 78 the configuration is wrong (EX_CONFIG); 130 interrupted; 141 whoever read the
output has gone. `status` and `verify` have more of their own.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from slurmwatchd._version import __version__
from slurmwatchd.errors import FatalError, SlurmwatchError, first_cause
from slurmwatchd.printable import shown

EX_TEMPFAIL = 75
EX_PIPE = 141
"""128 + SIGPIPE: how a shell sees the end of any filter whose reader has gone."""

_COMMANDS = {
    "run": "The service: poll, store, deliver, until told to stop.",
    "once": "Poll once, deliver, exit.",
    "verify": "Is anything missing? The store against sacct, the files against the store.",
    "backfill": "Read what ended before the daemon's first poll.",
    "quarantine": "Rows that could not be read: list them, read them again.",
    "demo": "The whole daemon on a simulated cluster.",
    "check": "Is everything fit to run: configuration, Slurm, rights, clock, disks, port?",
    "status": "What the daemon is doing: how far it has read, and what its sinks have.",
    "jobs": "Which attempts ended: by user, state, node, time and more.",
    "show": "All that is known of a job.",
    "nodes": "What ran on a node.",
    "running": "What was running in an interval.",
    "export": "The store's attempts as JSON lines, CSV or Parquet.",
    "expand": "Node lists into node names.",
    "compact": "Node names into a node list.",
    "schema": "The JSON Schema of the events in a file.",
}


class _Commands(click.Group):
    """A group that imports a command's module when the command is used, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"slurmwatchd.cli.{cmd_name}")
        command: click.Command = module.command
        command.short_help = _COMMANDS[cmd_name]
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run a command; click would make a reader who has gone an exit status of 1, which says that it failed."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGoneError from None


class _ReaderGoneError(Exception):
    """Whoever read our output has gone."""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="slurmwatchd", message="%(prog)s %(version)s")
def cli() -> None:
    """Notice every Slurm job that ends, exactly once, and hand it on.

    Example: slurmwatchd run --config /etc/slurmwatchd/slurmwatchd.toml
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake never shows a traceback.

    Args:
        arguments: What follows the program's name; None: as the process was started.
    """
    try:
        cli.main(arguments, prog_name="slurmwatchd", standalone_mode=False)
        # Here and not at Python's exit, where a reader who has gone would show as a traceback.
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        click.echo(f"slurmwatchd: {_one_line(error)}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (BrokenPipeError, _ReaderGoneError):
        # Whoever read our output has gone; give Python's own flush at exit somewhere to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EX_PIPE)
    except Exception as error:
        cause = first_cause(error)
        if not isinstance(cause, SlurmwatchError):
            raise
        for line in str(cause).splitlines():
            click.echo(f"slurmwatchd: {shown(line)}", err=True)
        sys.exit(cause.exit_code if isinstance(cause, FatalError) else EX_TEMPFAIL)


def _one_line(error: click.ClickException) -> str:
    """Return what is wrong in one line; for a mistake on the command line, also where to read on."""
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{text} (see {error.ctx.command_path} --help)"
    return shown(text)
