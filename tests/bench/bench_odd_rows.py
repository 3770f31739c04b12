"""What one odd value in every 150 rows costs to read, against the same rows without it.

python -m tests.bench.bench_odd_rows [--rows 30000] [--pairs 15] [--check]

Needs no Slurm. Both kinds of rows are read one after the other, in pairs whose order turns each time, so that what
else the machine does meets both alike; the median of the pairs' ratios counts.
"""

import random
import statistics
import time
from collections.abc import Iterator

import click

from simslurm.versions import fields_of, release_of
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.sources.sacct.framing import Columns

LAYOUT = Layout([field.name for field in fields_of(release_of("26.05.5"))])
PIECE_ROWS = 150
"""About as many as 64 KiB of sacct's output hold."""
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

Row = dict[str, bytes]


@click.command()
@click.option("--rows", default=30_000, show_default=True, help="How many rows to read each time.")
@click.option("--pairs", default=15, show_default=True, help="How often each kind is measured.")
@click.option("--check", is_flag=True, help="Exit with 1 where one odd name costs more than the target.")
def main(rows: int, pairs: int, *, check: bool) -> None:
    """Measure what odd values cost."""
    plain = list(pieces(rows))
    ratios = {}
    for kind, (name, value) in ODD.items():
        ratio, seconds = compared(plain, list(pieces(rows, name, value)), pairs)
        ratios[kind] = ratio
        click.echo(f"{kind:20}: {ratio:.3f} times of none, {seconds / rows * 1e6:.1f} us a row")
    worst = max(ratios.values())
    click.echo(f"target {TARGET_RATIO:g}: {'MISSED' if worst > TARGET_RATIO else 'ok'}")
    if check and worst > TARGET_RATIO:
        raise SystemExit(1)


def compared(plain: list[Columns], odd: list[Columns], pairs: int) -> tuple[float, float]:
    """Return the median ratio of the second's cost to the first's, and the least seconds of the second."""
    seconds_of(plain), seconds_of(odd)
    ratios, least = [], float("inf")
    for pair in range(pairs):
        if pair % 2:
            with_odd, without = seconds_of(odd), seconds_of(plain)
        else:
            without, with_odd = seconds_of(plain), seconds_of(odd)
        ratios.append(with_odd / without)
        least = min(least, with_odd)
    return statistics.median(ratios), least


def seconds_of(read: list[Columns]) -> float:
    """Read pieces as those of one answer; return the processor time."""
    reader = ColumnReader(LAYOUT)
    began = time.process_time()
    for piece in read:
        reader.read(piece)
    return time.process_time() - began


def pieces(count: int, name: str = "", value: bytes = b"") -> Iterator[Columns]:
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
