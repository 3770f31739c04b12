"""The pytest side: which versions to run on, the cluster fixture, and loud skips.

A `conftest.py` takes what it needs from here. Without `--slurm-version` (or `REAL_SLURM_VERSIONS`)
the tests marked `real_slurm` are deselected.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import bringup
from tests.real_slurm.packages import CannotInstallError
from tests.real_slurm.releases import RELEASES, release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real_slurm.cluster import RealCluster

VERSIONS_VARIABLE = "REAL_SLURM_VERSIONS"
skipped = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("real slurm")
    group.addoption(
        "--slurm-version",
        action="append",
        metavar="VERSION",
        help=f"run the real_slurm tests on this Slurm ({', '.join(RELEASES)} or all); repeatable",
    )
    group.addoption("--keep-slurm", action="store_true", help="leave the clusters up at the end")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if chosen_versions(config):
        return
    real = [item for item in items if item.get_closest_marker("real_slurm")]
    if real:
        config.hook.pytest_deselected(items=real)
        items[:] = [item for item in items if item not in set(real)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # Other tests have a fixture of this name too, and those of the contract choose for themselves.
    if "cluster" in metafunc.fixturenames and metafunc.definition.get_closest_marker("real_slurm"):
        versions = chosen_versions(metafunc.config) or list(RELEASES)
        if metafunc.definition.get_closest_marker("one_release"):
            versions = versions[:1]
        metafunc.parametrize("cluster", versions, indirect=True, scope="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reasons = config.stash.get(skipped, {})
    config.stash[skipped] = {}
    for version, reason in reasons.items():
        terminalreporter.section(f"Slurm {version} WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.write_line(reason)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[RealCluster | None]:
    """A real cluster of one version; taken down at the end where it was brought up here. None is none."""
    if request.param is None:
        yield None
        return
    version = str(request.param)
    was_up = bringup.is_up(version)
    try:
        # What an earlier run left, one that was cut short perhaps, would be in every answer.
        made = bringup.up(version, fresh=True)
    except CannotInstallError as error:
        request.config.stash.setdefault(skipped, {})[version] = str(error)
        pytest.skip(f"Slurm {version} could not be installed: {' / '.join(str(error).splitlines())}")
    yield made
    if not was_up and not request.config.getoption("--keep-slurm", default=False):
        bringup.down(version)


def chosen_versions(config: pytest.Config) -> list[str]:
    """The versions asked for on the command line, else in the environment; none is none."""
    given = config.getoption("--slurm-version", default=None) or os.environ.get(VERSIONS_VARIABLE, "").split()
    names = [name for item in given for name in item.replace(",", " ").split()]
    if "all" in names:
        return list(RELEASES)
    return [release(name).version for name in dict.fromkeys(names)]
