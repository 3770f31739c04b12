"""`slurmwatchd token`: who may ask the API, and for what."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from slurmwatchd.cli import tables
from slurmwatchd.cli.tables import TableColumn
from slurmwatchd.config import paths
from slurmwatchd.config.api_tokens import TokenScope, add_token, check_name, read_tokens, revoke_token
from slurmwatchd.model.clock import rfc3339

F = TypeVar("F", bound=Callable[..., Any])

_COLUMNS = [TableColumn(name) for name in ("name", "scope", "added")]


class _ScopeType(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """What a token may see."""

    name = "scope"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TokenScope:  # noqa: ANN401 - click's signature
        if isinstance(value, TokenScope):
            return value
        try:
            return TokenScope.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _checked_name(_: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return check_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from None


def _file_options(function: F) -> F:
    options = (
        click.option(
            "--config", "config", type=click.Path(path_type=Path, readable=False), metavar="FILE",
            help="The configuration file [default: $SLURMWATCHD_CONFIG, else /etc/slurmwatchd/slurmwatchd.toml].",
        ),
        click.option(
            "--file", "file", type=click.Path(path_type=Path, readable=False), metavar="FILE",
            help="The file of tokens [default: web.tokens_file of the configuration].",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.group("token")
def command() -> None:
    """Make, list and revoke the tokens of the API.

    Example: slurmwatchd token list
    """


@command.command("add")
@click.argument("name", callback=_checked_name)
@click.option(
    "--scope", type=_ScopeType(), required=True, metavar="SCOPE",
    help="all; account:NAME or user:NAME: only the jobs of that account or user; metrics: no jobs at all.",
)  # fmt: skip
@_file_options
def add(name: str, scope: TokenScope, config: Path | None, file: Path | None) -> None:
    """Make a token and print it, once: the file has only its hash.

    A running daemon accepts the token at once. As root, the command makes the file readable for the service's
    group.

    Example: slurmwatchd token add grafana --scope account:physics

    Exit codes: 0 done; 1 there is a token of this name; 2 the command line is wrong; 78 the file cannot be read or
    written, or the configuration is wrong.
    """
    path = file or paths.tokens_path(config)
    try:
        token = add_token(
            path, name, scope, added=rfc3339(int(time.time())), state_folder=paths.store_path(config).parent
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(token)
    click.echo(f"slurmwatchd: token {name} ({scope}) added to {path}; it is not shown again", err=True)


@command.command("list")
@_file_options
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
def list_tokens(config: Path | None, file: Path | None, *, as_json: bool) -> None:
    """List the tokens: name, scope, and when each was added.

    Example: slurmwatchd token list --json

    Exit codes: 0 done, even if there is none; 2 the command line is wrong; 78 the file cannot be read, or the
    configuration is wrong.
    """
    path = file or paths.tokens_path(config)
    rows = [{"name": token.name, "scope": str(token.scope), "added": token.added} for token in read_tokens(path)]
    if as_json:
        tables.write_json(rows)
        return
    tables.write_table(rows, _COLUMNS)
    if not rows:
        click.echo(f"slurmwatchd: no tokens in {path}: the API serves nothing of jobs", err=True)


@command.command("revoke")
@click.argument("name")
@_file_options
def revoke(name: str, config: Path | None, file: Path | None) -> None:
    """Revoke a token. A running daemon refuses it at once.

    Example: slurmwatchd token revoke grafana

    Exit codes: 0 done; 1 there is no token of this name; 2 the command line is wrong; 78 the file cannot be read
    or written, or the configuration is wrong.
    """
    path = file or paths.tokens_path(config)
    try:
        revoke_token(path, name, state_folder=paths.store_path(config).parent)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"slurmwatchd: token {name} revoked", err=True)
