"""The simulated sacct against what a real Slurm 22.05.8 printed for the same rows."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from simslurm.rows import JobColumns, StepColumns

T0 = 1795436431  # 2026-11-23T12:20:31 UTC
TERMINAL = "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV"


class Slurm:
    """A simulated cluster and its commands, run as the daemon runs them."""

    def __init__(self, folder: Path) -> None:
        self.cluster = SimCluster.create(folder / "sim.db", cluster="tux", version="22.05.8")
        self.cluster.set_now(T0 + 3600)
        self.bin = folder / "bin"
        install_commands(self.bin, folder / "sim.db")

    def run(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        clean = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C", **environment}
        return subprocess.run(
            [str(self.bin / command), *arguments],
            capture_output=True,
            env=clean,
            check=False,
            timeout=HANGS_SECONDS,
        )

    def sacct(self, *arguments: str, **environment: str) -> str:
        done = self.run("sacct", *arguments, **environment)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode(errors="surrogateescape")


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


def add_plain_failure(slurm: Slurm) -> None:
    """Write the rows of `sbatch -J plain --wrap 'srun -n1 hostname; exit 3'` as slurmdbd stored them."""
    key = slurm.cluster.add_job(
        id_job=2,
        job_db_inx=3,
        job_name="plain",
        state=5,
        exit_code=768,
        time_submit=T0,
        time_start=T0 + 1,
        time_end=T0 + 1,
        timelimit=525600,
        tres_alloc="1=1,4=1,5=1",
        tres_req="1=1,2=2000,4=1,5=1",
        nodelist="tux1",
        flags=24,
        priority=4294901758,
        id_assoc=2,
        work_dir="/home/root",
    )
    energy: StepColumns = {"tres_usage_in_ave": "3=0", "tres_usage_in_tot": "3=0", "tres_alloc": "1=1,2=0,4=1"}
    batch: StepColumns = {**energy, "state": 5, "exit_code": 768, "user_usec": 2246, "sys_usec": 12690}
    hostname: StepColumns = {**energy, "state": 3, "step_name": "hostname", "user_usec": 1611}
    slurm.cluster.add_step(key, "batch", **batch)
    slurm.cluster.add_step(key, 0, **hostname)


def test_a_failed_job_is_printed_as_the_real_sacct_printed_it(slurm: Slurm) -> None:
    add_plain_failure(slurm)
    assert slurm.sacct("-j", "2") == (
        "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode \n"
        "------------ ---------- ---------- ---------- ---------- ---------- -------- \n"
        "2                 plain       main       root          1     FAILED      3:0 \n"
        "2.batch           batch                  root          1     FAILED      3:0 \n"
        "2.0            hostname                  root          1  COMPLETED      0:0 \n"
    )


def test_every_field_of_a_job_row_matches_the_real_one(slurm: Slurm) -> None:
    add_plain_failure(slurm)
    fields = (
        "DBIndex,Cluster,AllocTRES,ReqTRES,ReqMem,NNodes,NCPUS,Timelimit,TimelimitRaw,QOS,Flags,Reason,UID,User"
    )
    assert slurm.sacct("-j", "2", "-XP", "-o", fields).splitlines()[1] == (
        "3|tux|billing=1,cpu=1,node=1|billing=1,cpu=1,mem=2000M,node=1|2000M|1|1|365-00:00:00|525600|normal"
        "|SchedBackfill,StartRecieved|None|0|root"
    )
    assert slurm.sacct("-j", "2", "-Pn", "-o", "JobID,TotalCPU,UserCPU,SystemCPU,TRESUsageInTot,User") == (
        "2|00:00.016|00:00.003|00:00.012||root\n"
        "2.batch|00:00.014|00:00.002|00:00.012|energy=0|\n"
        "2.0|00:00.001|00:00.001|00:00:00|energy=0|\n"
    )


def test_what_a_step_used_is_printed_with_and_without_units(slurm: Slurm) -> None:
    key = slurm.cluster.add_job(
        id_job=5, time_submit=T0, time_start=T0 + 1, time_end=T0 + 2, nodelist="tux[1-2]", tres_alloc="1=2,4=2,5=2"
    )
    slurm.cluster.add_step(
        key,
        0,
        nodes_alloc=2,
        task_cnt=2,
        act_cpufreq=3667,
        tres_usage_in_max="1=0,2=11145216,3=0,6=33006,7=292872192,8=0",
        tres_usage_in_max_nodeid="1=0,2=1,3=0,6=0,7=0,8=0",
        tres_usage_in_tot="1=0,2=11145216,3=0,6=33006,7=292872192,8=0",
    )
    fields = "MaxRSS,MaxRSSNode,AveCPUFreq,MaxDiskRead,TRESUsageInTot"
    assert slurm.sacct("-j", "5.0", "-Pn", "-o", fields) == (
        "10884K|tux2|3.67M|0.03M|cpu=00:00:00,energy=0,fs/disk=33006,mem=10884K,pages=0,vmem=286008K\n"
    )
    assert slurm.sacct("-j", "5.0", "-Pn", "--noconvert", "-o", fields) == (
        "11145216|tux2|3667K|0.03M|cpu=00:00:00,energy=0,fs/disk=33006,mem=11145216,pages=0,vmem=292872192\n"
    )


def test_a_terminal_state_window_includes_both_of_its_ends(slurm: Slurm) -> None:
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 100)

    def found(start: int, end: int) -> str:
        return slurm.sacct("-aXDn", "-P", "-s", TERMINAL, "-S", f"uts{start}", "-E", f"uts{end}", "-o", "jobid")

    assert found(T0 + 100, T0 + 200) == "1\n"
    assert found(T0 + 50, T0 + 100) == "1\n"
    assert found(T0 + 101, T0 + 200) == ""
    assert found(T0 + 50, T0 + 99) == ""


def test_without_states_a_window_finds_what_overlaps_it_and_was_eligible(slurm: Slurm) -> None:
    add = slurm.cluster.add_job
    add(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 100)
    add(id_job=2, time_submit=T0, time_start=T0, state="RUNNING")
    add(id_job=3, time_submit=T0, time_eligible=0, state="CANCELLED", time_end=T0 + 50)
    window = ("-S", f"uts{T0 + 50}", "-E", f"uts{T0 + 60}")
    assert slurm.sacct("-aXDnP", "-o", "jobid,state", *window) == "1|COMPLETED\n2|RUNNING\n"
    assert slurm.sacct("-aXDnP", "-o", "jobid,state", "-s", "CA", *window) == "3|CANCELLED\n"


def test_a_state_without_an_end_time_finds_nothing(slurm: Slurm) -> None:
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 100)
    assert slurm.sacct("-aXnP", "-s", "CD", "-S", f"uts{T0}", "-o", "jobid") == ""


def test_running_and_pending_are_asked_for_by_overlap(slurm: Slurm) -> None:
    add = slurm.cluster.add_job
    add(id_job=1, time_submit=T0, time_start=T0 + 10, time_end=T0 + 20)
    add(id_job=2, time_submit=T0, state="PENDING")
    window = ("-S", f"uts{T0 + 5}", "-E", f"uts{T0 + 15}")
    assert slurm.sacct("-aXnP", "-o", "jobid", "-s", "R", *window) == "1\n"
    assert slurm.sacct("-aXnP", "-o", "jobid", "-s", "PD", *window) == "1\n2\n"


def test_without_duplicates_only_the_newest_attempt_is_shown(slurm: Slurm) -> None:
    first = slurm.cluster.add_job(id_job=14, time_submit=T0, time_start=T0 + 1, state="RUNNING")
    second = slurm.cluster.requeue_job(first, time_submit=T0 + 29)
    slurm.cluster.update_job(second, state="COMPLETED", time_start=T0 + 151, time_end=T0 + 181)
    fields = ("-j", "14", "-XPn", "-o", "jobid,submit,state")
    assert slurm.sacct(*fields) == "14|2026-11-23T12:21:00|COMPLETED\n"
    assert slurm.sacct(*fields, "-D") == ("14|2026-11-23T12:20:31|REQUEUED\n14|2026-11-23T12:21:00|COMPLETED\n")


def test_a_job_cancelled_before_it_started_has_no_start_since_22_05(slurm: Slurm) -> None:
    slurm.cluster.add_job(
        id_job=7, time_submit=T0, time_eligible=0, state="CANCELLED", kill_requid=0, time_end=T0 + 29
    )
    ask = ("-j", "7", "-XPn", "-o", "state,start,eligible,end,elapsed,nodelist,alloccpus")
    assert slurm.sacct(*ask) == "CANCELLED by 0|None|Unknown|2026-11-23T12:21:00|00:00:00|None assigned|1\n"
    slurm.cluster.set_version("21.08.8")
    assert slurm.sacct(*ask).split("|")[1] == "2026-11-23T12:21:00"
    slurm.cluster.set_version("23.02.1")
    assert slurm.sacct(*ask).strip().split("|")[-1] == "0"


def test_exit_codes_lose_128_until_25_11(slurm: Slurm) -> None:
    slurm.cluster.add_job(id_job=3, time_submit=T0, time_start=T0, time_end=T0 + 1, state=5, exit_code=139 << 8)
    slurm.cluster.add_job(id_job=4, time_submit=T0, time_start=T0, time_end=T0 + 1, state=5, exit_code=11)
    ask = ("-j", "3,4", "-XPn", "-o", "exitcode")
    assert slurm.sacct(*ask) == "11:0\n0:11\n"
    slurm.cluster.set_version("25.11.0")
    assert slurm.sacct(*ask) == "139:0\n0:11\n"


ARRAY = [0, 2, 5, 6, 7, 9, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, *range(53, 60), 61, 67, 71, 100, 200, 300]


@pytest.mark.parametrize(
    ("length", "printed"),
    [
        ("0", "29_[0,2,5-7,9,11,13,17,19,23,29,31,37,41,43,47,53-59,61,67,71,100,200,300,500,900%7]"),
        ("", "29_[0,2,5-7,9,11,13,17,19,23,29,31,37,41,43,47,53-59,61,67,71,100,200,300,500,900%7]"),
        ("1", "29_[%7]"),
        ("4", "29_[...%7]"),
        ("10", "29_[0,2,5-...%7]"),
        (None, "29_[0,2,5-7,9,11,13,17,19,23,29,31,37,41,43,47,53-59,61,67,71,10...%7]"),
        ("5000", "29_[0,2,5-7,9,11,13,17,19,23,29,31,37,41,43,47,53-59,61,67,71,100,200,300,500,900%7]"),
    ],
)
def test_the_tasks_of_a_cancelled_array_are_cut_at_slurm_bitstr_len(
    slurm: Slurm, length: str | None, printed: str
) -> None:
    slurm.cluster.add_job(
        id_job=29,
        id_array_job=29,
        array_tasks=[*ARRAY, 500, 900],
        array_max_tasks=7,
        time_submit=T0,
        state="CANCELLED",
        time_end=T0 + 3,
    )
    environment = {} if length is None else {"SLURM_BITSTR_LEN": length}
    assert slurm.sacct("-j", "29", "-XPn", "-o", "jobid", **environment) == printed + "\n"


@pytest.mark.parametrize(
    ("tasks", "printed"),
    [
        (list(range(0, 100, 3)), "8_[0-99:3]"),
        ([0, 2, 4, 6, 8, 10], "8_[0,2,4,6,8,10]"),
        ([5], "8_[5]"),
        ([0, 11], "8_[0,11]"),
        (list(range(12)), "8_[0-11]"),
    ],
)
def test_short_task_lists_and_steps(slurm: Slurm, tasks: list[int], printed: str) -> None:
    slurm.cluster.add_job(id_job=8, id_array_job=8, array_tasks=tasks, state="CANCELLED", time_end=T0 + 3)
    assert slurm.sacct("-j", "8", "-XPn", "-o", "jobid") == printed + "\n"


def test_arrays_and_heterogeneous_jobs_are_found_by_any_of_their_ids(slurm: Slurm) -> None:
    ended: JobColumns = {"time_submit": T0, "time_start": T0 + 1, "time_end": T0 + 2}
    for number, task in ((15, 0), (16, 1), (6, 3)):
        slurm.cluster.add_attempt({**ended, "id_job": number, "id_array_job": 6, "id_array_task": task}, {})
    for offset in (0, 1):
        slurm.cluster.add_attempt({**ended, "id_job": 9 + offset, "het_job_id": 9, "het_job_offset": offset}, {})

    def found(jobs: str) -> list[str]:
        return slurm.sacct("-j", jobs, "-XPn", "-o", "jobid,jobidraw").split()

    assert found("6") == ["6_0|15", "6_1|16", "6_3|6"]
    assert found("6_3") == ["6_3|6"]
    assert found("15") == ["6_0|15"]
    assert found("9") == ["9+0|9", "9+1|10"]
    assert found("9+1") == ["9+1|10"]
    assert found("6_1,9+0") == ["9+0|9", "6_1|16"]


def test_hostile_names_are_printed_raw_in_every_byte(slurm: Slurm) -> None:
    name = b'a\nb|c\x1fd\r\n\xff\xfe<script>"'
    slurm.cluster.add_job(id_job=1, job_name=name, time_submit=T0, time_start=T0, time_end=T0 + 1)
    done = slurm.run("sacct", "-j", "1", "-Xp", "--delimiter", "\x1fnonce\x1f", "-o", "jobid,jobname")
    assert done.stdout == b"JobID\x1fnonce\x1fJobName\x1fnonce\x1f\n1\x1fnonce\x1f" + name + b"\x1fnonce\x1f\n"


def test_an_unfinished_step_of_an_ended_job_takes_the_end_and_state_of_the_job(slurm: Slurm) -> None:
    key = slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 9, state="TIMEOUT")
    slurm.cluster.add_step(key, "extern", time_end=0)
    ask = ("-j", "1", "-Pn", "-o", "jobid,state,end,tresusageintot")
    assert slurm.sacct(*ask).splitlines()[1] == "1.extern|TIMEOUT|2026-11-23T12:20:40|"
    slurm.cluster.update_step(key, "extern", time_end=T0 + 12, state="CANCELLED", tres_usage_in_tot="3=0")
    assert slurm.sacct(*ask).splitlines()[1] == "1.extern|CANCELLED|2026-11-23T12:20:43|energy=0"


def test_steps_outside_the_window_are_dropped_from_their_job(slurm: Slurm) -> None:
    key = slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 100)
    slurm.cluster.add_step(key, 0, time_end=T0 + 10, user_sec=7)
    slurm.cluster.add_step(key, 1, time_start=T0 + 20, user_sec=2)
    window = ("-S", f"uts{T0 + 90}", "-E", f"uts{T0 + 110}")
    assert slurm.sacct("-aPn", "-o", "jobid,totalcpu", *window) == "1|00:00:02\n1.1|00:00:02\n"


def test_a_late_end_is_invisible_until_slurmdbd_has_it(slurm: Slurm) -> None:
    slurm.cluster.add_job(
        id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 10, state="FAILED", end_visible_at=T0 + 60
    )
    slurm.cluster.add_job(id_job=2, time_submit=T0, time_start=T0, time_end=T0 + 10, visible_at=T0 + 60)
    ended = ("-aXDnP", "-s", TERMINAL, "-S", f"uts{T0}", "-E", f"uts{T0 + 100}", "-o", "jobid,state")
    slurm.cluster.set_now(T0 + 59)
    assert slurm.sacct(*ended) == ""
    assert slurm.sacct("-aXDnP", "-S", f"uts{T0}", "-o", "jobid,state,end") == "1|RUNNING|Unknown\n"
    slurm.cluster.set_now(T0 + 60)
    assert slurm.sacct(*ended) == "1|FAILED\n2|COMPLETED\n"


@pytest.mark.parametrize(
    ("arguments", "status", "stderr"),
    [
        (("-s", "foo"), 1, "sacct: fatal: unrecognized job state value 'foo'\n"),
        (("-s", "CG"), 1, "sacct: fatal: job state CG is not supported / accounted\n"),
        (("-o", "jobid,foo"), 1, 'sacct: error: Invalid field requested: "foo"\n'),
        (("-j", "abc"), 1, "sacct: fatal: Bad job/step specified: abc\n"),
        (("-S", "garbage"), 1, "Invalid time specification (pos=0): garbage\n"),
        (("-u", "nosuchuser"), 1, "sacct: error: Invalid user id: nosuchuser\n"),
        (("extra",), 1, "sacct: error: Unknown arguments:\nsacct: error:  extra\n"),
        (
            ("-S", "now", "-E", "now-1hour"),
            1,
            "sacct: error: Start time (2026-11-23T13:20:31) requested is after end time (2026-11-23T12:20:31).\n",
        ),
    ],
)
def test_mistakes_are_answered_in_the_words_of_the_real_sacct(
    slurm: Slurm, arguments: tuple[str, ...], status: int, stderr: str
) -> None:
    done = slurm.run("sacct", *arguments)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (status, b"", stderr)


def test_an_unknown_option_is_explained_by_getopt(slurm: Slurm) -> None:
    done = slurm.run("sacct", "--no")
    assert done.returncode == 1
    assert done.stderr.decode().endswith(
        "/sacct: option '--no' is ambiguous; possibilities: '--nodelist' '--noconvert' '--noheader'\n"
    )


def test_field_names_match_by_prefix_in_table_order(slurm: Slurm) -> None:
    assert slurm.sacct("-XP", "-o", "JOB,sta,end%4") == "JobID|Start|End\n"


def test_times_follow_the_zone_and_slurm_time_format(slurm: Slurm) -> None:
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 1)
    ask = ("-j", "1", "-XPn", "-o", "submit,end")
    assert slurm.sacct(*ask, SLURM_TIME_FORMAT="%s") == "1795436431|1795436432\n"
    assert slurm.sacct(*ask, TZ="America/New_York") == "2026-11-23T07:20:31|2026-11-23T07:20:32\n"
    # Until 22.05 a date is cut at the width of its column.
    assert slurm.sacct(*ask, SLURM_TIME_FORMAT="%FT%T%z") == "2026-11-23T12:20:31|2026-11-23T12:20:32\n"
    slurm.cluster.set_version("24.11.5")
    assert slurm.sacct(*ask, SLURM_TIME_FORMAT="%FT%T%z").startswith("2026-11-23T12:20:31+0000|")


def test_local_times_are_read_in_the_zone(slurm: Slurm) -> None:
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 1)
    window = ("-S", "2026-11-23T07:20:32", "-E", "2026-11-23T07:20:33")
    assert slurm.sacct("-aXnP", "-s", "CD", "-o", "jobid", *window, TZ="America/New_York") == "1\n"
    assert slurm.sacct("-aXnP", "-s", "CD", "-o", "jobid", *window) == ""


def test_an_unknown_cluster_is_an_empty_answer(slurm: Slurm) -> None:
    slurm.cluster.add_cluster("other")
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 1)
    slurm.cluster.add_job(cluster="other", id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 1)
    ask = ("-aXnP", "-S", f"uts{T0}", "-o", "cluster,jobid")
    assert slurm.sacct(*ask) == "tux|1\n"
    assert slurm.sacct(*ask, "-M", "other") == "other|1\n"
    assert slurm.sacct(*ask, "-M", "nosuch") == ""
    assert slurm.sacct(*ask, "-L") == "tux|1\nother|1\n"


def test_private_data_hides_other_peoples_jobs_without_a_word(slurm: Slurm) -> None:
    slurm.cluster.add_user("monitor", 4242)
    slurm.cluster.add_job(id_job=1, time_submit=T0, time_start=T0, time_end=T0 + 1, user="ada", id_user=1001)
    ask = ("-aXnP", "-S", f"uts{T0}", "-o", "jobid")
    slurm.cluster.set_caller(4242)
    assert slurm.sacct(*ask) == "1\n"
    slurm.cluster.set_private_data("jobs")
    assert slurm.sacct(*ask) == ""
    slurm.cluster.add_user("monitor", 4242, admin_level="Operator")
    assert slurm.sacct(*ask) == "1\n"


def test_an_ordinary_user_may_not_ask_for_too_wide_a_window(slurm: Slurm) -> None:
    slurm.cluster.set_max_query_time_range(3600)
    slurm.cluster.set_caller(1001)
    wide = ("sacct", "-aXP", "-o", "jobid", "-S", f"uts{T0}", "-E", f"uts{T0 + 3601}")
    done = slurm.run(*wide)
    assert (done.returncode, done.stdout) == (95, b"JobID\n")
    assert done.stderr == b"sacct: error: slurmdbd: Too wide of a date range in query\n"
    slurm.cluster.set_version("23.11.4")
    assert slurm.run(*wide).returncode == 1
    slurm.cluster.set_caller(0)
    assert slurm.run(*wide).returncode == 0


def test_sacct_without_slurmdbd_says_three_lines_and_no_header(slurm: Slurm) -> None:
    slurm.cluster.set_slurmdbd_address("127.0.0.1", 16899)
    slurm.cluster.set_slurmdbd_down()
    done = slurm.run("sacct", "-X")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to"
        " host:127.0.0.1:16899: Connection refused\n"
        "sacct: error: Sending PersistInit msg: Connection refused\n"
        "sacct: error: Problem talking to the database: Connection refused\n"
    )
    assert slurm.run("sacct", "-V").stdout == b"slurm 22.05.8\n"
    assert slurm.run("sacct", "-e").returncode == 1
    slurm.cluster.set_version("25.05.0")
    assert slurm.run("sacct", "-e").returncode == 0
