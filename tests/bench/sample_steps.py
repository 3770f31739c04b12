"""Rows of attempts and their steps as a busy cluster has them, the same each time, in columns."""

import random
from collections.abc import Iterator, Sequence

from slurmwatchd.model.usage import UsageRequest
from slurmwatchd.sources.sacct.framing import RawColumns

SUBMIT = 1_795_000_000
_GPU_SHARE = 0.15
_SRUN_STEPS = (0, 1, 1, 1, 1, 2, 8)

Row = dict[str, bytes]


def asked_for(count: int) -> list[UsageRequest]:
    """Return the attempts whose rows `rows_of` gives."""
    return [
        UsageRequest(
            job=number, job_id_raw=number, submit=SUBMIT + number, selector=str(number), started=True, cpus=4,
            elapsed_seconds=3600, run_seconds=3600, node_count=1, memory_bytes=16 << 30, launcher="sbatch",
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


def pieces(rows: Sequence[Row], fields: Sequence[str], length: int) -> Iterator[RawColumns]:
    """Give rows in columns, so many rows at a time."""
    for begin in range(0, len(rows), length):
        yield [[row.get(field, b"") for row in rows[begin : begin + length]] for field in fields]


def rows_of(count: int) -> Iterator[Row]:
    """Give the rows of so many attempts, each with its batch and extern step and some by srun."""
    chance = random.Random(7)  # noqa: S311 - no secret
    for number in range(1, count + 1):
        elapsed = chance.randrange(1, 90_000)
        end = SUBMIT + number + chance.randrange(10_000) + elapsed
        common = {
            "Submit": b"%d" % (SUBMIT + number), "DBIndex": b"%d" % (10**7 + number),
            "State": chance.choice((b"COMPLETED", b"COMPLETED", b"COMPLETED", b"FAILED")), "End": b"%d" % end,
            "ConsumedEnergyRaw": b"0", "Start": b"%d" % (end - elapsed), "ElapsedRaw": b"%d" % elapsed,
            "ExitCode": b"0:0", "NNodes": b"1", "NCPUS": b"4", "NodeList": b"n%04d" % chance.randrange(1000),
        }  # fmt: skip
        steps = [
            _step(number, name, common, chance)
            for name in (b"batch", b"extern", *(b"%d" % srun for srun in range(chance.choice(_SRUN_STEPS))))
        ]
        yield {**common, "JobIDRaw": b"%d" % number, "JobName": b"train-%d" % number, **_spent(chance)}
        yield from steps


def _step(number: int, name: bytes, common: Row, chance: random.Random) -> Row:
    memory = 4096 * chance.randrange(1, 4_000_000)
    used = b"cpu=%02d:%02d:%02d,energy=0,fs/disk=%d," % (
        chance.randrange(24), chance.randrange(60), chance.randrange(60), chance.randrange(10**10)
    )  # fmt: skip
    if chance.random() < _GPU_SHARE and name.isdigit():
        used += b"gres/gpumem=%d,gres/gpuutil=%d," % (chance.randrange(1 << 36), chance.randrange(101))
    used += b"mem=%d,pages=%d,vmem=%d" % (memory, chance.randrange(3000), memory * 2)
    if name == b"extern":
        used = b"cpu=00:00:00,energy=0,fs/disk=5329,mem=0,pages=0,vmem=0"
    return {
        **common, **_spent(chance), "JobIDRaw": b"%d.%b" % (number, name), "JobName": name, "NTasks": b"1",
        "TRESUsageInTot": used, "TRESUsageInMax": used, "TRESUsageInAve": used,
        "TRESUsageOutTot": b"energy=0,fs/disk=%d" % chance.randrange(10**9),
    }  # fmt: skip


def _spent(chance: random.Random) -> Row:
    def time() -> bytes:
        if chance.random() < 0.5:
            return b"%02d:%02d.%03d" % (chance.randrange(60), chance.randrange(60), chance.randrange(1000))
        return b"%02d:%02d:%02d" % (chance.randrange(24), chance.randrange(60), chance.randrange(60))

    return {"TotalCPU": time(), "UserCPU": time(), "SystemCPU": time()}
