"""Sums over steps, by hand: what sacct prints, and what is made of it."""

from collections.abc import Sequence

from slurmwatchd.model.usage import MeasuredUsage, UsageRequest, asked, summed
from slurmwatchd.sources.sacct.step_columns import StepColumns
from slurmwatchd.sources.sacct.step_fields import FIELDS, STEP_FIELDS, Key
from slurmwatchd.sources.sacct.step_limits import measurable
from slurmwatchd.sources.sacct.steps import list_arguments

ATTEMPT = UsageRequest(
    job=1, job_id_raw=7, submit=100, selector="7", started=True, cpus=4, elapsed_seconds=50,
    memory_bytes=1000, launcher="sbatch",
)  # fmt: skip

JOB = {
    "JobIDRaw": b"7", "Submit": b"100", "DBIndex": b"70", "State": b"CANCELLED by 0", "End": b"200",
    "TotalCPU": b"00:06.812", "UserCPU": b"00:06.242", "SystemCPU": b"00:00.570", "ConsumedEnergyRaw": b"12",
}  # fmt: skip
BATCH = {
    **JOB, "JobIDRaw": b"7.batch", "State": b"CANCELLED", "TotalCPU": b"00:00.047",
    "TRESUsageInTot": b"cpu=00:00:00,energy=0,fs/disk=96888,mem=12718080,vmem=294699008",
    "TRESUsageInMax": b"cpu=00:00:00,energy=0,fs/disk=96888,mem=12718080,vmem=294699008",
    "TRESUsageInAve": b"cpu=00:00:00,energy=0,fs/disk=96888,mem=12718080,vmem=294699008",
    "TRESUsageOutTot": b"energy=0,fs/disk=5199",
}  # fmt: skip


def row(values: dict[str, bytes]) -> list[bytes]:
    return [values.get(name, b"") for name in FIELDS]


def read(rows: Sequence[Sequence[bytes]], fields: tuple[str, ...] = FIELDS) -> list[tuple[Key, MeasuredUsage]]:
    reader = StepColumns(fields)
    found = reader.feed([list(column) for column in zip(*rows, strict=True)])
    return found + reader.close()


def steps_of(*steps: dict[str, bytes], job: dict[str, bytes] = JOB) -> MeasuredUsage:
    ((key, measured),) = read([row(job), *map(row, steps)])
    assert key == (7, 100)
    return measured


def test_an_attempt_is_summed_from_its_own_row_and_those_of_its_steps() -> None:
    gpu = {
        **BATCH, "JobIDRaw": b"7.0",
        "TRESUsageInTot": b"fs/disk=12,gres/gpumem=300,gres/gpuutil=180,mem=20000000",
        "TRESUsageInMax": b"fs/disk=12,gres/gpumem=200,gres/gpuutil=97,mem=11000000",
        "TRESUsageInAve": b"gres/gpumem=150,gres/gpuutil=90,mem=10000000",
    }  # fmt: skip
    usage = summed(ATTEMPT, steps_of(BATCH, gpu))
    assert (usage.cpu_seconds, usage.user_cpu_seconds, usage.system_cpu_seconds) == (6.812, 6.242, 0.570)
    assert (usage.max_rss_bytes, usage.ave_rss_bytes, usage.memory_bytes) == (12_718_080, 10_000_000, 20_000_000)
    assert (usage.disk_read_bytes, usage.disk_write_bytes) == (96_900, 10_398)
    assert (usage.gpu_max_utilization_percent, usage.gpu_ave_utilization_percent) == (97, 90)
    assert usage.gpu_max_memory_bytes == 200
    assert usage.energy_joules == 12
    assert usage.cpu_efficiency == 0.03406
    assert usage.memory_efficiency == 20_000
    assert (usage.steps, usage.complete, usage.raw) == (2, True, None)


def test_a_step_without_usage_that_shares_its_jobs_end_and_state_has_not_ended() -> None:
    unended = {**BATCH, "TRESUsageInTot": b"", "TRESUsageInMax": b""}
    assert not summed(ATTEMPT, steps_of(unended)).complete
    assert summed(ATTEMPT, steps_of({**unended, "End": b"199"})).complete
    assert summed(ATTEMPT, steps_of({**unended, "State": b"FAILED"})).complete
    assert not summed(ATTEMPT, steps_of({**unended, "State": b"RUNNING", "End": b"Unknown"})).complete


def test_a_batch_job_without_its_batch_step_is_not_complete() -> None:
    only = {**BATCH, "JobIDRaw": b"7.0"}
    assert not summed(ATTEMPT, steps_of(only)).complete
    assert not summed(ATTEMPT, steps_of()).complete
    other = UsageRequest(
        job=1, job_id_raw=8, submit=100, selector="8", started=True, launcher="sbatch", leads=False
    )
    assert summed(other, steps_of(only)).complete


def test_values_that_cannot_be_read_keep_their_text_under_step_and_field() -> None:
    measured = steps_of({**BATCH, "TRESUsageOutTot": b"fs/disk=lots"}, job={**JOB, "UserCPU": b"UNLIMITED"})
    usage = summed(ATTEMPT, measured)
    assert usage.raw == {
        "batch.TRESUsageOutTot": "fs/disk=lots",
        "UserCPU": "UNLIMITED",
    }
    assert (usage.disk_write_bytes, usage.user_cpu_seconds, usage.disk_read_bytes) == (None, None, 96_888)


def test_energy_that_is_not_set_is_absent() -> None:
    assert steps_of(job={**JOB, "ConsumedEnergyRaw": b"18446744073709551614"}).energy_joules is None
    assert steps_of(job={**JOB, "ConsumedEnergyRaw": b""}).energy_joules is None
    assert steps_of(job={**JOB, "ConsumedEnergyRaw": b"0"}).energy_joules == 0


def test_steps_belong_to_the_attempt_before_them_and_to_no_other() -> None:
    def line(number: bytes, index: bytes) -> list[bytes]:
        return row({"JobIDRaw": number, "DBIndex": index, "Submit": index, "TRESUsageInTot": b"mem=5"})

    found = read(
        [
            line(b"7.0", b"1"),  # of no attempt
            line(b"7", b"1"),
            line(b"7.batch", b"1"),
            line(b"7", b"2"),
            line(b"7.batch", b"2"),
            line(b"7.0", b"1"),  # of an attempt that is over
            line(b"77.0", b"2"),
            line(b"7.1", b"2"),
            line(b"x", b"3"),  # has no key
            line(b"x.batch", b"3"),
            line(b"8", b"4"),
            line(b"8.batch", b"4"),
        ]
    )
    assert [(key, measured.step_count) for key, measured in found] == [((7, 1), 1), ((7, 2), 2), ((8, 4), 1)]


def test_jobs_are_asked_for_from_the_earliest_submission_on() -> None:
    later = ATTEMPT._replace(submit=1_795_500_000)
    attempts = [later, UsageRequest(job=2, job_id_raw=9, submit=1_795_400_000, selector="5_2", started=True)]
    assert list_arguments(attempts, ("JobIDRaw", "Submit"), delimiter="@", now=1_795_600_000) == [
        "-a", "-D", "--local", "--noconvert", "-p", "--delimiter=@",
        "-j", "7,5_2", "-S", "uts1795400000", "-E", "uts1795603600", "-o", "JobIDRaw,Submit",
    ]  # fmt: skip


def test_the_memory_allocated_counts_and_that_asked_for_where_none_is() -> None:
    record = {"job_id_raw": 7, "start": "x", "submit_line": "/opt/slurm/bin/sbatch --mem 1 a b"}
    both = {**record, "alloc_tres": {"mem_bytes": 5}, "req_tres": {"mem_bytes": 3}}
    assert asked(1, both, 100).memory_bytes == 5
    assert asked(1, {**both, "alloc_tres": {"cpu": 1}}, 100).memory_bytes == 3
    assert asked(1, record, 100).memory_bytes is None
    assert (asked(1, record, 100).launcher, asked(1, {"job_id_raw": 7}, 100).launcher) == ("sbatch", "")


def test_of_several_steps_the_one_with_most_memory_over_its_tasks_counts() -> None:
    steps = [
        {**BATCH, "TRESUsageInMax": b"mem=900", "TRESUsageInAve": b"mem=900", "TRESUsageInTot": b"mem=900"},
        {**BATCH, "TRESUsageInMax": b"mem=500", "TRESUsageInAve": b"mem=400", "TRESUsageInTot": b"mem=1600"},
        {**BATCH, "TRESUsageInMax": b"mem=800", "TRESUsageInAve": b"mem=800", "TRESUsageInTot": b"mem=1600"},
        {**BATCH, "TRESUsageInMax": b"", "TRESUsageInAve": b"", "TRESUsageInTot": b""},
    ]
    usage = summed(ATTEMPT, steps_of(*steps))
    assert (usage.max_rss_bytes, usage.ave_rss_bytes, usage.memory_bytes) == (900, 400, 1600)
    assert usage.memory_efficiency == 1.6


def test_an_amount_that_cannot_be_read_costs_nothing_beside_it() -> None:
    odd = {**BATCH, "TRESUsageInTot": b"cpu=00:01:00,energy=18446744073709551616.00,fs/disk=77,mem=524288000"}
    usage = summed(ATTEMPT, steps_of(odd))
    assert (usage.memory_bytes, usage.disk_read_bytes, usage.memory_efficiency) == (524_288_000, 77, 524_288)
    assert usage.raw == {"batch.TRESUsageInTot": "energy=18446744073709551616.00"}


def test_amounts_whose_names_differ_in_digits_alone_are_told_apart() -> None:
    """Types of GPUs; and what is no `mem` although it looks so without its digits."""
    first = {**BATCH, "TRESUsageInTot": b"fs/disk=1,gres/gpu:a100=1,mem=5"}
    second = {**BATCH, "JobIDRaw": b"7.0", "TRESUsageInTot": b"fs/disk=2,gres/gpu:a30=1,mem=6"}
    third = {**BATCH, "JobIDRaw": b"7.1", "TRESUsageInTot": b"fs/disk=3,gres/gpu:a30=1,mem2=7"}
    usage = summed(ATTEMPT, steps_of(first, second, third))
    assert (usage.disk_read_bytes, usage.memory_bytes, usage.raw) == (6, 6, None)


def test_a_run_counted_from_a_start_that_is_none_is_none_too() -> None:
    full = FIELDS + STEP_FIELDS
    step = {**BATCH, "JobName": b"x", "Start": b"1", "ElapsedRaw": b"60"}
    rows = [[each.get(name, b"") for name in full] for each in (JOB, step, {**step, "Start": b"1795436431"})]
    ((_, measured),) = read(rows, full)
    assert [(each.start, each.elapsed_seconds) for each in measured.steps] == [(None, None), (1_795_436_431, 60)]
    assert measured.raw == {"batch.Start": "1", "batch.ElapsedRaw": "60"}


def test_counters_below_zero_are_none() -> None:
    odd = {**JOB, "TotalCPU": b"213503982334-14:25:51", "ConsumedEnergyRaw": b"18446744073709551616"}
    usage = summed(ATTEMPT, steps_of(BATCH, job=odd))
    assert (usage.cpu_seconds, usage.cpu_efficiency, usage.energy_joules) == (None, None, None)
    assert usage.user_cpu_seconds == 6.242
    assert usage.raw == {"TotalCPU": "213503982334-14:25:51", "ConsumedEnergyRaw": "18446744073709551616"}


def test_what_no_node_can_have_used_within_the_run_is_none() -> None:
    """Two nodes for nine seconds, and the second that whole seconds hide: 20 million joules, 1,310,700 s."""
    attempt = ATTEMPT._replace(run_seconds=9, node_count=2)
    full = FIELDS + STEP_FIELDS

    def used(energy: bytes, cpu: bytes) -> MeasuredUsage:
        given = {**JOB, "ConsumedEnergyRaw": energy, "TotalCPU": cpu, "JobName": b"x"}
        rows = [[each.get(name, b"") for name in full] for each in (given, {**given, "JobIDRaw": b"7.0"})]
        return measurable(attempt, read(rows, full)[0][1])

    most = used(b"20000000", b"15-04:05:00")
    assert (most.energy_joules, most.cpu_seconds, most.raw) == (20_000_000, 1_310_700, None)
    more = used(b"20000001", b"15-04:05:01")
    assert (more.energy_joules, more.cpu_seconds) == (None, None)
    assert (more.steps[0].energy_joules, more.steps[0].cpu_seconds) == (None, None)
    assert more.user_cpu_seconds == 6.242
    assert more.raw == {
        "ConsumedEnergyRaw": "20000001", "TotalCPU": "1310701.0",
        "0.ConsumedEnergyRaw": "20000001", "0.TotalCPU": "1310701.0",
    }  # fmt: skip
    nobody_knows = attempt._replace(run_seconds=None)
    assert measurable(nobody_knows, more) is more


def test_an_attempts_run_is_from_its_start_to_its_end() -> None:
    record = {
        "job_id_raw": 7, "start": "2026-11-23T12:20:31Z", "end": "2026-11-23T12:20:40Z", "node_count": 2,
        "elapsed_seconds": 5,
    }  # fmt: skip
    attempt = asked(1, record, 100)
    assert (attempt.run_seconds, attempt.node_count, attempt.elapsed_seconds) == (9, 2, 5)
    assert asked(1, {**record, "start": None}, 100).run_seconds is None
