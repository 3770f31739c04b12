"""`slurmwatchd --help`: every command with its own summary, and none imported to list it."""

import os
import pkgutil
import subprocess
import sys

import click
import pytest

from slurmwatchd.cli import cli, commands
from slurmwatchd.cli.commands import SUMMARIES

_LIST = """
import sys
from slurmwatchd.cli import main
try:
    main({arguments})
except SystemExit:
    pass
loaded = [name for name in sys.modules if name.startswith("slurmwatchd.cli.commands.")]
print(*loaded, *({{"rich", "pydantic", "aiosqlite", "anyio"}} & set(sys.modules)), file=sys.stderr)
"""


def listed(arguments: list[str], **environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _LIST.format(arguments=arguments)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return done.stdout, done.stderr.strip()


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_commands_summary_in_the_list_is_its_own(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.short_help is None
    own = command.get_short_help_str(200)
    assert own.rstrip(".") == SUMMARIES[name].rstrip(".")
    assert (command.help or "").startswith(SUMMARIES[name])


def test_every_module_of_the_folder_is_a_command_in_the_list() -> None:
    assert {module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__)} == set(SUMMARIES)


def test_help_lists_the_commands_and_imports_none() -> None:
    out, loaded = listed(["--help"])
    assert "  run              Run the service: poll sacct, store records, deliver events.\n" in out
    assert "  schema           Print the JSON Schema of an event as sinks write it.\n" in out
    assert loaded == ""


def test_completion_lists_the_commands_and_imports_none() -> None:
    out, loaded = listed([], _SLURMWATCHD_COMPLETE="zsh_complete", COMP_WORDS="slurmwatchd ru", COMP_CWORD="1")
    assert out.splitlines() == [
        "plain", "run", "Run the service: poll sacct, store records, deliver events.",
        "plain", "running", "Show what was running in an interval.",
    ]  # fmt: skip
    assert loaded == ""


def test_completion_still_offers_the_groups_options() -> None:
    out, _ = listed([], _SLURMWATCHD_COMPLETE="bash_complete", COMP_WORDS="slurmwatchd --v", COMP_CWORD="1")
    assert out == "plain,--version\n"
