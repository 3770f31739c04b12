"""What a report gets from the archive: attempts that are in none of the store's sums.

The sums outlive the attempts they are of, so that is nothing as long as the store lives. A store that was lost
begins with new sums, and what sacct no longer has is then in the archive only.

An attempt of the archive is in the sums if the store has it still, or if it expired from there. Of those that
expired the store knows, for each hour, the first and the last end.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import groupby

from slurmwatchd.model.reports import Tally
from slurmwatchd.model.sums import HOUR
from slurmwatchd.store.archive.arrow import Key
from slurmwatchd.store.archive.files import Dataset
from slurmwatchd.store.archive.horizon import summed_by_day
from slurmwatchd.store.archive.layout import DAY_SECONDS, DayFile
from slurmwatchd.store.archive.tallies import WHOSE, Adder, Pieces
from slurmwatchd.store.expired_hours import EXPIRED
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import StoreReader
from slurmwatchd.store.read.report import FILTERS, Wish

_EXPIRED_OF_DAY = f"{EXPIRED} AND hour >= ? AND hour < ? ORDER BY hour"


def unsummed(
    store: StoreReader, dataset: Dataset, wish: Wish, *, before: Mapping[str, int],
    known: Callable[[int], Collection[Key]], oldest: Callable[[str], int],
) -> dict[str, Tally]:  # fmt: skip
    """Return what attempts that are in none of the store's sums add to a report, by its keys.

    Args:
        store: Open for reading, as it is at one moment.
        dataset: The archive.
        wish: What is to be reported.
        before: Cluster to the day up to which its files count; of other clusters all do.
        known: Gives the keys that the store has of a file's day.
        oldest: Gives the first end that the store has of a cluster.

    Raises:
        StoreBusyError: The store cannot be read now, or a file was replaced.
        StoreError: One of them cannot be read at all.
    """
    start, end = wish.span
    places = dataset.places(Question(clusters=wish.clusters, ended_from=start), before)
    if not places:
        return {}
    days = [(file.cluster, file.day) for file in map(dataset.files.__getitem__, places)]
    in_sums = summed_by_day(store, days)
    names, pieces = _pieces(wish)
    only = {column: tuple(values) for name, column in FILTERS.items() if (values := getattr(wish, name))}
    only.pop("cluster", None)
    adder = Adder(dataset.pa, dataset.pc, pieces, by=wish.by if wish.by in WHOSE else None, only=only)
    found: dict[str, Tally] = {}
    for place in places:
        file = dataset.files[place]
        begin = file.day * DAY_SECONDS
        # All of a day that the store no longer has stood in the archive before it expired.
        is_gone = begin + DAY_SECONDS <= oldest(file.cluster)
        if is_gone and dataset.rows(place) == in_sums.get((file.cluster, file.day), 0):
            continue
        # Of what ended later only what ran in the time counts.
        question = Question() if begin < end else Question(running_from=start, running_until=end)
        expired = _expired(store, file)
        for table in dataset.unsummed(place, question, partial(known, place), expired):
            for key, tally in adder.tallies(table).items():
                found.setdefault(_name(key, names, file), Tally()).merge(tally)
    return found


def _name(key: str | int, names: Sequence[str], file: DayFile) -> str:
    if isinstance(key, str):
        return key
    return names[key] if names else file.cluster


def _pieces(wish: Wish) -> tuple[Sequence[str], Pieces]:
    """Return what the pieces of time are in the report, none where it does not go by the time; and the pieces."""
    start, end = wish.span
    keys = wish.key_of_hour()
    if keys is None:
        return (), Pieces(edges=(start, end), of_hour=[0] * ((end - start) // HOUR))
    runs = [(key, [hour for hour, _ in run]) for key, run in groupby(keys.items(), key=lambda item: item[1])]
    of_hour = [place for place, (_, hours) in enumerate(runs) for _ in hours]
    return [key for key, _ in runs], Pieces(edges=[*(hours[0] for _, hours in runs), end], of_hour=of_hour)


def _expired(store: StoreReader, file: DayFile) -> list[tuple[int, int]]:
    """Return the stretches of a file's day in which attempts ended that have expired; both ends belong to them."""
    begin = file.day * DAY_SECONDS
    rows = store.rows(_EXPIRED_OF_DAY, (file.cluster, begin, begin + DAY_SECONDS))
    return [(first, last) for _, first, last in rows]
