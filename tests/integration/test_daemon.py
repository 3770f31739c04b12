"""The root task group at work: what systemd is told, what a signal does, and how it ends."""

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from slurmwatchd.config.settings import Config
from slurmwatchd.daemon.daemon import Daemon
from slurmwatchd.daemon.delivery import Delivery, DeliveryParts
from slurmwatchd.daemon.sd_notify import Notifier
from slurmwatchd.errors import ConfigError
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.base import Sink
from tests.integration.rig import Rig
from tests.integration.window_runner import WindowRunner
from tests.patience import HANGS_SECONDS
from tests.service_manager import ServiceManager

WATCHDOG_SECONDS = 16
"""Of the unit: half of it is the interval, and it is fed at half of that."""

Reload = Callable[[], Config]


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """A daemon that has run leaves its handler of SIGHUP, and one that was reloaded its handler of the log."""
    root = logging.getLogger()
    handlers, level, hangup = list(root.handlers), root.level, signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, hangup)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceManager]:
    # The name of a socket may have 107 bytes.
    with ServiceManager(tmp_path_factory.mktemp("n") / "s") as manager:
        yield manager


class Receiver(Sink):
    """A sink that takes everything, or gets stuck with the first event, and counts how often it is reopened."""

    def __init__(self, *, stuck: bool = False, slow: bool = False) -> None:
        self._stuck = stuck
        self._slow = slow
        self.writing = anyio.Event()
        self.reopened = 0
        self.got: list[int] = []

    async def write(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        assert events
        # They have arrived, whatever becomes of the answer.
        self.got += [event.seq for event in events]
        self.writing.set()
        if self._slow:
            for _ in range(20):
                await anyio.sleep(0.005)
        if self._stuck:
            await anyio.sleep_forever()
        return {}

    async def reopen(self) -> None:
        self.reopened += 1


async def attach(daemon: Daemon, sink: Receiver) -> None:
    """Deliver to a sink besides the configured ones."""
    parts = DeliveryParts(
        database=daemon.database, clock=daemon.outside.clock, metrics=daemon.metrics, health=daemon.health
    )
    delivery = Delivery("receiver", sink, parts)
    await delivery.enter()
    daemon.deliveries.append(delivery)


@asynccontextmanager
async def running(daemon: Daemon, reload: Reload | None = None) -> AsyncIterator[None]:
    """The daemon runs; it is cancelled on the way out, where it has not ended by then."""
    async with anyio.create_task_group() as group:
        group.start_soon(daemon.run, None, reload or (lambda: daemon.config))
        yield
        group.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in real time."""
    with anyio.fail_after(HANGS_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await anyio.sleep(0.01)


async def passes(rig: Rig, seconds: int) -> None:
    """Let time pass, second by second; each is over once what tells systemd has looked, where it is time."""
    await until(rig.clock.has_ticked)
    for _ in range(seconds):
        rig.move(1)
        await until(rig.clock.has_ticked)


def told_of(manager: ServiceManager, seconds: int = 0) -> Notifier:
    """The daemon's line to a service manager, with a watchdog where that has a time."""
    environ = {"NOTIFY_SOCKET": str(manager.path)}
    return Notifier(environ | ({"WATCHDOG_USEC": str(seconds * 1_000_000)} if seconds else {}))


def sample(daemon: Daemon, name: str) -> float | None:
    return daemon.metrics.registry.get_sample_value(name)


async def test_sacct_that_hangs_keeps_the_boot_waiting_for_half_a_minute_and_no_longer(
    tmp_path: Path, manager: ServiceManager
) -> None:
    with Rig(tmp_path) as rig:
        runner = WindowRunner(rig, anyio.sleep_forever)
        async with rig.daemon(runner, told_of(manager)) as daemon, running(daemon):
            await runner.asked.wait()
            await passes(rig, 29)
            assert manager.told("READY") == []
            await passes(rig, 2)
            await until(lambda: manager.told("READY") == ["1"])
            assert manager.told("STATUS")[-1] == "sim: first query"


async def test_reload_before_the_first_reading_is_over_does_not_say_ready(
    tmp_path: Path, manager: ServiceManager
) -> None:
    def faulty() -> Config:
        raise ConfigError(["poll.intervall: unknown key"])

    with Rig(tmp_path) as rig:
        runner = WindowRunner(rig, anyio.sleep_forever)
        async with rig.daemon(runner, told_of(manager)) as daemon, running(daemon, faulty):
            await runner.asked.wait()
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: sample(daemon, "slurmwatchd_config_last_reload_successful") == 0)
            await passes(rig, 29)
            assert (manager.told("RELOADING"), manager.told("READY")) == ([], [])
            await passes(rig, 2)
            await until(lambda: manager.told("READY") == ["1"])
            # From then on a reload is told as ever.
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: manager.told("READY") == ["1", "1"])
            assert manager.told("RELOADING") == ["1"]


async def test_watchdog_is_not_fed_while_a_loop_is_stuck_and_the_log_names_it(
    tmp_path: Path, manager: ServiceManager, caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(tmp_path) as rig:
        runner = WindowRunner(rig, anyio.sleep_forever)
        notifier = told_of(manager, WATCHDOG_SECONDS)
        async with rig.daemon(runner, notifier) as daemon, running(daemon):
            await runner.asked.wait()
            # Twice the 20 s of a call and a minute is how long a watcher may be silent.
            for ten in range(1, 11):
                await passes(rig, 10)
                assert len(manager.told("WATCHDOG")) == 10 * ten // 4
            await passes(rig, 10)
            assert len(manager.told("WATCHDOG")) == 25
        assert "watchdog not notified, a loop is stuck" in caplog.text
        assert "'loops': 'watcher sim'" in caplog.text


async def test_sink_that_never_takes_an_event_does_not_keep_the_daemon_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("slurmwatchd.daemon.daemon.DRAIN_SECONDS", 0.2)
    # What stores an event wakes the configured sinks; this one looks by itself.
    monkeypatch.setattr("slurmwatchd.daemon.delivery.IDLE_SECONDS", 0.05)
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="meanwhile")
        async with rig.daemon() as daemon:
            sink = Receiver(stuck=True)
            await attach(daemon, sink)
            with anyio.fail_after(HANGS_SECONDS):
                async with anyio.create_task_group() as group:
                    group.start_soon(daemon.run, None, lambda: daemon.config)
                    await sink.writing.wait()
                    os.kill(os.getpid(), signal.SIGTERM)
        assert "drain timed out" in caplog.text
        assert rig.names() == ["meanwhile"]


@pytest.mark.parametrize("once", [True, False])
async def test_an_orderly_end_cuts_no_write_off(tmp_path: Path, once: bool) -> None:
    with Rig(tmp_path) as rig:
        rig.ended(5, job_name="before the end")
        async with rig.daemon() as daemon:
            sink = Receiver(slow=True)
            await attach(daemon, sink)
            # What stores an event wakes the configured sinks.
            daemon.news.append(daemon.deliveries[-1].wake)
            with anyio.fail_after(HANGS_SECONDS):
                if once:
                    await daemon.once()
                else:
                    async with anyio.create_task_group() as group:
                        group.start_soon(daemon.run, None, lambda: daemon.config)
                        await sink.writing.wait()
                        os.kill(os.getpid(), signal.SIGTERM)
        assert sink.got == [1]


class Answering:
    """A web server with a request under way, which takes a few turns of the loop more once it is to stop."""

    def __init__(self) -> None:
        self._stopping = anyio.Event()
        self.serving = anyio.Event()
        self.answered = False

    async def run_until_stopped(self) -> None:
        self.serving.set()
        await self._stopping.wait()
        for _ in range(20):
            await anyio.sleep(0.005)
        self.answered = True

    def stop(self) -> None:
        self._stopping.set()


async def test_request_under_way_is_answered_before_the_daemon_ends(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            server = Answering()
            with anyio.fail_after(HANGS_SECONDS):
                async with anyio.create_task_group() as group:
                    group.start_soon(daemon.run, server, lambda: daemon.config)
                    await server.serving.wait()
                    os.kill(os.getpid(), signal.SIGTERM)
        assert server.answered


async def test_how_late_timers_run_is_measured(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon, running(daemon):
            await passes(rig, 2)
            await until(lambda: sample(daemon, "slurmwatchd_event_loop_lag_seconds_count"))


async def test_idle_daemon_wakes_up_every_two_seconds(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon, running(daemon):
            await until(daemon.health.started)
            await passes(rig, 2)
            rig.clock.asked.clear()
            await passes(rig, 20)
            # What tells systemd and what looks for requests, besides the pauses between polls.
            assert {seconds for seconds in rig.clock.asked if seconds < 20} == {2.0}


async def test_every_sink_is_reopened_by_a_reload_also_by_one_that_is_refused(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            given: list[Config] = [daemon.config]

            def reload() -> Config:
                if not given:
                    raise ConfigError(["poll.intervall: unknown key"])
                return given.pop()

            sink = Receiver()
            await attach(daemon, sink)
            async with running(daemon, reload):
                await until(daemon.health.started)
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda: sink.reopened == 1)
                assert sample(daemon, "slurmwatchd_config_last_reload_successful") == 1
                os.kill(os.getpid(), signal.SIGHUP)
                await until(lambda: sink.reopened == 2)
                assert sample(daemon, "slurmwatchd_config_last_reload_successful") == 0


async def test_reload_takes_the_sections_that_need_no_restart_and_names_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Rig(tmp_path) as rig:
        async with rig.daemon() as daemon:
            old = daemon.config
            poll = old.poll.model_copy(update={"interval": 7.0})
            log = old.log.model_copy(update={"level": "error", "format": "json"})
            web = old.web.model_copy(update={"listen": "127.0.0.1:1"})
            report = old.report.model_copy(update={"currency": "EUR"})
            daemon.apply(old.model_copy(update={"poll": poll, "log": log, "web": web, "report": report}))
            assert daemon.config.poll.interval == 7.0
            assert (daemon.config.log.level, daemon.config.log.format) == ("error", "json")
            assert (daemon.config.web, daemon.config.report) == (old.web, old.report)
            (told,) = [line for line in caplog.messages if "restart needed" in line]
            assert "web, report" in told
            assert logging.getLogger().level == logging.ERROR
