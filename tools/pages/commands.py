"""docs/commands.md and the manual page, from the commands themselves."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

from slurmwatchd.cli import cli
from tools.pages.marks import cell

_INTRODUCTION = """\
# Commands

This page is rendered from `slurmwatchd COMMAND --help`, which prints the same.

`run`, `once` and `check` use Slurm and the whole configuration. `jobs`, `show`, `nodes`, `running` and `export`
only read the store: they need read access to its file, work with or without a running daemon, and never wait for
Slurm. The store has only jobs that ended.

**Times** are written as durations before now (`-2h`, `7d`, `1d12h`, as in the configuration), words (`now`,
`today`, `yesterday`), dates (`2026-11-20`: its midnight), dates with a time (`2026-11-20T14:30`, with a zone where
you like), a time of today (`14:30`), or `@1795423566`. Without a zone they are in the machine's own, as
tables show them; with `TZ=UTC slurmwatchd ...` both are UTC. JSON, CSV and files have UTC.

**Output.** On a terminal, tables fit its width: the command truncates names and node lists and, if that is not
enough, omits columns, the start first. In a pipe or a file it writes all columns, separated by tabs, with times
and sizes in readable form. For programs, use `--json` or `--csv`: all values, raw. `NO_COLOR` turns colours off.
The commands escape characters in a job's name that could move the cursor or forge a line. Notes, for example that
there are more rows than `--limit`, go to stderr.

**Exit codes** of all commands: 0 done; 1 it cannot be done; 2 the command line is wrong; 75 a temporary failure
outside the command, try again; 78 the configuration is wrong; 130 interrupted; 141 the reader of the output closed
it, as in `slurmwatchd jobs | head`. An error is one line on stderr.

**Completion** of commands and options: source the file for your shell from `packaging/completions/`, or install it
as described in [Install](install.md#8-the-shell).
"""


@dataclass(frozen=True, slots=True)
class Text:
    """A command's docstring, taken apart.

    Attributes:
        paragraphs: What it says.
        examples: Command lines.
        exit_codes: (code, meaning).
    """

    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    exit_codes: tuple[tuple[str, str], ...]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Give every command in the order of `--help`."""
    context = click.Context(cli, info_name="slurmwatchd")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", command.commands[part]) for part in command.commands)
        else:
            yield name, command


def text_of(command: click.Command) -> Text:
    """Take a command's docstring apart; each has an example and its exit codes."""
    paragraphs = [part.strip().removeprefix("\b").strip() for part in (command.help or "").split("\n\n")]
    examples = [part.removeprefix("Example: ") for part in paragraphs if part.startswith("Example: ")]
    parts = [" ".join(part.split()) for part in paragraphs if not part.startswith("Example: ")]
    codes = [part.removeprefix("Exit codes: ") for part in parts if part.startswith("Exit codes: ")]
    plain = [part for part in parts if not part.startswith("Exit codes: ")]
    if not examples or not codes:
        raise LookupError(f"{command.name}: has no 'Example: ' or no 'Exit codes: ' in its text")
    lines = [" ".join(line.split()) for line in examples[0].splitlines()]
    return Text(tuple(plain), tuple(lines), tuple(_joined(codes[0].rstrip(".").split("; "))))


def _joined(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Give (code, meaning), with a semicolon inside a meaning put back."""
    merged: list[tuple[str, str]] = []
    for part in parts:
        first, _, rest = part.partition(" ")
        if first.isdigit():
            merged.append((first, rest))
        else:
            code, meaning = merged.pop()
            merged.append((code, f"{meaning}; {part}"))
    yield from merged


def usage_of(name: str, command: click.Command) -> str:
    """Return the line that says how a command is called."""
    context = click.Context(command, info_name=f"slurmwatchd {name}")
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def options_of(name: str, command: click.Command) -> list[tuple[str, str]]:
    """Return (how it is written, what it does) of each option but `--help`."""
    os.environ["COLUMNS"] = "200"
    context = click.Context(command, info_name=f"slurmwatchd {name}", max_content_width=1000, terminal_width=1000)
    records = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        # Its names depend on who asked for it first.
        if "--help" not in parameter.opts
    ]
    return [(" ".join(record[0].split()), " ".join(record[1].split())) for record in records if record is not None]


def page() -> str:
    """Render docs/commands.md."""
    parts = [_INTRODUCTION]
    found = list(commands())
    parts.append("| command | what it does |\n|---|---|")
    rows = [(name, name.replace(" ", "-"), command.get_short_help_str(200)) for name, command in found]
    parts[-1] += "".join(f"\n| [`{name}`](#{anchor}) | {does} |" for name, anchor, does in rows) + "\n"
    for name, command in found:
        text = text_of(command)
        lines = [f"## `{name}`", "", f"    {usage_of(name, command)}", "", *_spaced(text.paragraphs)]
        lines += ["Example:", "", *(f"    {line}" for line in text.examples), ""]
        if options := options_of(name, command):
            lines += ["| option | what it does |", "|---|---|"]
            lines += [f"| `{cell(written)}` | {cell(does)} |" for written, does in options]
            lines.append("")
        lines += ["| exit code | meaning |", "|---|---|"]
        lines += [f"| {code} | {cell(meaning)} |" for code, meaning in text.exit_codes]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def man() -> str:
    """Render the manual page."""
    lines = [
        '.\\" Rendered from the commands themselves: make docs',
        ".TH SLURMWATCHD 1",
        ".SH NAME",
        "slurmwatchd \\- detects every finished Slurm job and delivers it exactly once",
        ".SH SYNOPSIS",
        ".B slurmwatchd",
        ".I COMMAND",
        "[\\fIOPTIONS\\fR] [\\fIARGS\\fR]",
        ".SH DESCRIPTION",
        "slurmwatchd polls sacct for job attempts that ended, stores them in SQLite, and delivers each once,",
        "as JSON lines and as Prometheus metrics.",
        "Each command is described below.",
        ".SH COMMANDS",
    ]
    for name, command in commands():
        text = text_of(command)
        lines += [f".SS {name}", f".B {_roff(usage_of(name, command))}"]
        for paragraph in text.paragraphs:
            lines += [".PP", *_sentences(paragraph)]
        for written, does in options_of(name, command):
            lines += [".TP", f".B {_roff(written)}", *_sentences(does)]
        lines += [
            ".PP",
            "Example:",
            ".PP",
            ".RS 4",
            ".nf",
            *map(_roff, text.examples),
            ".fi",
            ".RE",
            ".PP",
            "Exit codes:",
        ]
        for code, meaning in text.exit_codes:
            lines += [".TP", f".B {code}", *_sentences(meaning)]
    lines += [
        ".SH FILES",
        ".TP", ".I /etc/slurmwatchd/slurmwatchd.toml", "The configuration; every key has a default.",
        ".TP", ".I /var/lib/slurmwatchd/slurmwatchd.db", "The store.",
        ".SH ENVIRONMENT",
        ".TP", ".B SLURMWATCHD_CONFIG", "The path of the configuration file.",
        ".TP", ".B SLURMWATCHD_SECTION__KEY", "Sets a key of the configuration.",
        ".TP", ".B NO_COLOR", "Set to any value: no colours.",
        ".SH SEE ALSO",
        ".BR sacct (1),", ".BR scontrol (1),", ".BR systemctl (1)",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _spaced(paragraphs: tuple[str, ...]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield paragraph
        yield ""


def _sentences(text: str) -> list[str]:
    """Return a text for roff: a sentence a line."""
    return [_roff(sentence) for sentence in re.split(r"(?<=\.) (?=[A-Z])", text)]


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    # A point or a quote at a line's beginning is a request.
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
