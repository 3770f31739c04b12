"""What several tests of the commands share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.asked import fill, zone
from tests.integration.check_site import Site
from tests.integration.rig import Rig


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A filled store that nobody changes."""
    with fill(tmp_path_factory.mktemp("filled")) as rig:
        yield rig


@pytest.fixture
def utc() -> Iterator[None]:
    with zone("UTC"):
        yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A simulated site for `check`."""
    made = Site(tmp_path)
    yield made
    made.cluster.close()
