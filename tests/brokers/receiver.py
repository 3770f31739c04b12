"""An HTTP receiver as a site would have it: a request's events are on its disk before it answers 204.

python -m tests.brokers.receiver FOLDER [--port N]

It knows events by their id and appends each once to `events.ndjson`. A line `port N` on stdout says where it
listens. While a file `full` is in the folder it answers 507, and 503 while there is one named `busy`.
"""

import os
import re
import socket
import sys
from pathlib import Path

import click
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ID = re.compile(rb'^\{"id":"([0-9a-f-]{36})"', re.MULTILINE)


class Receiver:
    """What it has, in a file that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / "events.ndjson"
        # A line that a kill cut off was never acknowledged.
        whole = path.read_bytes() if path.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]
        self._known = set(_ID.findall(whole))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.ftruncate(self._file, len(whole))
        os.lseek(self._file, 0, os.SEEK_END)

    async def take(self, request: Request) -> Response:
        """Store what is new of a request."""
        body = await request.body()
        if (self._folder / "busy").exists():
            return Response(status_code=503, headers={"Retry-After": "1"})
        if (self._folder / "full").exists():
            return Response("no space left", status_code=507)
        ids = _ID.findall(body)
        if self._known.isdisjoint(ids):
            fresh = body
        else:
            lines = zip(ids, body.splitlines(keepends=True), strict=True)
            fresh = b"".join(line for identity, line in lines if identity not in self._known)
        if fresh:
            os.write(self._file, fresh)
            os.fdatasync(self._file)
            self._known.update(ids)
        return Response(status_code=204)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--port", default=0)
@click.option("--certificate", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path))
def main(folder: Path, port: int, certificate: Path | None, key: Path | None) -> None:
    """Receive until killed."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    app = Starlette(routes=[Route("/", Receiver(folder).take, methods=["POST"])])
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ssl_certfile=certificate, ssl_keyfile=key
    )
    listener.listen(64)
    sys.stdout.write(f"port {listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
