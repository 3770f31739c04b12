"""Two daemons watch one cluster, each with its own store: what their consumers get, whichever of them dies."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from simslurm import install_commands
from tests.acceptance.process import DaemonProcess
from tests.brokers.conftest import need_nats
from tests.brokers.nats_server import NatsServer
from tests.brokers.recipes import recipe
from tests.patience import Patience
from tests.sim_truth import differences, ended

pytestmark = pytest.mark.timeout(600)

APART_SECONDS = 2

_CLOCK = """
import sys, time
if "slurmwatchd" in sys.orig_argv:
    real = time.time
    time.time = lambda: real() + {seconds}
"""


class Pair:
    """Two daemons on one cluster, one of them with its clock ahead; both publish to one stream."""

    def __init__(self, folder: Path, server: NatsServer) -> None:
        self._server = server
        self.daemons: list[DaemonProcess] = []
        for number in range(2):
            place = folder / f"daemon{number}"
            place.mkdir()
            more = f'\n[sinks.stream]\ntype = "nats"\nservers = ["{server.url}"]\ntimeout = "5s"\n'
            self.daemons.append(DaemonProcess(place, more=more))
        first, second = self.daemons
        second.cluster.close()
        second.cluster = first.cluster
        install_commands(second.folder / "bin", first.cluster.path)
        self._clock = folder / "clock"
        self._clock.mkdir()
        (self._clock / "sitecustomize.py").write_text(_CLOCK.format(seconds=APART_SECONDS))
        self.cluster = first.cluster

    def start(self, number: int) -> None:
        self.daemons[number].start(**({"PYTHONPATH": str(self._clock)} if number else {}))

    def end_jobs(self, count: int) -> list[Any]:
        keys = []
        with self.cluster.batch():
            for _ in range(count):
                now = self.cluster.now()
                keys.append(
                    self.cluster.add_job(
                        time_submit=now - 9, time_start=now - 5, time_end=now, state="COMPLETED", user="ann",
                        id_user=1000,
                    )
                )  # fmt: skip
        return keys

    def stream(self) -> list[dict[str, Any]]:
        return asyncio.run(self._stream())

    async def _stream(self) -> list[dict[str, Any]]:
        import nats  # noqa: PLC0415 - may not be there
        from nats.js import api  # noqa: PLC0415

        client = await nats.connect(self._server.url)
        try:
            js = client.jetstream()
            config = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE)
            subscription = await js.pull_subscribe("slurm.>", stream="SLURM", config=config)
            left = (await js.stream_info("SLURM")).state.messages
            found: list[dict[str, Any]] = []
            while len(found) < left:
                messages = await subscription.fetch(min(500, left - len(found)), timeout=10)
                found += [orjson.loads(message.data) for message in messages]
            return found
        finally:
            await client.close()

    def wait(self, number: int, events: int) -> None:
        """Wait until a daemon's file has so many events."""
        daemon = self.daemons[number]
        daemon.wait_until(lambda: len(daemon.records()) >= events, f"{events} events")

    def wait_for_stream(self, events: int) -> list[dict[str, Any]]:
        patience = Patience()
        while len(found := self.stream()) < events:
            assert not patience.is_over(), f"{len(found)} of {events} events are in the stream"
            time.sleep(0.2)
        return found


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    need_nats()
    (folder / "nats").mkdir()
    with NatsServer(folder / "nats", sync="2m") as server:
        both = Pair(folder, server)
        try:
            yield both
        finally:
            for daemon in both.daemons:
                if daemon.process is not None:
                    daemon.kill()
            both.cluster.close()


def test_consumers_get_each_event_once_whichever_daemon_is_killed(tmp_path: Path) -> None:
    chance = random.Random(4)  # noqa: S311 - seeded, so that a failure comes again
    with pair(tmp_path) as both:
        for number in (0, 1):
            both.start(number)
            both.end_jobs(5)
            both.wait(number, 5)
        for turn in range(12):
            both.end_jobs(chance.randint(1, 60))
            time.sleep(chance.uniform(0.2, 1.5))
            # Either of them, and now and then both.
            for number in ((0,), (1,), (0, 1))[turn % 3]:
                both.daemons[number].kill()
            both.end_jobs(chance.randint(1, 20))
            time.sleep(chance.uniform(0, 0.5))
            for number in ((0,), (1,), (0, 1))[turn % 3]:
                both.start(number)
        total = len(ended(both.cluster))
        both.wait(0, total)
        both.wait(1, total)
        found = both.wait_for_stream(total)
        for daemon in both.daemons:
            assert daemon.stop() == 0
        assert differences(both.cluster, found) == []
        assert len(found) == total
        assert [identity for identity, count in Counter(one["id"] for one in found).items() if count > 1] == []
        for daemon in both.daemons:
            assert differences(both.cluster, daemon.records()) == []

        # Whoever collects both files drops what it has by id, as docs/brokers.md says.
        files = [str(daemon.file) for daemon in both.daemons]
        rows = duckdb.sql(recipe("brokers.md", "duckdb").replace("['a/jobs.jsonl', 'b/jobs.jsonl']", str(files)))
        assert rows is not None
        collected = dict(zip(rows.columns, zip(*rows.fetchall(), strict=True), strict=True))
        assert sorted(collected["id"]) == sorted(one["id"] for one in found)


def test_revisions_of_two_agree_if_both_live_and_the_difference_is_bounded_if_one_was_away(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.start(0)
        both.start(1)
        together, alone = both.end_jobs(2)
        both.wait(0, 2)
        both.wait(1, 2)
        both.cluster.update_job(together, admin_comment="seen by both")
        both.wait(0, 3)
        both.wait(1, 3)
        # The second is away while a job changes, and comes back when it has changed once more.
        both.daemons[1].kill()
        both.cluster.update_job(alone, admin_comment="one")
        both.wait(0, 4)
        both.cluster.update_job(alone, admin_comment="two")
        both.wait(0, 5)
        both.start(1)
        both.wait(1, 4)
        found = both.wait_for_stream(5)
        for daemon in both.daemons:
            assert daemon.stop() == 0

        def told(records: list[dict[str, Any]], key: Any) -> list[tuple[int, str | None]]:  # noqa: ANN401 - a key
            return [
                (one["revision"], one.get("admin_comment")) for one in records if one["job_id_raw"] == key.id_job
            ]

        first, second = (daemon.records() for daemon in both.daemons)
        assert told(first, together) == told(second, together) == [(1, None), (2, "seen by both")]
        # Two changes that one saw apart are one revision for the other, under the same id: the stream keeps the
        # first of that id, and the newest revision is that of whoever saw more of them.
        assert told(first, alone) == [(1, None), (2, "one"), (3, "two")]
        assert told(second, alone) == [(1, None), (2, "two")]
        assert told(found, alone) == [(1, None), (2, "one"), (3, "two")]
