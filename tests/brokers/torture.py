"""`python -m tests.brokers.torture`: brokers and daemon are harmed at random while jobs end; SQL's truth against
what a consumer of each broker read.

python -m tests.brokers.torture [--seconds 600] [--seed N] [--keep]

Brokers are killed, paused, full, started again with and without their data, and get new certificates; the daemon
is killed. For `nats`, `http` and `tansu` nothing may be missing, wrong or twice within one life of the broker's
data. For `kafka` nothing may be missing or wrong; what is twice is counted, since the mock cluster keeps no
transaction. `tansu` talks Kafka's protocol, too.
"""

import logging
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import click

from simslurm.shapes import HOSTILE_NAMES
from tests.acceptance.process import DaemonProcess
from tests.brokers.kafka_victims import KafkaVictim, TansuVictim
from tests.brokers.victims import HttpVictim, NatsVictim, Record, Victim
from tests.patience import Patience
from tests.sim_truth import differences, ended

HARM_EVERY, KILL_EVERY = 3.0, 9.0
LONGEST_HARM = 8.0
SETTLE_SECONDS = 150.0
"""Seconds without any progress after the last harm: a sink leaves a dead receiver alone for up to a minute."""

KINDS: dict[str, Callable[[Path], Victim]] = {
    "nats": NatsVictim, "http": HttpVictim, "kafka": KafkaVictim, "tansu": TansuVictim,
}  # fmt: skip


class Torture:
    """One installation with its victims."""

    def __init__(self, folder: Path, kinds: tuple[str, ...], seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - nothing secret is drawn
        self.victims: list[Victim] = [KINDS[kind](folder / kind) for kind in kinds]
        self._harmed: dict[str, float] = {}
        self.done: Counter[str] = Counter()
        (folder / "daemon").mkdir()
        self.daemon = DaemonProcess(folder / "daemon")
        self._plain = self.daemon.config.read_text()
        self._configure()

    def _configure(self) -> None:
        self.daemon.config.write_text(self._plain + "\n" + "\n".join(one.section() for one in self.victims))

    def run(self, seconds: float) -> None:
        """Harm for so long."""
        self.daemon.start_ready()
        end = time.monotonic() + seconds
        next_harm = next_kill = next_wave = time.monotonic() + 2
        while (now := time.monotonic()) < end:
            self._end_jobs(self.dice.randint(0, 3))
            if now >= next_wave:
                self._end_jobs(self.dice.randint(100, 1200))
                next_wave = now + self.dice.uniform(5, 25)
            self._heal(now)
            if now >= next_harm:
                self._harm(now)
                next_harm = time.monotonic() + self.dice.expovariate(1 / HARM_EVERY)
            if now >= next_kill:
                self._restart(down_seconds=self.dice.uniform(0, 1))
                next_kill = time.monotonic() + self.dice.expovariate(1 / KILL_EVERY)
            process = self.daemon.process
            assert process is not None
            assert process.poll() is None, f"the daemon ended by itself\n{self.daemon.stderr()[-3000:]}"
            time.sleep(0.1)
        self._heal(float("inf"))

    def _end_jobs(self, count: int) -> None:
        cluster = self.daemon.cluster
        with cluster.batch():
            for number in range(count):
                now = cluster.now()
                is_requeued = number % 10 == 0
                key = cluster.add_job(
                    time_submit=now - 9, time_start=now - 5, user="ann", id_user=1000, nodelist="n[1-2,7]",
                    nodes_alloc=3, job_name=self.dice.choice(HOSTILE_NAMES), time_end=0 if is_requeued else now,
                    state="RUNNING" if is_requeued else self.dice.choice(("COMPLETED", "FAILED", "TIMEOUT")),
                )  # fmt: skip
                if is_requeued:
                    # Two events with one key.
                    key = cluster.requeue_job(key, ended_as="REQUEUED")
                    cluster.end_job(key, time_start=key.time_submit)

    def _harm(self, now: float) -> None:
        victim = self.dice.choice(self.victims)
        if victim.name in self._harmed:
            return
        if self.dice.random() < 0.08:
            self._lose_data(victim)
            return
        name, harm = self.dice.choice(list(victim.harms().items()))
        harm()
        self.done[f"{victim.name} {name}"] += 1
        if name != "renewed":
            self._harmed[victim.name] = now + self.dice.uniform(0.2, LONGEST_HARM)

    def _heal(self, now: float) -> None:
        for victim in self.victims:
            if self._harmed.get(victim.name, now) < now:
                victim.heal()
                del self._harmed[victim.name]

    def _lose_data(self, victim: Victim) -> None:
        """Nothing may be acknowledged between the consumer's reading and the loss, so the daemon is frozen."""
        self.daemon.signal(signal.SIGSTOP)
        try:
            victim.lose_data()
        finally:
            self.daemon.signal(signal.SIGCONT)
        self.done[f"{victim.name} lost its data"] += 1
        self._configure()
        if isinstance(victim, KafkaVictim):
            self._restart(down_seconds=0)

    def _restart(self, *, down_seconds: float) -> None:
        self.daemon.kill()
        self.done["daemon killed"] += 1
        time.sleep(down_seconds)
        self.daemon.start()

    def settle(self) -> None:
        """Wait until every consumer has as many events as there are, or nothing moves any more."""
        counts: dict[str, int] = {}
        patience = Patience(lambda: tuple(counts.items()), seconds=SETTLE_SECONDS)
        total = len(ended(self.daemon.cluster))
        while not patience.is_over():
            for victim in self.victims:
                known = {record["id"] for life in [*victim.lives, victim.read()] for record in life}
                counts[victim.name] = len(known)
            if all(count >= total for count in counts.values()) and self._is_acknowledged():
                break
            time.sleep(1)
        self.daemon.stop()
        for victim in self.victims:
            victim.lives.append(victim.read())

    def _is_acknowledged(self) -> bool:
        """Return whether every sink's cursor is behind the newest event: nothing more is sent then."""
        with closing(sqlite3.connect(f"file:{self.daemon.store}?mode=ro", uri=True)) as store:
            behind = "SELECT count(*) FROM cursors WHERE seq < (SELECT max(seq) FROM events)"
            (count,) = store.execute(behind).fetchone()
        return bool(count == 0)

    def judge(self, victim: Victim) -> list[str]:
        """Return what is not as it should be of what a consumer read, and print the counts."""
        records = [record for life in victim.lives for record in life]
        first = list({record["id"]: record for record in reversed(records)}.values())
        found = differences(self.daemon.cluster, first)
        twice = [one for life in victim.lives for one in _twice(life)]
        disorder = [one for life in victim.lives for one in _disorder(life)]
        again = len(records) - len(first) - len(twice)
        missing = sum(line.startswith("missing") for line in found)
        click.echo(
            f"{victim.name}: {len(ended(self.daemon.cluster)):,} attempts, missing {missing}, "
            f"wrong {len(found) - missing}, twice {len(twice)}, out of order {len(disorder)}; "
            f"{again} again after the broker lost its data {len(victim.lives) - 1} times"
        )
        return found + disorder + ([] if isinstance(victim, KafkaVictim) else twice)

    def close(self) -> None:
        """End everything."""
        for victim in self.victims:
            victim.close()
        if self.daemon.process is not None:
            self.daemon.kill()
        self.daemon.cluster.close()


def _twice(life: list[Record]) -> list[str]:
    counts = Counter(record["id"] for record in life)
    return [f"twice: {identity}, {count} times" for identity, count in counts.items() if count > 1]


def _disorder(life: list[Record]) -> list[str]:
    """Return the jobs whose events a consumer that dedupes sees out of the order of `seq`."""
    newest: dict[tuple[str, int], int] = {}
    seen: set[str] = set()
    found = []
    for record in life:
        key = record["cluster"], record["job_id_raw"]
        if record["id"] not in seen and record["seq"] < newest.get(key, 0):
            found.append(f"out of order: {key}, seq {record['seq']} behind {newest[key]}")
        seen.add(record["id"])
        newest[key] = max(record["seq"], newest.get(key, 0))
    return found


def torture(folder: Path, kinds: tuple[str, ...], seconds: float, seed: int) -> list[str]:
    """Torture once; return what is not as it should be."""
    one = Torture(folder, kinds, seed)
    try:
        one.run(seconds)
        one.settle()
        found = [line for victim in one.victims for line in one.judge(victim)]
        click.echo(", ".join(f"{name} {count}" for name, count in sorted(one.done.items())))
    finally:
        one.close()
    return found


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(list(KINDS)))
@click.option("--seconds", default=600, show_default=True)
@click.option("--seed", type=int, help="Replay the harms of a run; their moments depend on the machine.")
@click.option("--keep", is_flag=True, help="Keep the folder also where all is well.")
def main(kinds: tuple[str, ...], seconds: int, seed: int | None, *, keep: bool) -> None:
    """Torture the brokers, all of them or some."""
    # nats-py makes asyncio warn whenever a TLS connection ends.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="slurmwatchd-brokers-"))
    click.echo(f"{seconds} s, --seed {seed}")
    found: list[str] = ["it ended by itself"]
    try:
        found = torture(folder, kinds or tuple(KINDS), seconds, seed)
    finally:
        if found or keep:
            click.echo(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for line in found[:60]:
        click.echo(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
