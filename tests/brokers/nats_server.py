"""A NATS server on the loopback, started for one test: killed, paused, and started again on its data."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.patience import HANGS_SECONDS


def program() -> str | None:
    """Where nats-server is: beside the Python that runs the tests, or on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class NatsServer:
    """One server with JetStream; `settings` stands in its configuration file besides what each has."""

    def __init__(self, folder: Path, settings: str = "", *, sync: str = "always") -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "nats.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder / "data"}", sync_interval: {sync} }}\n{settings}\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> Self:
        server = program()
        assert server is not None
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([server, "-c", str(self.config)], stdout=log, stderr=log)
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + HANGS_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "nats.log").read_text()
            # Its greeting, not the open port: JetStream is ready by then.
            with socket.socket() as connection:
                connection.settimeout(1)
                try:
                    connection.connect(("127.0.0.1", self.port))
                    if connection.recv(4) == b"INFO":
                        return
                except OSError:
                    time.sleep(0.05)
        raise AssertionError((self.folder / "nats.log").read_text())

    def kill(self) -> None:
        """End it as a power cut does; what it has acknowledged is on its disk."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(HANGS_SECONDS)
        self._process = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
