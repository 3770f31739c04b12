"""Who looks node lists up shares a lock; who removes unused ones holds it alone."""

import anyio

from slurmwatchd.store.shared_lock import SharedLock
from tests.patience import HANGS_SECONDS


async def test_many_share_and_one_alone_waits_for_all_of_them_but_not_for_newcomers() -> None:
    lock = SharedLock()
    order: list[str] = []
    leave = anyio.Event()

    async def share(name: str) -> None:
        async with lock.shared():
            order.append(f"{name} in")
            await leave.wait()
        order.append(f"{name} out")

    async def exclude() -> None:
        async with lock.exclusive():
            order.append("alone in")
            await anyio.lowlevel.checkpoint()
            order.append("alone out")

    async with anyio.create_task_group() as group:
        for task in (lambda: share("first"), lambda: share("second"), exclude, lambda: share("late")):
            group.start_soon(task)
            await anyio.wait_all_tasks_blocked()
        assert order == ["first in", "second in"]
        leave.set()
    assert order[2:4] == ["first out", "second out"]
    assert order[4:6] == ["alone in", "alone out"]
    assert order[6:] == ["late in", "late out"]


async def test_sharing_that_was_cancelled_is_over() -> None:
    lock = SharedLock()
    with anyio.CancelScope() as scope:
        async with lock.shared():
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    with anyio.fail_after(HANGS_SECONDS):
        async with lock.exclusive():
            pass
