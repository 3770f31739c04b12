"""The kafka sink on Tansu, which shuts out the older of two producers of one name."""

from collections.abc import Iterator
from typing import Any

import pytest

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.conformance import make_events
from slurmwatchd.sinks.kafka import KIND
from slurmwatchd.sinks.kafka.cluster import Cluster
from slurmwatchd.sinks.kafka.sink import KafkaSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.brokers import tansu
from tests.brokers.nats_server import free_port
from tests.brokers.test_kafka import consumed, options

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def bootstrap() -> Iterator[str]:
    """Where a broker with nothing in it listens."""
    if tansu.program() is None:
        pytest.skip("Tansu is not installed: make test-brokers does that")
    with tansu.tansu() as address:
        yield address


async def test_a_producer_that_is_shut_out_says_so_and_goes_on(bootstrap: str) -> None:
    given = options(bootstrap, transactional_id="twin")
    first, second = (KafkaSink(name, given, Metrics()) for name in ("first", "second"))
    await first.write(make_events(1, 3))
    await second.write(make_events(4, 6))
    with pytest.raises(
        SinkError, match="a newer producer sends as twin; if that is another daemon, each needs a "
    ):
        await first.write(make_events(7, 9))
    await first.write(make_events(7, 9))
    await first.close()
    await second.close()
    assert len(consumed(bootstrap)) == 9


async def test_a_producer_that_is_shut_out_says_so_where_the_library_lost_why(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Cluster._send_as_one

    def lost(cluster: Cluster, producer: Any, messages: Any) -> Any:  # noqa: ANN401 - the library's
        try:
            outcome = sent(cluster, producer, messages)
        except SystemError:
            outcome = None
        if outcome is None or outcome.error:
            raise SystemError("returned NULL without setting an exception") from None
        return outcome

    monkeypatch.setattr(Cluster, "_send_as_one", lost)
    given = options(bootstrap, transactional_id="twin")
    first, second = (KafkaSink(name, given, Metrics()) for name in ("first", "second"))
    await first.write(make_events(1, 3))
    await second.write(make_events(4, 6))
    with pytest.raises(SinkError, match="a newer producer sends as twin"):
        await first.write(make_events(7, 9))
    await first.write(make_events(7, 9))
    await first.close()
    await second.close()
    assert len(consumed(bootstrap)) == 9


async def test_replay_leaves_the_daemons_producer_alone(bootstrap: str) -> None:
    given = options(bootstrap)
    daemon = KafkaSink("bus", given, Metrics())
    await daemon.write(make_events(1, 3))
    replay = KafkaSink("bus", given.for_replay("bus"), Metrics())
    await replay.write(make_events(1, 4))
    assert replay.already_there == 3
    await replay.close()
    await daemon.write(make_events(5, 9))
    await daemon.close()
    assert len(consumed(bootstrap)) == 9


async def test_check_finds_the_topic_and_makes_none(bootstrap: str) -> None:
    given = options(bootstrap)
    assert KIND.answers is not None
    missing = "the brokers answer; there is no topic slurm-jobs yet: make it, unless they do so by themselves"
    assert await KIND.answers(given) == missing
    assert await KIND.answers(given) == missing
    sink = KafkaSink("bus", given, Metrics())
    await sink.write(make_events(1, 3))
    await sink.close()
    found = await KIND.answers(given)
    assert found.startswith("the brokers answer; topic slurm-jobs has ")
    with pytest.raises(SinkError, match=r"^127\.0\.0\.1"):
        await KIND.answers(options(f"127.0.0.1:{free_port()}", timeout="1s"))
