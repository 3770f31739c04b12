"""What several tests of the commands share."""

from collections.abc import Iterator

import pytest

from tests.integration.asked import fill, zone
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
