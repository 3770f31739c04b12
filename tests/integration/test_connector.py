"""The connector over the simulated Slurm: what it asks sacct for, and what it makes of the answer."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

import pytest

from simslurm import SimCluster, install_commands
from simslurm.rows import JobColumns
from slurmwatchd import connector
from slurmwatchd.connector import Slurm, UnprovedAnswerWarning, jobs_running_between
from slurmwatchd.errors import SacctError, SacctOutputError

NOW = 1_795_500_000
HOSTILE = "a|b\n9|9|COMPLETED\x1f"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimCluster]:
    with SimCluster.create(tmp_path / "slurm.db", version="24.11.5") as cluster:
        install_commands(tmp_path / "bin", cluster.path)
        cluster.set_now(NOW)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
        yield cluster


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


def _job(slurm: SimCluster, start: int, end: int, **columns: Unpack[JobColumns]) -> str:
    given: JobColumns = {
        "time_submit": NOW + start - 10,
        "time_eligible": NOW + start - 10,
        "time_start": NOW + start,
        "time_end": NOW + end if end else 0,
        "state": "COMPLETED" if end else "RUNNING",
        "user": "ann",
        "id_user": 1000,
        "nodelist": "n[1-2]",
    }
    given.update(columns)
    return str(slurm.add_job(**given).id_job)


def test_a_job_with_its_attempts_in_one_call(slurm: SimCluster) -> None:
    job = _job(slurm, -500, -400, job_name=HOSTILE, state="REQUEUED")
    _job(slurm, -380, -300, id_job=int(job), job_name=HOSTILE)
    found = Slurm(job, tz=UTC)
    assert found == {job: {"jobidraw": job, "start": at(-380), "end": at(-300), "nodelist": {"n1", "n2"}}}
    assert [attempt[job]["end"] for attempt in found.earlier[job]] == [at(-400)]
    (call,) = slurm.calls("sacct")
    assert "-D" in call.argv
    assert "|" not in next(part for part in call.argv if part.startswith("--delimiter="))


def test_the_programs_have_the_names_that_callers_of_the_original_give_them(
    slurm: SimCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(slurm, -500, -400)
    assert (connector.SACCT, connector.SCONTROL) == ("sacct", "scontrol")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("sacct", "scontrol"):
        (tmp_path / "bin" / name).rename(other / f"my-{name}")
    monkeypatch.setattr(connector, "SACCT", str(other / "my-sacct"))
    monkeypatch.setattr(connector, "SCONTROL", str(other / "my-scontrol"))
    assert Slurm(job)[job]["nodelist"] == {"n1", "n2"}
    assert connector.expand_nodelist("n[3-4]") == {"n3", "n4"}
    assert any("n[3-4]" in call.argv[-1] for call in slurm.calls("scontrol"))


def test_keys_are_added_to_what_is_there_also_for_earlier_attempts(slurm: SimCluster) -> None:
    job = _job(slurm, -500, -400, job_name=HOSTILE, state="REQUEUED")
    _job(slurm, -380, -300, id_job=int(job), job_name="again")
    found = Slurm(job).load_keys("JobName%20", "state", "nno")
    assert list(found[job]) == ["jobidraw", "start", "end", "nodelist", "jobname", "state", "nnodes"]
    assert found[job]["jobname"] == "again"
    (attempt,) = found.earlier[job]
    assert (attempt[job]["jobname"], attempt[job]["state"]) == (HOSTILE, "REQUEUED")
    assert Slurm(from_string=str(found)) == found
    assert Slurm(from_string=str(found)).earlier == found.earlier


def test_naive_times_are_local_and_a_zone_is_exact_where_the_clocks_go_back(
    slurm: SimCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Berlin, 2026-10-25: 02:30 comes twice, at 00:30Z and at 01:30Z.
    moment = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())
    job = _job(slurm, moment - NOW, moment + 3600 - NOW)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        naive = Slurm(job)[job]
        assert naive["start"] == naive["end"] == datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001
        assert "2026-10-25T02:30:00" in str(Slurm(job))
        aware = Slurm(job, tz=UTC)[job]
        assert aware["end"] - aware["start"] == timedelta(hours=1)
        submit = Slurm(job).load_keys("submit")[job]["submit"]
        assert submit == "2026-10-25T02:29:50"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_running_between_has_both_bounds(slurm: SimCluster) -> None:
    _job(slurm, -900, -501)
    ends = _job(slurm, -900, -500)
    during = _job(slurm, -480, -470)
    starts = _job(slurm, -400, -390, time_eligible=NOW - 400)
    _job(slurm, -399, -390)
    runs = _job(slurm, -450, 0)
    suspended = _job(slurm, -450, 0, state="SUSPENDED")
    _job(slurm, -450, -440, time_start=0, nodelist="", state="CANCELLED")
    _job(slurm, -450, 0, time_start=0, nodelist="", state="PENDING")
    found = jobs_running_between(at(-500), at(-400), ["jobidraw", "state"])
    assert sorted(found.get_job_ids()) == sorted([ends, during, starts, runs, suspended])
    assert set(found[runs]) == {"jobidraw", "state"}
    first, last = (moment.astimezone().replace(tzinfo=None) for moment in (at(-500), at(-400)))
    assert sorted(jobs_running_between(first, last)) == sorted(found)
    with pytest.raises(ValueError, match="is before the start"):
        jobs_running_between(at(0), at(-1))


def test_what_was_cancelled_before_it_started_never_ran(slurm: SimCluster, tmp_path: Path) -> None:
    install_commands(tmp_path / "bin", slurm.path, version="21.08.8")
    cancelled = _job(slurm, -450, -440, time_start=0, nodelist="None assigned", state="CANCELLED")
    # Releases before 22.05 print its end as its start.
    assert Slurm(cancelled, tz=UTC)[cancelled]["start"] == at(-440)
    assert jobs_running_between(at(-500), at(-400)) == {}


def test_what_sacct_cannot_answer_is_an_error_or_a_warning_where_that_was_asked_for(slurm: SimCluster) -> None:
    with pytest.raises(SacctError, match="Bad job/step specified: nosuch"):
        Slurm("nosuch")
    with pytest.warns(UnprovedAnswerWarning):
        unknown = Slurm(1)
    with pytest.raises(SacctError, match="Invalid field requested"):
        unknown.load_keys("nosuchfield")
    with pytest.warns(UserWarning, match="Bad job/step"):
        assert Slurm("nosuch", silent_errors=True) == {}
    # Nor does an empty answer prove that there is nothing: a query that failed inside slurmdbd looks the same.
    with pytest.warns(UnprovedAnswerWarning, match="shows no job for -D --jobs=424242"):
        assert Slurm(424242) == {}


@pytest.mark.parametrize("option", ["--version", "-V", "1 --delimiter=x"])
def test_a_job_id_is_never_an_option(slurm: SimCluster, option: str) -> None:
    with pytest.raises(SacctError, match="Bad job/step"):
        Slurm(option)


def test_an_answer_that_is_cut_off_is_no_answer(slurm: SimCluster, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "sacct"
    script.write_text(
        "#!/bin/sh\nfor a; do case $a in --delimiter=*) d=${a#*=};; esac; done\nprintf 'JobIDRaw%sStart'\n"
    )
    with pytest.raises(SacctOutputError, match="no header"):
        Slurm(7)
    script.write_text(
        "#!/bin/sh\n[ $1 = -V ] && exit\necho 'JobIDRaw|Start|End|NodeList'; echo 'sacct: error: lost' >&2\n"
    )
    with pytest.raises(SacctError, match="sacct: error: lost"):
        Slurm(7)


def test_the_environment_does_not_bend_the_answer(slurm: SimCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    job = _job(slurm, -500, -400)
    for name, value in {"SACCT_FORMAT": "user", "SLURM_TIME_FORMAT": "relative", "SLURM_CLUSTERS": "x"}.items():
        monkeypatch.setenv(name, value)
    assert Slurm(job, tz=UTC)[job]["start"] == at(-500)
