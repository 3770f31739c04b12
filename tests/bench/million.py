"""A store with a million attempts, written by the daemon's own intake.

python -m tests.bench.million STORE [--jobs 1000000] [--days 90]

400 users of very different zeal on 1024 nodes; most jobs on one node, some on a few neighbours, one in twenty on
six at random; one in thirty runs for days.
"""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import click

from slurmwatchd.model.outcomes import outcome_of
from slurmwatchd.model.records import FoundBy, JobRecord
from slurmwatchd.store.batch import Batch
from slurmwatchd.store.database import Database, open_database
from slurmwatchd.store.intake import Intake
from tests.row_by_row import taken_apart

NEWEST = 1_795_500_000
DAY = 86_400
_USERS = 400
_NODES = 1024


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--jobs", default=1_000_000, show_default=True)
@click.option("--days", default=90, show_default=True)
def main(store: Path, jobs: int, days: int) -> None:
    """Make the store."""
    anyio.run(fill, store, jobs, days)


async def fill(store: Path, jobs: int, days: int, batch_rows: int = 2000) -> None:
    """Write attempts in batches, as a poll does."""
    async with open_database(store) as database:
        async for _ in filling(database, jobs, days, batch_rows):
            pass


async def filling(database: Database, jobs: int, days: int, batch_rows: int = 2000) -> AsyncIterator[int]:
    """Do the same to an open store; give the number of attempts after each batch."""
    met: set[str] = set()
    intake = await Intake.load(database)
    rows: list[tuple[JobRecord, int]] = []
    expanded: dict[str, tuple[str, ...]] = {}
    for number, (record, nodes) in enumerate(attempts(jobs, days), 1):
        rows.append((record, record.job_id_raw))
        if record.node_list is not None and record.node_list not in met:
            met.add(record.node_list)
            expanded[record.node_list] = nodes
        if len(rows) == batch_rows or number == jobs:
            await _commit(intake, rows, expanded)
            rows, expanded = [], {}
            yield number


async def _commit(intake: Intake, rows: list[tuple[JobRecord, int]], expanded: dict[str, tuple[str, ...]]) -> None:
    await intake.commit(
        Batch(
            cluster="tux",
            readings=taken_apart(rows),
            slots=frozenset(JobRecord._fields),
            observed=NEWEST,
            found_by=FoundBy.POLL,
            expanded=expanded,
        )
    )


def attempts(count: int, days: int) -> Iterator[tuple[JobRecord, tuple[str, ...]]]:
    """Give attempts in the order of their ends, each with its nodes."""
    chance = random.Random(1)  # noqa: S311 - the same store each time
    weights = [1 / (number + 1) ** 0.8 for number in range(_USERS)]
    users = chance.choices(range(_USERS), weights, k=count)
    for number, user in enumerate(users, 1):
        end = NEWEST - days * DAY + number * days * DAY // count
        ran = min(int(chance.lognormvariate(6.5, 2)), 14 * DAY)
        if chance.random() < 0.03:
            ran = chance.randrange(DAY, 14 * DAY)
        text, nodes = _nodes(chance)
        tres = {"cpu": 4 * len(nodes), "mem_bytes": 4_194_304_000, "node": len(nodes), "billing": 4}
        record = JobRecord(
            cluster="tux", job_id=str(number), job_id_raw=number, db_index=str(2**53 + number),
            name=f"train-{number % 977}", user=f"user{user:03d}", uid=1000 + user, gid=100,
            account=f"account{user % 40}", partition=("main", "gpu", "long")[number % 3], qos="normal",
            state=chance.choices(("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"), (85, 8, 4, 3))[0],
            exit_code=0, exit_signal=0, submit=end - ran - 120, eligible=end - ran - 100, start=end - ran,
            end=end, wait_seconds=100, elapsed_seconds=ran, timelimit_seconds=DAY, node_count=len(nodes),
            cpus=4 * len(nodes), node_list=text, req_tres=tres, alloc_tres=tres,
            work_dir=f"/home/user{user:03d}/project", submit_line="sbatch --time=1-0 run.sh",
        )  # fmt: skip
        # As the daemon stores it: without an outcome a reader would take the body for one of an older version.
        yield record._replace(outcome=outcome_of(record._asdict())), nodes


def _nodes(chance: random.Random) -> tuple[str, tuple[str, ...]]:
    kind = chance.random()
    if kind < 0.7:
        one = f"n{chance.randrange(1, _NODES + 1):04d}"
        return one, (one,)
    if kind < 0.95:
        first, length = chance.randrange(1, _NODES - 8), chance.choice((2, 4, 8))
        names = tuple(f"n{number:04d}" for number in range(first, first + length))
        return f"n[{names[0][1:]}-{names[-1][1:]}]", names
    some = sorted(chance.sample(range(1, _NODES + 1), 6))
    return f"n[{','.join(f'{number:04d}' for number in some)}]", tuple(f"n{number:04d}" for number in some)


if __name__ == "__main__":
    main()
