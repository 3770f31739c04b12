"""Runs every test of the contract on each simulated and each real release, and says what each proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simslurm.versions import VERSIONS
from tests.contract.plugin import say
from tests.contract.sites import RealSite, SimSite
from tests.real_slurm.plugin import chosen_versions
from tests.real_slurm.releases import RELEASES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.contract.sites import Site
    from tests.real_slurm.cluster import RealCluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    say(item, report)
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "site" not in metafunc.fixturenames:
        return
    real = chosen_versions(metafunc.config) or list(RELEASES)
    # The real ones first, in the order of the other tests: so each is brought up once.
    places = [pytest.param(version, None, id=version, marks=pytest.mark.real_slurm) for version in real]
    places += [pytest.param(None, version, id=f"sim-{version}") for version in VERSIONS]
    metafunc.parametrize(("cluster", "site"), places, indirect=True, scope="session")


@pytest.fixture(scope="session")
def site(
    request: pytest.FixtureRequest, cluster: RealCluster | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A cluster with the cast in its accounting."""
    folder = tmp_path_factory.mktemp("site")
    made: SimSite | RealSite
    made = SimSite(folder, str(request.param)) if cluster is None else RealSite(cluster, folder)
    try:
        yield made
    finally:
        made.close()
