"""Whether brokers are there and have the topic, for `check`."""

import anyio.to_thread

from slurmwatchd.sinks.kafka.options import KafkaOptions


async def answers(options: KafkaOptions) -> str:
    """Ask a broker about the topic; as `cluster.look`."""
    from slurmwatchd.sinks.kafka.cluster import look  # noqa: PLC0415 - only who has such a sink needs the library

    return await anyio.to_thread.run_sync(look, options)
