"""docs/commands.md, the manual page and the completions against the commands themselves."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from slurmwatchd.cli import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
MAN = ROOT / "packaging" / "man" / "slurmwatchd.1"
CONTEXT = click.Context(cli, info_name="slurmwatchd")
COMMANDS: dict[str, click.Command] = {}
for _name in cli.list_commands(CONTEXT):
    _found = cli.get_command(CONTEXT, _name)
    assert _found is not None
    if isinstance(_found, click.Group):
        COMMANDS.update({f"{_name} {part}": _found.commands[part] for part in _found.commands})
    else:
        COMMANDS[_name] = _found


def command(name: str) -> click.Command:
    return COMMANDS[name]


def chapter(name: str) -> str:
    return PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_options_an_example_and_its_exit_codes(name: str) -> None:
    text = chapter(name)
    written = " ".join(re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE))
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", written), option
    assert "Example:\n\n    " in text
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert 0 in codes
    assert len(codes) >= 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_command_line_that_is_accepted(name: str) -> None:
    example = re.search(r"Example:\n\n((?:    .*\n)+)", chapter(name))
    assert example is not None
    for line in example[1].splitlines():
        own = re.search(rf"slurmwatchd {name}\b ?([^|>]*)", line)
        assert own is not None
        words = [word.strip("'\"") for word in re.findall(r"'[^']*'|\S+", own[1])]
        command(name).make_context(name, words, resilient_parsing=False)


def test_the_manual_page_is_clean() -> None:
    man = shutil.which("man")
    if man is None:
        pytest.skip("no man(1) here")
    done = subprocess.run(
        [man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MAN],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completions_are_clicks_own(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from slurmwatchd.cli import main; main()"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"_SLURMWATCHD_COMPLETE": f"{shell}_source"},
    )
    assert done.returncode == 0
    assert (ROOT / "packaging" / "completions" / f"slurmwatchd.{shell}").read_text() == done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [("slurmwatchd ru", ["plain,run", "plain,running"]), ("slurmwatchd jobs --ord", ["plain,--order"]),
     ("slurmwatchd jobs --order lo", ["plain,longest"])],
)  # fmt: skip
def test_completion_offers_commands_options_and_words(words: str, offered: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from slurmwatchd.cli import main; main()"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ
        | {"_SLURMWATCHD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
    )
    assert done.stdout.split() == offered
