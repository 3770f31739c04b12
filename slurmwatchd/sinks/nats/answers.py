"""Whether a server is there and has the stream, for `check`."""

from slurmwatchd.sinks.nats.options import NatsOptions


async def answers(options: NatsOptions) -> str:
    """Connect and look for the stream; return what is there, in some words.

    Raises:
        SinkError: No server answers, or the stream cannot be used.
    """
    from slurmwatchd.sinks.nats.jetstream import connect  # noqa: PLC0415 - only who has such a sink needs the library

    stream = await connect(options, make=False)
    await stream.close()
    if not stream.created:
        return f"the server answers; the daemon will make the stream {options.stream}"
    text = f"the server answers; its stream {options.stream} is at message {stream.last_seq}"
    return f"{text}; {stream.warning}" if stream.warning else text
