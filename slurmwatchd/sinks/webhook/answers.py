"""Whether a server is there, for `check`."""

import anyio.to_thread

from slurmwatchd.errors import SinkError
from slurmwatchd.sinks.webhook.options import HttpOptions
from slurmwatchd.sinks.webhook.secrets import read_secrets


async def answers(options: HttpOptions) -> str:
    """Read the secrets and ask the server what its URL takes; return what answered, in some words.

    Raises:
        SinkError: A secret cannot be read, or nothing answers.
    """
    from slurmwatchd.sinks.webhook.client import HttpxClient  # noqa: PLC0415 - only who has such a sink needs httpx

    await anyio.to_thread.run_sync(read_secrets, options)
    client = HttpxClient(options)
    try:
        status = await client.ask()
    except SinkError as error:
        raise SinkError(f"{options.server}: {error}") from error
    finally:
        await client.close()
    return f"{options.server} answers (HTTP {status} to OPTIONS)"
