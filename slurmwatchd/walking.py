"""A walk over end times that changes nothing: few fields of every row, a slice a call.

`verify` compares what it meets, a dry run counts it.
"""

from collections.abc import Awaitable, Callable, Iterable

from slurmwatchd.clock import Clock
from slurmwatchd.errors import SacctTimeoutError, SacctTooWideError
from slurmwatchd.sources.fields import Layout
from slurmwatchd.sources.sacct import Answer, Sacct
from slurmwatchd.windows import MIN_SLICE_SECONDS, Window

LIGHT = Layout(("Cluster", "JobIDRaw", "Submit", "JobID", "State", "Start", "NodeList", "End"))
"""The key, the state and the times, which every release prints; the node list says whether `Start` is one."""

Visit = Callable[[Window, Answer], Awaitable[None]]


async def walk(
    sacct: Sacct,
    stretches: Iterable[tuple[int, int]],
    visit: Visit,
    *,
    slice_seconds: int,
    timeout_seconds: float,
    clock: Clock,
    layout: Layout = LIGHT,
) -> None:
    """Ask for stretches of end times, slice by slice, and show each answer to `visit`.

    A slice that slurmdbd finds too much is halved, and grown again after.

    Args:
        sacct: Whom to ask.
        stretches: Half-open, ascending.
        visit: Called with each window and its answer; what it raises ends the walk.
        slice_seconds: The longest stretch of one call.
        timeout_seconds: How long to wait after a call that timed out: slurmdbd goes on with its query.
        clock: For that wait.
        layout: The fields to ask for.

    Raises:
        SacctError: A call failed, or a slice of a minute is too much.
    """
    size = slice_seconds
    for start, end in stretches:
        reached = start
        while reached < end:
            window = Window(reached, min(end, reached + size))
            try:
                async with sacct.ended_in(window, layout) as answer:
                    await visit(window, answer)
            except (SacctTimeoutError, SacctTooWideError) as error:
                if size <= MIN_SLICE_SECONDS:
                    raise
                size = max(MIN_SLICE_SECONDS, size // 2)
                if isinstance(error, SacctTimeoutError):
                    await clock.sleep(timeout_seconds)
                continue
            reached = window.end
            size = min(slice_seconds, size * 2)
