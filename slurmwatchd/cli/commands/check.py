"""`slurmwatchd check`: is everything fit to run?"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import click

from slurmwatchd.cli import daemon_http, tables
from slurmwatchd.cli.options import config_options, load
from slurmwatchd.cli.service_seen import Service, service_of
from slurmwatchd.cli.waiting import AnnouncingRunner
from slurmwatchd.config.paths import config_path
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import StoreBusyError, StoreError
from slurmwatchd.model.clock import SystemClock
from slurmwatchd.model.terminal_text import shown
from slurmwatchd.operations.doctor import certificates, machine, receivers, web
from slurmwatchd.operations.doctor.findings import Finding, Severity, ok
from slurmwatchd.operations.doctor.service import Shell, examine
from slurmwatchd.operations.doctor.slurm import Examination
from slurmwatchd.operations.doctor.unit import DEFAULT_NAME
from slurmwatchd.sinks.registry import make_sinks
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner
from slurmwatchd.sources.sacctmgr import process_user
from slurmwatchd.store.lockfile import holder
from slurmwatchd.store.read import status as stored
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.telemetry.metrics import Metrics

_COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.FAILED: "red"}


@click.command("check")
@config_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object: ok, and a list of findings.")
@click.option(
    "--unit", "name", metavar="UNIT", default=DEFAULT_NAME, show_default=True,
    help="The service to compare with, or the path of a unit file; empty: none.",
)  # fmt: skip
@click.option("--config-only", is_flag=True, help="Check only the configuration, as `systemctl reload` does.")
def command(path: Path | None, *, as_json: bool, name: str, config_only: bool, **flags: str | None) -> None:
    """Check configuration, Slurm, rights, clocks, files, disks, logins, certificates, port and receivers.

    It changes nothing, and sends no event.

    Each line is ok, a warning or failed, with a fix. Run it as the service's user. If the service's unit is
    installed and reads the same configuration, the check runs Slurm's commands in the service's environment, and
    finds what its sandbox forbids. If it waits for longer than three seconds, it prints on stderr for what.

    Example: runuser -u slurmwatchd -- slurmwatchd check

    Exit codes: 0 all is well (warnings included); 1 something failed; 2 the command line is wrong; 78 the
    configuration is wrong.
    """
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            _say(finding)

    file, seen = path or config_path(), list[Finding]()
    service = service_of("" if config_only else name, file, seen)
    environ = os.environ if service is None else service.environ(os.environ)
    given = {key: value for key, value in flags.items() if value is not None}
    config = load(path, {**(service.flags if service else {}), **given}, environ=environ)
    make_sinks(config, Metrics())
    note(ok("configuration", f"valid; sinks: {', '.join(config.sinks)}"))
    if not config_only:
        for finding in seen:
            note(finding)
        anyio.run(_examine, config, file, service, note)
    good = all(finding.mark is not Severity.FAILED for finding in findings)
    if as_json:
        told = [
            {"mark": str(found.mark), "check": found.check, "text": found.text, "todo": found.todo}
            for found in findings
        ]
        tables.write_json({"ok": good, "findings": told})
    if not good:
        sys.exit(1)


async def _examine(
    config: Config, file: Path | None, service: Service | None, note: Callable[[Finding], None]
) -> None:
    def daemon_at() -> int | None:
        secret = None
        with suppress(StoreError, StoreBusyError), StoreReader(config.store.path) as store:
            secret = stored.secret(store)
        _, told = daemon_http.ask(config.web, secret)
        # Another daemon, with another store, keeps the address from this one as any other program does.
        return told["pid"] if told and told["pid"] == holder(config.store.path) else None

    commands = Commands.of(
        AnnouncingRunner(SystemProcessRunner()),
        bin_dir=config.slurm.bin_dir,
        conf=config.slurm.conf,
        conf_server=config.slurm.conf_server,
        jwt_file=config.slurm.jwt_file,
        environ=service.unit.environment if service else os.environ,
    )
    if service is not None:
        shell = Shell(environ=os.environ, user=process_user())
        for finding in examine(service.unit, shell, config, file, commands):
            note(finding)
    clock = SystemClock()
    async for finding in Examination(config, commands, clock).findings():
        note(finding)
    for finding in machine.examine(config, daemon_at):
        note(finding)
    for finding in (*web.examine(config.web, now=clock.now()), *certificates.of_sinks(config, clock.now())):
        note(finding)
    async for finding in receivers.examine(config, service.unit if service else None):
        note(finding)


def _say(finding: Finding) -> None:
    mark = f"{finding.mark:8}"
    if tables.colours():
        mark = click.style(mark, fg=_COLOURS[finding.mark])
    todo = f" -> {finding.todo}" if finding.todo else ""
    click.echo(f"{mark} {finding.check}: {shown(' '.join(finding.text.split()))}{todo}", color=tables.colours())
