"""Real Slurm by hand.

python -m tests.real_slurm up 24.11      bring it up; print its commands and a ready config
python -m tests.real_slurm down 24.11    end its jobs and daemons
python -m tests.real_slurm status
"""

from __future__ import annotations

import sys

import click

from tests.real_slurm import bringup
from tests.real_slurm.daemons import ClusterError
from tests.real_slurm.packages import CannotInstallError
from tests.real_slurm.releases import RELEASES

version_argument = click.argument("version", type=click.Choice(sorted(RELEASES)))


@click.group()
def main() -> None:
    """Bring real Slurm clusters up and down on this machine."""


@main.command()
@version_argument
def up(version: str) -> None:
    """Bring a cluster up, or find it up."""
    cluster = bringup.up(version)
    click.echo(f"commands  {cluster.bin_dir}")
    click.echo(f"config    {cluster.config}")


@main.command()
@version_argument
def down(version: str) -> None:
    """End a cluster's jobs and daemons."""
    bringup.down(version)


@main.command()
def status() -> None:
    """Tell which clusters are up."""
    for version in RELEASES:
        click.echo(f"{version}  {'up' if bringup.is_up(version) else 'down'}")


if __name__ == "__main__":
    try:
        main()
    except (CannotInstallError, ClusterError, PermissionError) as error:
        sys.exit(f"real-slurm: {error}")
