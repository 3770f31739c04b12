"""Slurmdbd's limits are asked for beside the first poll, and hold for all that is read after it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from slurmwatchd.sources.process import Completed, Spool
from tests.integration.rig import WINDOW, Rig
from tests.patience import HANGS_SECONDS

LIMIT = 3600
QUIET = {"interval": "30s", "since": "4h", "reread": [], "open_set": "0s"}


class Ordered:
    """A runner that holds back every answer of sacctmgr, or of the first window, until the test lets it go."""

    def __init__(self, rig: Rig, held: str) -> None:
        self._inner = rig.runner()
        self._held = held
        self.asked_limits = anyio.Event()
        self.let_go = anyio.Event()
        self.windows: list[tuple[int, int]] = []

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout_seconds: float,
        spool: Spool | None = None,
    ) -> Completed:
        """See `ProcessRunner.run`."""
        is_window = any(WINDOW in word for word in argv)
        if is_window:
            start, end = (int(argv[argv.index(option) + 1].removeprefix("uts")) for option in ("-S", "-E"))
            self.windows.append((start, end))
        if Path(argv[0]).name == "sacctmgr" and "configuration" in argv:
            self.asked_limits.set()
            if self._held == "limits":
                await self.let_go.wait()
        elif is_window and self._held == "window":
            await self.let_go.wait()
        return await self._inner.run(argv, env=env, timeout_seconds=timeout_seconds, spool=spool)


@asynccontextmanager
async def _once(rig: Rig, runner: Ordered) -> AsyncIterator[None]:
    """Start `once`; wait for its end on the way out."""
    async with rig.daemon(runner) as daemon, anyio.create_task_group() as group:
        group.start_soon(daemon.once)
        yield


async def test_limits_are_asked_while_sacct_still_answers_the_first_poll(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.ended(10)
        runner = Ordered(rig, held="window")
        async with _once(rig, runner):
            with anyio.fail_after(HANGS_SECONDS):
                await runner.asked_limits.wait()
            runner.let_go.set()
        assert rig.ask_store("SELECT count(*) FROM events") == [(1,)]


async def test_first_poll_is_stored_before_the_limits_are_known_and_all_after_it_keeps_them(
    tmp_path: Path,
) -> None:
    with Rig(tmp_path, poll=QUIET) as rig:
        rig.cluster.set_max_query_time_range(LIMIT)
        rig.ended(10, job_name="of the first poll")
        rig.ended(3 * 3600, job_name="older")
        runner = Ordered(rig, held="limits")
        async with _once(rig, runner):
            with anyio.fail_after(HANGS_SECONDS):
                while rig.names() != ["of the first poll"]:  # noqa: ASYNC110 - nothing tells when
                    await anyio.sleep(0.02)
            assert len(runner.windows) == 1
            runner.let_go.set()
        assert rig.names() == ["of the first poll", "older"]
        later = runner.windows[1:]
        assert len(later) >= 7
        assert max(end - start for start, end in later) <= LIMIT
