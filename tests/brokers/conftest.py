"""Tests on real brokers; `make test-brokers` installs what they need."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.brokers.nats_server import NatsServer, program


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server with nothing in it."""
    need_nats()
    with NatsServer(tmp_path) as server:
        yield server


def need_nats() -> None:
    if find_spec("nats") is None or program() is None:
        pytest.skip("nats-py or nats-server is not installed: make test-brokers does that")
