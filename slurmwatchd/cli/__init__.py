"""The command line: one module a command, loaded when it is used; errors become one line and an exit code here.

Exit codes: 0 done; 1 it cannot be done; 2 the command line is wrong; 75 something outside failed that may heal
(EX_TEMPFAIL: try again later); 78 the configuration is wrong (EX_CONFIG); 130 interrupted; 141 whoever read the
output has gone. `status` and `verify` have more of their own.
"""

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import click

from slurmwatchd._version import __version__
from slurmwatchd.cli.commands import SUMMARIES
from slurmwatchd.cli.tuning import look_less_often
from slurmwatchd.errors import FatalError, SlurmwatchError, first_cause
from slurmwatchd.model.terminal_text import is_text, shown

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EX_TEMPFAIL = 75
EX_PIPE = 141
"""128 + SIGPIPE: how a shell sees the end of any filter whose reader has gone."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}

_NO_ARGUMENTS: tuple[type[click.ClickException], ...] = tuple(
    error for error in [getattr(click.exceptions, "NoArgsIsHelpError", None)] if error is not None
)
"""What click raises where it was given nothing to do, and shows its help; before 8.2 it showed it by itself."""


class _Commands(click.Group):
    """A group that imports a command's module when the command is used, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in SUMMARIES:
            return None
        module = importlib.import_module(f"slurmwatchd.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the list of commands below `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete a command's name, or an option of the group."""
        # A command that is run has no use for it.
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        found = [
            CompletionItem(name, help=text) for name, text in SUMMARIES.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what is no text: it would fail where it is compared or handed on, wherever that is."""
        for argument in args:
            if not is_text(argument):
                raise click.UsageError(f"{os.fsencode(argument)!r} is not UTF-8 text", ctx)
        return super().parse_args(ctx, args)

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
    """Detect every Slurm job that ends, and deliver it exactly once.

    Example: slurmwatchd run --config /etc/slurmwatchd/slurmwatchd.toml
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake never shows a traceback.

    Args:
        arguments: What follows the program's name; None: as the process was started.
    """
    _open_what_is_closed()
    look_less_often()
    # Pydantic would read what each installed package says of itself, to look for plug-ins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        cli.main(arguments, prog_name="slurmwatchd", standalone_mode=False)
        # Here and not at Python's exit, where a reader who has gone would show as a traceback.
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except _NO_ARGUMENTS as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _complain(_one_line(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        cause = first_cause(error)
        code = _said(cause)
        if code is None:
            if "JOURNAL_STREAM" in os.environ:
                # The traceback below it has no priority of its own.
                _complain(f"internal error: {type(cause).__name__}: {' '.join(str(cause).split())}")
            raise
        sys.exit(code)


def _said(cause: BaseException) -> int | None:
    """Say what went wrong and return the exit code; None where it is a fault of the program."""
    if isinstance(cause, BrokenPipeError | _ReaderGoneError):
        _let_go_of_output()
        return EX_PIPE
    if is_output_error(cause):
        _let_go_of_output()
        _complain(f"standard output: {cause.strerror}")
        return 1
    if not isinstance(cause, SlurmwatchError):
        return None
    for line in str(cause).splitlines():
        _complain(shown(line))
    return cause.exit_code if isinstance(cause, FatalError) else EX_TEMPFAIL


def _complain(line: str) -> None:
    """Write one line to stderr; where that is the journal's, as an error, so that `journalctl -p err` has it."""
    mark = ""
    if "JOURNAL_STREAM" in os.environ:
        # It is not quick to import, and seldom needed.
        from slurmwatchd.telemetry.log import priority_mark  # noqa: PLC0415

        mark = priority_mark()
    click.echo(f"{mark}slurmwatchd: {line}", err=True)


def is_output_error(error: BaseException) -> TypeGuard[OSError]:
    """Return whether an error is that of writing to standard output: on a full disk, or where it was closed."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE


def _let_go_of_output() -> None:
    """Give Python's own flush at exit somewhere to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """Have all three streams, also where the shell closed some (`>&-`), for which Python has None.

    Input is empty then, and output refuses what is written, with the error that a closed one has. Else the next
    file opened would get the number, and whoever writes to it by number would write into the store.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _one_line(error: click.ClickException) -> str:
    """Return what is wrong in one line; for a mistake on the command line, also where to read on."""
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{text} (see {error.ctx.command_path} --help)"
    return shown(text)
