"""`slurmwatchd install-service`: make a service of what pip installed, and take it away again."""

import os
import sys
from pathlib import Path

import click

from slurmwatchd.errors import InstallError
from slurmwatchd.operations.service_files import Action, ServiceFiles, installed_program, refuse_unless_root

_NEXT = """
Next: edit /etc/slurmwatchd/slurmwatchd.toml, then
  runuser -u slurmwatchd -- slurmwatchd check
  systemctl enable --now slurmwatchd
After an upgrade: systemctl restart slurmwatchd"""


@click.command("install-service")
@click.option("--yes", is_flag=True, help="Do it; without this the command only prints what it would do.")
@click.option("--remove", is_flag=True, help="Undo it: stop and disable the service, remove its files.")
@click.option(
    "--program",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What the unit starts [default: this program].",
)
@click.option(
    "--root", metavar="FOLDER", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("/"),
    help="Work on the machine image in this folder.",
)  # fmt: skip
def command(*, yes: bool, remove: bool, program: Path | None, root: Path) -> None:
    """Make a systemd service of what pip installed, or remove it.

    That is unit, user, configuration, rotation and man page. Without `--yes` the command only prints what it would
    do. It never touches a file that you changed, and can run again, for example after an upgrade. It enables
    nothing. `--remove` keeps the configuration, the store and the events. A Debian or RPM package brings all this
    itself.

    Example: slurmwatchd install-service --yes

    Exit codes: 0 done, or printed; 1 it cannot be done; 2 the command line is wrong.
    """
    if yes:
        refuse_unless_root(os.geteuid())
    files = ServiceFiles(program=program or installed_program(), root=root.resolve())
    # Each is looked at when those before it are done: the folders' owner is made on the way.
    for action in files.removal() if remove else files.installation():
        click.echo(action.text)
        if yes:
            _do(action)
    if not yes:
        _tell_how(remove=remove)
    elif not remove:
        click.echo(_NEXT)


def _do(action: Action) -> None:
    if action.do is None:
        return
    sys.stdout.flush()
    try:
        action.do()
    except OSError as error:
        raise InstallError(f"{error.filename}: {error.strerror}") from None


def _tell_how(*, remove: bool) -> None:
    again = "slurmwatchd install-service --remove --yes" if remove else "slurmwatchd install-service --yes"
    click.echo(f"\nNothing is done yet. As root: {again}")
