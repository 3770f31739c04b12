"""A file that grows and is rotated, a shipper that reads it, and a receiver that counts what comes."""

import os
import re
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from prometheus_client import CollectorRegistry

from slurmwatchd.model import formats
from slurmwatchd.sinks.conformance import make_event
from slurmwatchd.sinks.jsonl import JsonlOptions, JsonlSink
from slurmwatchd.telemetry.metrics import Metrics
from tests.patience import Patience

CONFIGURATIONS = Path(__file__).parents[2] / "packaging" / "shippers"


class Receiver:
    """A TCP server that keeps whole lines; what a connection ends with half-way is no line.

    Attributes:
        counts: Line to how often it came.
    """

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        counts = self.counts

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    if line.endswith(b"\n"):
                        counts[line] += 1

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and how it finds its own.

    Attributes:
        path: The program.
        root: The folder in which its package is unpacked; None: it is installed.
        environ: Its environment.
    """

    path: str
    root: Path | None
    environ: dict[str, str]

    def modules(self, one: str) -> str:
        """The folder in which one of its modules is."""
        assert self.root is not None
        return str(next(self.root.rglob(one)).parent)


class Shipper:
    """A shipper's process, with our configuration for it."""

    def __init__(self, argv: Sequence[str], log: Path, environ: dict[str, str]) -> None:
        self._argv = argv
        self._log = log
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ
            )

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


class Writer:
    """The daemon's own sink, over one file; events are numbered from 1 on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[bytes] = []
        self._state: dict[str, bytes] = {}
        self._options = JsonlOptions(type="jsonl", path=file)
        self._sink = self._made()

    def write(self, count: int, *, text: str = "") -> None:
        """Append so many events, and move the cursor."""
        first = len(self.lines) + 1
        events = [make_event(number, text=text) for number in range(first, first + count)]
        self.lines += formats.flat_lines(events, max_line_bytes=30_000)

        async def deliver() -> None:
            self._state.update(await self._sink.write(events))
            self._sink.committed()

        anyio.run(deliver)

    def die_within_a_line(self) -> None:
        """Be killed half-way through the next line, and start again; the next `write` completes it."""
        (line,) = formats.flat_lines([make_event(len(self.lines) + 1)], max_line_bytes=30_000)
        with self.file.open("ab") as file:
            file.write(line[: len(line) // 2])
        anyio.run(self._sink.close)
        self._sink = self._made()
        anyio.run(self._sink.open, self._state)

    def rotate(self, keep: int = 3) -> None:
        """Rename as logrotate does; the next `write` makes the file anew."""
        for number in range(keep, 0, -1):
            older = Path(f"{self.file}.{number}")
            if older.exists():
                older.rename(f"{self.file}.{number + 1}")
        self.file.rename(f"{self.file}.1")

    def _made(self) -> JsonlSink:
        return JsonlSink("jobs", self._options, Metrics(CollectorRegistry(auto_describe=False)))


def configuration(name: str, folder: Path, port: int) -> str:
    """One of packaging/shippers/, with this test's folder and port in place of the page's."""
    text = (CONFIGURATIONS / name).read_text(encoding="utf-8")
    found = text.replace("/var/log/slurmwatchd", str(folder)).replace("5514", str(port))
    assert found.count(str(port)) == 1
    assert re.search(re.escape(str(folder)), found)
    return found


class Debian:
    """Programs of Debian's packages, unpacked into a folder: installed, each shipper would replace the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def program(self, package: str, name: str) -> Program | None:
        """The machine's own program, or else the package's, with those libraries that the machine lacks."""
        if (own := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")) is not None:
            return Program(own, None, dict(os.environ))
        if shutil.which("apt-get") is None:
            return None
        root, archives = self._folder / package / "root", self._folder / package / "archives"
        if not archives.exists():
            (archives / "partial").mkdir(parents=True)
            # Nothing is installed, so it does not matter who else installs something now.
            options = ("-qy", "-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1")
            download = ["/usr/bin/apt-get", "install", "--download-only", "--no-install-recommends", *options]
            subprocess.run([*download, package], check=False, stdout=subprocess.DEVNULL, timeout=300)
            for deb in archives.glob("*.deb"):
                subprocess.run(["/usr/bin/dpkg", "-x", deb, root], check=True)
        found = shutil.which(name, path=f"{root}/usr/sbin")
        if found is None:
            return None
        libraries = ":".join(sorted({str(path.parent) for path in root.rglob("*.so*")}))
        return Program(found, root, {**os.environ, "LD_LIBRARY_PATH": libraries})


def rsyslog(folder: Path, port: int, debian: Debian) -> Shipper | None:
    program = debian.program("rsyslog", "rsyslogd")
    if program is None:
        return None
    (folder / "work").mkdir()
    conf = folder / "rsyslog.conf"
    work = f'global(workDirectory="{folder}/work")\n'
    conf.write_text(work + configuration("rsyslog.conf", folder, port), encoding="utf-8")
    options = ["-M", program.modules("imfile.so")] if program.root is not None else []
    argv = [program.path, "-n", "-f", str(conf), "-i", str(folder / "rsyslog.pid"), *options]
    return Shipper(argv, folder / "rsyslog.log", program.environ)


def syslog_ng(folder: Path, port: int, debian: Debian) -> Shipper | None:
    program = debian.program("syslog-ng-core", "syslog-ng")
    if program is None:
        return None
    options = ["--module-path", program.modules("libaffile.so")] if program.root is not None else []
    (folder / "ng").mkdir()
    conf = folder / "syslog-ng.conf"
    conf.write_text("@version: 3.35\n" + configuration("syslog-ng.conf", folder, port), encoding="utf-8")
    state = [f"--{name}={folder}/ng/{name}" for name in ("persist-file", "pidfile", "control")]
    argv = [program.path, "-F", "--no-caps", "-f", str(conf), *state, *options]
    return Shipper(argv, folder / "syslog-ng.log", program.environ)


def wait(condition: Callable[[], bool], what: Callable[[], str], progress: Callable[[], object]) -> None:
    patience = Patience(progress)
    while not condition():
        assert not patience.is_over(), what()
        time.sleep(0.02)
