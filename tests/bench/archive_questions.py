"""Questions to an archive, for slurmwatchd and for duckdb; one of them to slurmwatchd in a process of its own:

    python -m tests.bench.archive_questions FOLDER every 20580

A day is the number of days since 1970-01-01.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slurmwatchd.store.archive import layout
from slurmwatchd.store.archive.layout import DAY_SECONDS
from slurmwatchd.store.archive.reader import ArchivedReader
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.store.read.reader import StoreReader
from tests.bench.archive_process import Plain, print_costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about some days.

    Attributes:
        text: What it asks.
        days: How many.
        ours: Puts it to slurmwatchd; of the first day.
        sql: Puts it to duckdb; of the dataset and the first day.
    """

    text: str
    days: int
    ours: Callable[[StoreReader, int], object]
    sql: Callable[[Path, int], str]


def _count(reader: StoreReader, day: int) -> int:
    return reader.count(_days(day, 1))


def _every(reader: StoreReader, day: int) -> int:
    return len(list(reader.records(_days(day, 1), nodes=True, usage=True)))


def _hours(reader: StoreReader, day: int, days: int) -> object:
    return reader.totals(_ran(day, days), by="account")


def _newest_of_user(reader: StoreReader, day: int) -> int:
    return len(list(reader.records(_of_user(day))))


def _days(day: int, count: int) -> Question:
    start = day * DAY_SECONDS
    return Question(ended_from=start, ended_until=start + count * DAY_SECONDS - 1, order=Order.END)


def _ran(day: int, count: int) -> Question:
    start = day * DAY_SECONDS
    return Question(running_from=start, running_until=start + count * DAY_SECONDS, order=Order.FOUND)


def _of_user(day: int) -> Question:
    question = _days(day, 30)
    return Question(
        users=("user007",),
        ended_from=question.ended_from,
        ended_until=question.ended_until,
        descending=True,
        limit=50,
    )


def _source(dataset: Path) -> str:
    return f"read_parquet('{dataset}/*/*.parquet', hive_partitioning = true, hive_types = {{'day': DATE}})"


def _of_days(columns: str, dataset: Path, day: int, count: int, more: str = "") -> str:
    first, last = layout.day_text(day), layout.day_text(day + count - 1)
    return f"SELECT {columns} FROM {_source(dataset)} WHERE day BETWEEN '{first}' AND '{last}' {more}"  # noqa: S608


def _node_hours(dataset: Path, day: int, count: int) -> str:
    start, end = f"to_timestamp({day * DAY_SECONDS})", f"to_timestamp({(day + count) * DAY_SECONDS})"
    ran = f'greatest(0, epoch(least("end", {end})) - epoch(greatest(start, {start})))'
    # What ran then ended then or later.
    where = f"day >= '{layout.day_text(day)}' AND \"end\" >= {start} AND start <= {end}"
    columns = f"account, count(*), sum(len(nodes) * {ran}) / 3600"
    return f"SELECT {columns} FROM {_source(dataset)} WHERE {where} GROUP BY account"  # noqa: S608 - our own words


QUESTIONS = {
    "count": Asked(
        text="count", days=1, ours=_count, sql=lambda dataset, day: _of_days("count(*)", dataset, day, 1)
    ),
    "every": Asked(
        text="every record", days=1, ours=_every, sql=lambda dataset, day: _of_days("*", dataset, day, 1)
    ),
    **{
        f"hours{days}": Asked(
            text="node hours by account", days=days,
            ours=lambda reader, day, days=days: _hours(reader, day, days),  # type: ignore[misc]
            sql=lambda dataset, day, days=days: _node_hours(dataset, day, days),  # type: ignore[misc]
        )
        for days in (1, 15, 30)
    },
    "newest": Asked(
        text="the newest 50 jobs of a user", days=30, ours=_newest_of_user,
        sql=lambda dataset, day: _of_days(
            "*", dataset, day, 30, 'AND "user" = \'user007\' ORDER BY "end" DESC LIMIT 50'
        ),
    ),
}  # fmt: skip


def main() -> None:
    """Ask slurmwatchd once, and print what that took."""
    folder, name, day = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sys.meta_path.insert(0, Plain())
    with ArchivedReader(folder / "store.db", folder / "archive") as reader:
        QUESTIONS[name].ours(reader, day)
    print_costs()


if __name__ == "__main__":
    main()
