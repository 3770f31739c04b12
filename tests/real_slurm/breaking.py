"""A connection to slurmdbd that breaks: a port that hands on so many bytes of each answer and then closes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_CHUNK = 1 << 16


class BreakingProxy:
    """Listens on a free port of the loopback while it is entered, and hands on to another one.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, target: int, answer_bytes: int) -> None:
        """Prepare.

        Args:
            target: The port to hand on to, on 127.0.0.1.
            answer_bytes: So many bytes come back on each connection, then it is closed.
        """
        self._target = target
        self._answer_bytes = answer_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        # Only a shutdown wakes the thread that waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            threading.Thread(target=_hand_on, args=(client, server), daemon=True).start()
            left = self._answer_bytes
            with suppress(OSError):
                while left and (data := server.recv(min(left, _CHUNK))):
                    client.sendall(data)
                    left -= len(data)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
