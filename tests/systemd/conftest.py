"""The machine of each suite: booted once, skipped loudly where that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real_slurm.packages import CannotInstallError
from tests.systemd import breaks
from tests.systemd.images import image
from tests.systemd.machine import Machine
from tests.systemd.site import DIST, PACKAGES, Site
from tests.systemd.slurm import Head, free_ports, install_slurm

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITES = ("bookworm", "trixie")


@pytest.fixture(
    scope="module",
    params=SUITES,
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A machine with the package installed, not yet enabled."""
    try:
        machine = Machine(tmp_path_factory.mktemp("machine"), image(request.param))
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED on Debian {request.param}: {error}")
    try:
        site = Site(machine, request.param, tmp_path_factory.mktemp("package"))
        try:
            yield site
        finally:
            site.close()
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED on Debian {request.param}: {error}")
    finally:
        machine.close()


@pytest.fixture(scope="session", params=SUITES)
def head(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    """A machine on which a real Slurm runs, without slurmwatchd."""
    suite = request.param
    try:
        machine = Machine(tmp_path_factory.mktemp("head"), image(suite))
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED beside a real Slurm on Debian {suite}: {error}")
    try:
        machine.boot()
        slurmctld = install_slurm(machine, suite)
        (built,) = DIST.glob(PACKAGES[suite])
        package = breaks.package(built, tmp_path_factory.mktemp("package"))
        (port,) = free_ports(1)
        yield Head(machine, suite, package, port, slurmctld)
    except CannotInstallError as error:
        pytest.skip(f"NO SYSTEMD WAS TESTED beside a real Slurm on Debian {suite}: {error}")
    finally:
        machine.close()
