"""Brokers that the torture harms, each with a consumer that owes nothing to the sinks' code.

A consumer reads what is there whenever it is asked to: at the end, and before a broker loses its data. So each
victim has what it was sent in pieces, one for each life of its data.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import create_default_context
from typing import Any

import orjson

from tests.brokers.nats_server import NatsServer, free_port
from tests.brokers.sockets import bytes_on_their_way
from tests.patience import HANGS_SECONDS, Patience

OPENSSL = shutil.which("openssl") or "openssl"
Record = dict[str, Any]


def certify(folder: Path, name: str = "server") -> tuple[Path, Path]:
    """Make a certificate for the loopback, and its key, in place of those of that name."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class Victim(ABC):
    """A broker that runs, its consumer, and what can be done to it.

    Attributes:
        lives: What the consumer read of each life of the broker's data, in the broker's order.
    """

    name: str

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.lives: list[list[Record]] = []

    @abstractmethod
    def section(self) -> str:
        """Return the sink's section of the configuration."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it listens."""

    @abstractmethod
    def harms(self) -> Mapping[str, Callable[[], None]]:
        """Return what harms it for a while: `heal` ends that."""

    @abstractmethod
    def heal(self) -> None:
        """Have it work again."""

    @abstractmethod
    def read(self) -> list[Record]:
        """Return everything that it has; it works."""

    @abstractmethod
    def wipe(self) -> None:
        """Start again without its data, after it was read."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def lose_data(self) -> None:
        """Have its consumer read what is there, and have it lose that; the daemon sends nothing meanwhile."""
        self.heal()
        patience = Patience()
        while bytes_on_their_way({self.port}):
            assert not patience.is_over(), f"{self.name} does not read what it was sent"
            time.sleep(0.02)
        self.lives.append(self.read())
        self.wipe()


class NatsVictim(Victim):
    """A server with TLS; its stream knows ids for 10 s."""

    name = "stream"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        certificate, key = certify(folder)
        self._server = NatsServer(folder, f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}').start()
        self._is_up, self._is_full = True, False

    def section(self) -> str:
        return (
            f'[sinks.stream]\ntype = "nats"\nservers = ["{self._server.url.replace("nats:", "tls:")}"]\n'
            f'tls_ca_file = "{self.folder / "server.pem"}"\ntimeout = "2s"\nduplicate_window = "10s"\n'
            "window = 50\n"
        )

    @property
    def port(self) -> int:
        return self._server.port

    def harms(self) -> Mapping[str, Callable[[], None]]:
        return {"killed": self._kill, "paused": self._server.pause, "full": self._fill, "renewed": self._renew}

    def heal(self) -> None:
        if not self._is_up:
            self._server.start()
            self._is_up = True
        self._server.go_on()
        if self._is_full:
            asyncio.run(self._limit(-1))
            self._is_full = False

    def _kill(self) -> None:
        self._server.kill()
        self._is_up = False

    def _renew(self) -> None:
        self._kill()
        certify(self.folder)
        self.heal()

    def _fill(self) -> None:
        self._is_full = asyncio.run(self._limit(7))

    async def _limit(self, more: int) -> bool:
        """Let the stream take so many messages more; negative: any number."""
        client = await self._connected()
        try:
            js = client.jetstream()
            info = await js.stream_info("SLURM")
            limit = info.state.messages + more if more >= 0 else -1
            await js.update_stream(info.config.evolve(max_msgs=limit, discard="new"))
        except Exception as error:
            if "not found" not in str(error):
                raise
            return False
        finally:
            await client.close()
        return True

    async def _connected(self) -> Any:  # noqa: ANN401 - the library's
        import nats  # noqa: PLC0415 - may not be there

        context = create_default_context(cafile=self.folder / "server.pem")
        return await nats.connect(self._server.url.replace("nats:", "tls:"), tls=context)

    def read(self) -> list[Record]:
        deadline = time.monotonic() + HANGS_SECONDS
        while True:
            try:
                return asyncio.run(self._read())
            except Exception:
                # A server that was just started has its port before its streams.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    async def _read(self) -> list[Record]:
        from nats.js import api  # noqa: PLC0415 - may not be there

        client = await self._connected()
        try:
            js = client.jetstream()
            total = (await js.stream_info("SLURM")).state.messages
            config = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE, deliver_policy=api.DeliverPolicy.ALL)
            subscription = await js.pull_subscribe("slurm.>", stream="SLURM", config=config)
            found: list[Record] = []
            while len(found) < total:
                messages = await subscription.fetch(min(500, total - len(found)), timeout=10)
                for message in messages:
                    record = orjson.loads(message.data)
                    assert message.headers["Nats-Msg-Id"] == record["id"]
                    found.append(record)
            return found
        finally:
            await client.close()

    def wipe(self) -> None:
        self._server.kill()
        shutil.rmtree(self.folder / "data")
        self._server.start()

    def close(self) -> None:
        if self._is_up:
            self._server.kill()


class HttpVictim(Victim):
    """A receiver with TLS that dedupes by id."""

    name = "hook"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self._certificate, self._key = certify(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def section(self) -> str:
        return (
            f'[sinks.hook]\ntype = "http"\nurl = "https://127.0.0.1:{self._port}/"\n'
            f'tls_ca_file = "{self._certificate}"\ntimeout = "3s"\nmax_events = 100\n'
        )

    @property
    def port(self) -> int:
        return self._port

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.brokers.receiver", str(self.folder), "--port", str(self._port)]
        command += ["--certificate", str(self._certificate), "--key", str(self._key)]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        log.close()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def harms(self) -> Mapping[str, Callable[[], None]]:
        return {
            "killed": self._kill,
            "paused": self._pause,
            "full": (self.folder / "full").touch,
            "busy": (self.folder / "busy").touch,
            "renewed": self._renew,
        }

    def _renew(self) -> None:
        self._kill()
        certify(self.folder)
        self._start()

    def heal(self) -> None:
        for name in ("full", "busy"):
            (self.folder / name).unlink(missing_ok=True)
        if self._process is None:
            self._start()
        else:
            os.kill(self._process.pid, signal.SIGCONT)

    def read(self) -> list[Record]:
        self._answer()
        path = self.folder / "events.ndjson"
        whole = path.read_bytes() if path.exists() else b""
        return [orjson.loads(line) for line in whole[: whole.rfind(b"\n") + 1].split(b"\n") if line]

    def _answer(self) -> None:
        """Wait for an answer: by then it has written what it had read before the question."""
        context = create_default_context(cafile=self._certificate)
        patience = Patience()
        while True:
            try:
                urllib.request.urlopen(f"https://127.0.0.1:{self._port}/", context=context, timeout=5).close()
            except urllib.error.HTTPError as error:
                # It takes POST alone.
                error.close()
                return
            except OSError:
                assert not patience.is_over(), f"{self.name} does not answer"
                time.sleep(0.05)

    def wipe(self) -> None:
        self._kill()
        (self.folder / "events.ndjson").unlink(missing_ok=True)
        self._start()

    def close(self) -> None:
        self._kill()
