"""`slurmwatchd check`: is everything fit to run?"""

import sys
from pathlib import Path

import anyio
import click

from slurmwatchd.cli import daemon_seen, tables
from slurmwatchd.cli.options import config_options, load
from slurmwatchd.clock import SystemClock
from slurmwatchd.config import Config
from slurmwatchd.doctor import local
from slurmwatchd.doctor.findings import Finding, Mark, ok
from slurmwatchd.doctor.slurm import Examination
from slurmwatchd.printable import shown
from slurmwatchd.process import SystemProcessRunner
from slurmwatchd.sources.commands import Commands
from slurmwatchd.store.lockfile import holder

_COLOURS = {Mark.OK: "green", Mark.WARNING: "yellow", Mark.FAILED: "red"}


@click.command("check")
@config_options
@click.option("--json", "as_json", is_flag=True, help="A JSON object: ok, and a list of findings.")
def command(path: Path | None, *, as_json: bool, **flags: str | None) -> None:
    """Check the configuration, Slurm, rights, limits, clocks, files, disks and the port; change nothing.

    Each line is ok, a warning or failed, with what to do. Run it as the service's user.

    Example: runuser -u slurmwatchd -- slurmwatchd check

    Exit codes: 0 all is well (warnings included); 1 something failed; 2 the command line is wrong; 78 the
    configuration is wrong.
    """
    config = load(path, flags)
    findings = [ok("configuration", f"valid; sinks: {', '.join(config.sinks)}")]
    if not as_json:
        _say(findings[0])
    anyio.run(_examine, config, findings, as_json)
    good = all(finding.mark is not Mark.FAILED for finding in findings)
    if as_json:
        told = [
            {"mark": str(found.mark), "check": found.check, "text": found.text, "todo": found.todo}
            for found in findings
        ]
        tables.write_json({"ok": good, "findings": told})
    if not good:
        sys.exit(1)


async def _examine(config: Config, findings: list[Finding], quiet: bool) -> None:  # noqa: FBT001 - anyio.run gives no names
    def note(finding: Finding) -> None:
        findings.append(finding)
        if not quiet:
            _say(finding)

    def daemon_at() -> int | None:
        url = daemon_seen.loopback_url(config.web.listen)
        told = daemon_seen.told_by(url) if url else None
        # Another daemon, with another store, keeps the address from this one as any other program does.
        return told["pid"] if told and told["pid"] == holder(config.store.path) else None

    commands = Commands.of(SystemProcessRunner(), bin_dir=config.slurm.bin_dir, conf=config.slurm.conf)
    async for finding in Examination(config, commands, SystemClock()).findings():
        note(finding)
    for finding in local.examine(config, daemon_at):
        note(finding)


def _say(finding: Finding) -> None:
    mark = f"{finding.mark:8}"
    if tables.colours():
        mark = click.style(mark, fg=_COLOURS[finding.mark])
    todo = f" -> {finding.todo}" if finding.todo else ""
    click.echo(f"{mark} {finding.check}: {shown(' '.join(finding.text.split()))}{todo}", color=tables.colours())
