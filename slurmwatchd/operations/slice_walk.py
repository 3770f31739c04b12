"""A walk over end times that changes nothing: few fields of every row, a slice a call.

`verify` compares what it meets, a dry run counts it.
"""

from collections.abc import Awaitable, Callable, Iterable

from slurmwatchd.errors import SacctTimeoutError, SacctTooWideError, SilenceError
from slurmwatchd.model.clock import Clock
from slurmwatchd.model.ledger import Ledger
from slurmwatchd.model.policy import MIN_SLICE_SECONDS, ReadPolicy
from slurmwatchd.model.windows import Window
from slurmwatchd.sources.sacct.client import Sacct, SacctAnswer
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.watcher.anchors import MORE, Anchors

LIGHT = Layout(("Cluster", "JobIDRaw", "Submit", "JobID", "State", "Start", "NodeList", "End"))
"""The key, the state and the times, which every release prints; the node list says whether `Start` is one."""

Visit = Callable[[Window, SacctAnswer], Awaitable[None]]


async def walk(
    sacct: Sacct,
    stretches: Iterable[tuple[int, int]],
    visit: Visit,
    *,
    anchors: Anchors | None,
    ledger: Ledger,
    policy: ReadPolicy,
    timeout_seconds: float,
    clock: Clock,
) -> None:
    """Ask for stretches of end times, slice by slice, and show each answer to `visit`.

    A slice that slurmdbd finds too much is halved, and grown again after. Each answer must show an attempt that
    the store has, so a slice may be asked for as far as that; `visit` is given what ended in the slice itself.

    Args:
        sacct: Whom to ask.
        stretches: Half-open, ascending.
        visit: Called with each window and its answer, again where that lacks its anchor; what it raises ends all.
        anchors: What the answers are held to show; None: they are taken as they are.
        ledger: What was read of the cluster.
        policy: How much one call may ask for.
        timeout_seconds: How long to wait after a call that timed out: slurmdbd goes on with its query.
        clock: For that wait.

    Raises:
        SacctError: A call failed, or a slice of a minute is too much.
        SilenceError: What the store has is not shown, also in a slice of a minute.
    """
    size = policy.slice_seconds
    for start, end in stretches:
        reached = start
        while reached < end:
            window = Window(reached, min(end, reached + size))
            try:
                await _visited(sacct, window, visit, anchors, ledger, policy, now=int(clock.now()))
            except (SacctTimeoutError, SacctTooWideError, SilenceError) as error:
                if size <= MIN_SLICE_SECONDS:
                    raise
                size = max(MIN_SLICE_SECONDS, size // 2)
                if isinstance(error, SacctTimeoutError):
                    await clock.sleep(timeout_seconds)
                continue
            reached = window.end
            size = min(policy.slice_seconds, size * 2)


async def _visited(
    sacct: Sacct,
    window: Window,
    visit: Visit,
    anchors: Anchors | None,
    ledger: Ledger,
    policy: ReadPolicy,
    *,
    now: int,
) -> None:
    if anchors is None:
        async with sacct.ended_in(window, LIGHT) as answer:
            await visit(window, answer)
        return
    for more in MORE:
        try:
            async with anchors.ask(sacct, window, LIGHT, ledger, policy, now=now, more=more) as answer:
                await visit(window, answer)
        except SilenceError:
            if more == MORE[-1]:
                raise
        else:
            return
