"""The other end of NOTIFY_SOCKET: what systemd would have been told."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Self


class ServiceManager:
    """Takes the messages of one service, on a real socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def told(self, key: str) -> list[str]:
        """Every value of a key so far."""
        with suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(65536).decode().split("\n")
                self.messages.append(dict(line.split("=", 1) for line in lines))
        return [message[key] for message in self.messages if key in message]
