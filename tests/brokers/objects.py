"""A store of objects, as much of S3 as Tansu uses: a broker that is killed finds its data here again.

python -m tests.brokers.objects FOLDER

The objects are in this process's memory. A line `port N` on stdout says where it listens. While a file `full` is
in the folder it refuses to take any more, as Ceph does where a quota is used up.
"""

import hashlib
import re
import socket
import sys
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from xml.sax.saxutils import escape

import click
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class Objects:
    """Names and what is kept under them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Name to what is kept, its tag and when it came.
        self._kept: dict[str, tuple[bytes, str, str]] = {}

    async def answer(self, request: Request) -> Response:
        """Do what is asked."""
        name = request.path_params.get("name", "")
        if request.method == "PUT":
            return self._put(name, await request.body(), request)
        if request.method == "DELETE":
            self._kept.pop(name, None)
            return Response(status_code=204)
        if request.method == "POST":
            for key in re.findall(rb"<Key>([^<]*)</Key>", await request.body()):
                self._kept.pop(key.decode(), None)
            return _xml("<DeleteResult/>")
        if "list-type" in request.query_params:
            return self._list(request)
        return self._get(name, request)

    def _put(self, name: str, body: bytes, request: Request) -> Response:
        if (self._folder / "full").exists():
            return _failure(403, "QuotaExceeded")
        _, etag, _ = self._kept.get(name, (b"", "", ""))
        wanted = request.headers.get("if-match")
        if (request.headers.get("if-none-match") == "*" and etag) or (wanted is not None and wanted != etag):
            return _failure(412, "PreconditionFailed")
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self._kept[name] = body, etag, datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return Response(status_code=200, headers={"ETag": etag})

    def _get(self, name: str, request: Request) -> Response:
        if name not in self._kept:
            return _failure(404, "NoSuchKey")
        body, etag, _ = self._kept[name]
        headers = {"ETag": etag, "Last-Modified": formatdate(usegmt=True), "Accept-Ranges": "bytes"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        found = _RANGE.match(request.headers.get("range", ""))
        if found is None:
            return Response(body, headers=headers)
        first = int(found[1]) if found[1] else max(0, len(body) - int(found[2]))
        last = min(int(found[2]), len(body) - 1) if found[1] and found[2] else len(body) - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return Response(body[first : last + 1], status_code=206, headers=headers)

    def _list(self, request: Request) -> Response:
        prefix, delimiter, after = (
            request.query_params.get(name, "") for name in ("prefix", "delimiter", "start-after")
        )
        entries, folders = [], {}
        for name, (body, etag, moment) in sorted(self._kept.items()):
            if not name.startswith(prefix) or name <= after:
                continue
            if delimiter and delimiter in name[len(prefix) :]:
                folders[prefix + name[len(prefix) :].partition(delimiter)[0] + delimiter] = True
                continue
            entries.append(
                f"<Contents><Key>{escape(name)}</Key><LastModified>{moment}</LastModified>"
                f"<ETag>{escape(etag)}</ETag><Size>{len(body)}</Size></Contents>"
            )
        entries += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders]
        return _xml(
            f"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{len(entries)}</KeyCount>"
            f"{''.join(entries)}</ListBucketResult>"
        )


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")


def _failure(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status_code=status, media_type="application/xml")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Keep objects until killed."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
    answer = Objects(folder).answer
    app = Starlette(
        routes=[Route(path, answer, methods=methods) for path in ("/{bucket}", "/{bucket}/{name:path}")]
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    listener.listen(64)
    sys.stdout.write(f"port {listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
