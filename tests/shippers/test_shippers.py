"""packaging/shippers/ run for real: what the daemon wrote arrives, whatever is rotated, stopped or killed.

`make test-shippers`; SHIPPER_EVENTS sets how many events (100,000), over twenty rotations.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shippers.rig import Debian, Receiver, Shipper, Writer, rsyslog, syslog_ng, wait

pytestmark = [pytest.mark.shippers, pytest.mark.timeout(3600)]

EVENTS = int(os.environ.get("SHIPPER_EVENTS", "100000"))
ROTATIONS = 20
QUIET_SECONDS = 3
"""So long after the last line a shipper that polls each second has nothing left to send."""


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Debian:
    return Debian(tmp_path_factory.mktemp("debian"))


class Scene:
    """One shipper, its file and its receiver, and what came twice in which step."""

    def __init__(self, shipper: Shipper, writer: Writer, receiver: Receiver) -> None:
        self.shipper = shipper
        self.writer = writer
        self._receiver = receiver
        self._repeats = 0
        self.table: list[tuple[str, int]] = []

    @property
    def rotated(self) -> int:
        """How many lines the rotated file has."""
        return Path(f"{self.writer.file}.1").read_bytes().count(b"\n")

    def caught_up(self) -> None:
        """Wait until every line is there."""
        counts, lines = self._receiver.counts, self.writer.lines
        wait(
            lambda: len(counts) >= len(lines),
            lambda: f"{len(counts)} of {len(lines)}\n{self.shipper.log[-1000:]}",
            lambda: sum(tuple(counts.values())),
        )

    def step(self, what: str, act: Callable[[], None]) -> int:
        """Do something, wait until all has come, and return how many lines came again."""
        act()
        self.caught_up()
        counts = self._receiver.counts
        quiet_since, total = time.monotonic(), -1
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            if (now := sum(counts.values())) != total:
                quiet_since, total = time.monotonic(), now
            time.sleep(0.05)
        missing = [number for number, line in enumerate(self.writer.lines, 1) if line not in counts]
        assert missing == []
        assert len(counts) == len(self.writer.lines), "lines that nobody wrote"
        again, self._repeats = total - len(counts) - self._repeats, total - len(counts)
        self.table.append((what, again))
        return again


@pytest.fixture(params=["rsyslog", "syslog-ng"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, debian: Debian) -> Iterator[Scene]:
    receiver = Receiver()
    with receiver.running():
        make = {"rsyslog": rsyslog, "syslog-ng": syslog_ng}[request.param]
        shipper = make(tmp_path, receiver.port, debian)
        if shipper is None:
            pytest.skip(f"NOT RUN: {request.param} is not here")
        writer = Writer(tmp_path / "jobs.jsonl")
        writer.write(10)
        shipper.start()
        try:
            yield Scene(shipper, writer, receiver)
        finally:
            shipper.kill()


def test_nothing_is_missing_and_what_comes_twice_has_a_reason(scene: Scene) -> None:
    shipper, writer = scene.shipper, scene.writer

    def stop_and_start() -> None:
        shipper.end()
        writer.write(500)
        shipper.start()

    def rotate() -> None:
        writer.rotate()
        writer.write(5)

    def down_over_a_rotation() -> None:
        shipper.end()
        writer.write(500)
        rotate()
        shipper.start()

    def killed() -> None:
        writer.write(4_000)
        shipper.kill()
        shipper.start()

    def killed_before_a_rotation() -> None:
        writer.write(4_000)
        shipper.kill()
        writer.write(500)
        rotate()
        shipper.start()

    def daemon_killed_within_a_line() -> None:
        writer.write(100)
        writer.die_within_a_line()
        rotate()

    assert scene.step("lines", lambda: writer.write(2_000)) == 0
    assert scene.step("stopped and started", stop_and_start) == 0
    # The rotated file may come again once, as a whole: nothing else may.
    assert scene.step("rotated", rotate) <= scene.rotated
    assert scene.step("down over a rotation", down_over_a_rotation) <= scene.rotated
    here = len(writer.file.read_bytes().splitlines())
    assert scene.step("shipper killed", killed) <= scene.rotated + here + 4_000
    assert scene.step("shipper killed before a rotation", killed_before_a_rotation) <= 2 * scene.rotated
    assert scene.step("daemon killed within a line", daemon_killed_within_a_line) <= scene.rotated
    # Longer than the shippers' defaults of 8,096 bytes and 64 kB allow without a word.
    assert scene.step("long lines", lambda: writer.write(3, text="x" * 29_000)) == 0
    for what, again in scene.table:
        print(f"{what}: {again} came again")  # noqa: T201 - for `make test-shippers`


def test_every_event_arrives_over_twenty_rotations(scene: Scene) -> None:
    shipper, writer = scene.shipper, scene.writer
    each = EVENTS // ROTATIONS
    for number in range(ROTATIONS):
        writer.write(each // 2)
        match number % 4:
            case 1:
                shipper.kill()
                writer.write(each // 2)
                writer.rotate()
                writer.write(1)
                shipper.start()
            case 2:
                writer.die_within_a_line()
                writer.write(each // 2)
                writer.rotate()
            case 3:
                shipper.end()
                writer.write(each // 2)
                writer.rotate()
                writer.write(1)
                shipper.start()
            case _:
                writer.write(each // 2)
                writer.rotate()
        # A day lies between two rotations in life.
        scene.caught_up()
    scene.step(f"{EVENTS} events", lambda: writer.write(1))
    assert len(writer.lines) >= EVENTS
    print(f"{len(writer.lines)} lines, none missing; {scene.table[-1][1]} came again")  # noqa: T201
