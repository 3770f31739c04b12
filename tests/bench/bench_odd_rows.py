"""What one odd value in every 150 rows of jobs, or of steps, costs to read, against the same rows without it.

python -m tests.bench.bench_odd_rows [--rows 30000] [--pairs 15] [--check]

Needs no Slurm. Both kinds of rows are read one after the other, in pairs whose order turns each time, so that what
else the machine does meets both alike; the median of the pairs' ratios counts.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice

import click

from simslurm.versions import fields_of, release_of
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.sources.sacct.framing import RawColumns
from slurmwatchd.sources.sacct.step_columns import StepColumns
from slurmwatchd.sources.sacct.step_fields import FIELDS
from tests.bench import sample_steps

LAYOUT = Layout([field.name for field in fields_of(release_of("26.05.5"))])
PIECE_ROWS = 150
"""About as many as 64 KiB of sacct's output hold."""
STEP_PIECE_ROWS = 900
"""As many rows of steps as the 256 KiB hold that are read at a time."""
ODD_PLACE = 77
TARGET_RATIO = 1.15

ODD = {
    "a name in Latin-1": ("JobName", b"Z\xfcrich"),
    "a user in Latin-1": ("User", b"m\xfcller"),
    "a start in 1970": ("Start", b"1"),
    "a counter below zero": ("AllocTRES", b"cpu=1,energy=18446744073709551616.00,mem=500M"),
    "a state nobody knows": ("State", b"CANCELLED by nobody"),
    "no key": ("JobIDRaw", b"x"),
}

ODD_STEPS = {
    "a time below zero": ("TotalCPU", b"213503982334-14:25:51"),
    "energy below zero": (
        "TRESUsageInTot",
        b"cpu=00:01:00,energy=18446744073709551616.00,fs/disk=77,mem=5,vmem=9",
    ),
    "another list": ("TRESUsageInMax", b"cpu=1-00:01:00,mem=5K,fs/disk=77"),
    "another attempt": ("DBIndex", b"1"),
    "no attempt": ("JobIDRaw", b"0.batch"),
}

Row = dict[str, bytes]
Read = Callable[[list[RawColumns]], object]


@click.command()
@click.option("--rows", default=30_000, show_default=True, help="How many rows to read each time.")
@click.option("--pairs", default=15, show_default=True, help="How often each kind is measured.")
@click.option("--check", is_flag=True, help="Exit with 1 where one odd value costs more than the target.")
def main(rows: int, pairs: int, *, check: bool) -> None:
    """Measure what odd values cost."""
    click.echo("rows of jobs")
    plain = list(pieces(rows))
    odd = {kind: list(pieces(rows, *change)) for kind, change in ODD.items()}
    ratios = measured(plain, odd, pairs, read_jobs)
    click.echo("rows of steps")
    plain = list(step_pieces(rows))
    odd = {kind: list(step_pieces(rows, *change)) for kind, change in ODD_STEPS.items()}
    ratios += measured(plain, odd, pairs, read_steps)
    worst = max(ratios)
    click.echo(f"target {TARGET_RATIO:g}: {'MISSED' if worst > TARGET_RATIO else 'ok'}")
    if check and worst > TARGET_RATIO:
        raise SystemExit(1)


def measured(plain: list[RawColumns], odd: dict[str, list[RawColumns]], pairs: int, read: Read) -> list[float]:
    """Compare each kind of odd rows with plain ones; return the ratios."""
    rows = sum(len(piece[0]) for piece in plain)
    ratios = []
    for kind, changed in odd.items():
        ratio, seconds = compared(plain, changed, pairs, read)
        ratios.append(ratio)
        click.echo(f"  {kind:20}: {ratio:.3f} times of none, {seconds / rows * 1e6:.1f} us a row")
    return ratios


def compared(plain: list[RawColumns], odd: list[RawColumns], pairs: int, read: Read) -> tuple[float, float]:
    """Return the median ratio of the second's cost to the first's, and the least seconds of the second."""
    seconds_of(plain, read), seconds_of(odd, read)
    ratios, least = [], float("inf")
    for pair in range(pairs):
        if pair % 2:
            with_odd, without = seconds_of(odd, read), seconds_of(plain, read)
        else:
            without, with_odd = seconds_of(plain, read), seconds_of(odd, read)
        ratios.append(with_odd / without)
        least = min(least, with_odd)
    return statistics.median(ratios), least


def seconds_of(answer: list[RawColumns], read: Read) -> float:
    """Read the pieces of one answer; return the processor time."""
    began = time.process_time()
    read(answer)
    return time.process_time() - began


def read_jobs(answer: list[RawColumns]) -> None:
    """Read rows of jobs."""
    reader = ColumnReader(LAYOUT)
    for piece in answer:
        reader.read(piece)


def read_steps(answer: list[RawColumns]) -> None:
    """Read rows of attempts and their steps."""
    reader = StepColumns(FIELDS)
    for piece in answer:
        reader.feed(piece)
    reader.close()


def step_pieces(count: int, name: str = "", value: bytes = b"") -> Iterator[RawColumns]:
    """Give rows of attempts and their steps in columns; one value of a step in every 150 rows may be odd."""
    made = list(islice(sample_steps.rows_of(count), count))
    if name:
        for begin in range(0, count, PIECE_ROWS):
            piece = made[begin : begin + PIECE_ROWS]
            step = next(row for row in piece[ODD_PLACE % len(piece) :] if row["JobIDRaw"].endswith(b".batch"))
            step[name] = value
    return sample_steps.pieces(made, FIELDS, STEP_PIECE_ROWS)


def pieces(count: int, name: str = "", value: bytes = b"") -> Iterator[RawColumns]:
    """Give rows as they are read, in columns; in each piece one value may be odd."""
    made = list(rows_of(count))
    for begin in range(0, count, PIECE_ROWS):
        piece = made[begin : begin + PIECE_ROWS]
        if name:
            piece[ODD_PLACE % len(piece)][name] = value
        yield [[row.get(field, b"") for row in piece] for field in LAYOUT.fields]


def rows_of(count: int) -> Iterator[Row]:
    """Give rows of a busy cluster, the same each time."""
    chance = random.Random(3)  # noqa: S311 - no secret
    for number in range(count):
        start, ran = 1_795_436_431 + number, chance.randrange(1, 90_000)
        user, cpus = chance.randrange(200), chance.choice((1, 2, 4, 8, 16, 32))
        tres = b"billing=%d,cpu=%d,mem=%dM,node=1" % (cpus, cpus, cpus * 4000)
        row = {
            "Cluster": b"tux", "JobIDRaw": b"%d" % (number + 1), "JobID": b"%d" % (number + 1),
            "Submit": b"%d" % (start - chance.randrange(1, 5000)), "Eligible": b"%d" % (start - 1),
            "Start": b"%d" % start, "End": b"%d" % (start + ran), "ElapsedRaw": b"%d" % ran,
            "State": chance.choice((b"COMPLETED", b"COMPLETED", b"FAILED", b"CANCELLED by %d" % (1000 + user))),
            "NodeList": b"n%04d" % chance.randrange(1000), "ExitCode": b"0:0", "DerivedExitCode": b"0:0",
            "DBIndex": b"%d" % (10**7 + number), "SLUID": b"s%013d" % (number + 1), "Restarts": b"0",
            "JobName": b"train-%d" % chance.randrange(20_000), "User": b"user%d" % user,
            "UID": b"%d" % (1000 + user), "GID": b"100", "Account": b"account%d" % (user % 30),
            "Partition": chance.choice((b"main", b"gpu", b"long")), "QOS": b"normal",
            "Planned": b"00:%02d:%02d" % (chance.randrange(60), chance.randrange(60)), "Suspended": b"00:00:00",
            "TimelimitRaw": b"1440", "NNodes": b"1", "NCPUS": b"%d" % cpus, "ReqTRES": tres, "AllocTRES": tres,
            "WorkDir": b"/home/user%d/project%d" % (user, chance.randrange(50)),
            "SubmitLine": b"sbatch --time=1-0 -J train-%d run.sh --seed %d" % (number, chance.randrange(10**6)),
            "Comment": chance.choice((b"", b"", b"run %d" % number)), "Reason": b"None",
            "Flags": b"SchedBackfill,StartRecieved", "Priority": b"%d" % chance.randrange(100_000),
            "StdOut": b"/home/user%d/out/slurm-%d.out" % (user, number),
        }  # fmt: skip
        if chance.random() < 0.03:
            row |= {"NodeList": b"None assigned", "Start": b"None"}
        yield row


if __name__ == "__main__":
    main()
