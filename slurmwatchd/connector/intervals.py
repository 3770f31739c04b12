"""What ran between two moments."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from slurmwatchd.connector import from_sacct, from_store
from slurmwatchd.connector.slurm import DEFAULT_KEYS, PathLike, Slurm

if TYPE_CHECKING:
    from slurmwatchd.connector.store import Store


def jobs_running_between(
    start: datetime,
    end: datetime,
    keys: Iterable[str] | None = None,
    *,
    tz: tzinfo | None = None,
    store: "Store | PathLike | None" = None,
) -> Slurm:
    """Return the jobs, of all users, that were running at some moment between two.

    Args:
        start: They ended then or later, or are running still. Naive times are local ones.
        end: They started then or earlier.
        keys: The fields wanted, as `sacct --format` takes them; None: `DEFAULT_KEYS`.
        tz: As for `Slurm`.
        store: Ask the daemon's store and not sacct. It knows attempts that ended, and no steps.

    Raises:
        ValueError: The end is before the start.
        SacctError: sacct failed or its answer is not whole.
        SacctNotFoundError: There is no sacct.
    """
    first, last = int(start.timestamp()), int(end.timestamp())
    if last < first:
        raise ValueError(f"the end, {end}, is before the start, {start}")
    wanted = tuple(DEFAULT_KEYS if keys is None else keys)
    found = Slurm(from_string="", tz=tz)
    if store is not None:
        answer = from_store.running_between(store, first, last, wanted)
    else:
        answer = from_sacct.running_between(first, last, wanted)
    found._add(answer)  # noqa: SLF001 - a Slurm in the making
    return found
