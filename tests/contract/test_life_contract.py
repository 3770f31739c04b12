"""What slurmctld writes down of jobs that are requeued, suspended, resized, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.sites import Site

NEVER = ("None", "Unknown")


def rows(site: Site, job: str, fields: str) -> list[list[str]]:
    since = ("-S", f"uts{site.life().since}", "-E", f"uts{site.life().since + 9999}")
    printed = site.ask("-X", "-D", "-n", "-P", "-j", job, *since, "-o", fields)
    return [line.split("|") for line in printed.splitlines()]


@pytest.mark.contract("requeue")
def test_a_requeued_job_has_a_row_for_each_attempt(site: Site) -> None:
    first, second = rows(site, site.life().requeued, "jobidraw,state,submit,start,end,dbindex")
    assert first[0] == second[0] == site.life().requeued
    assert first[1] == "REQUEUED"
    assert second[1] == "CANCELLED by 0"
    assert int(first[2]) < int(first[4]) <= int(second[2]) <= int(second[4])
    # Once, on a machine with much else to do, 22.05 had taken back the start that was in its table.
    assert first[3] in NEVER or int(first[3]) <= int(first[4])
    assert second[3] in {*NEVER, second[4]}
    assert first[5] != second[5]


@pytest.mark.contract("born-old")
def test_a_job_cancelled_while_suspended_ended_with_the_suspension(site: Site) -> None:
    life = site.life()
    ((state, end),) = rows(site, life.suspended, "state,end")
    assert state == "CANCELLED by 0"
    assert life.suspended_at <= int(end) <= life.suspended_by + 2 < life.cancelled_at


@pytest.mark.contract("resize")
def test_a_resized_job_has_a_row_for_each_size(site: Site) -> None:
    first, second = rows(site, site.life().resized, "state,submit,start,end,nnodes")
    assert (first[0], first[4]) == ("RESIZING", "3")
    assert (second[0], second[4]) == ("CANCELLED by 0", "1")
    assert second[1] == first[3]
    # 22.05 lets it start with the job, before its own submission (measured; 24.11 does not).
    assert second[2] == (first[2] if site.release < (23, 2) else first[3])


@pytest.mark.contract("array-life")
def test_the_last_task_has_the_masters_id(site: Site) -> None:
    master = site.life().array
    found = dict(rows(site, master, "jobid,jobidraw"))
    assert set(found) == {f"{master}_{task}" for task in range(3)}
    assert found[f"{master}_2"] == master
    assert len(set(found.values())) == 3


@pytest.mark.contract("array-cancelled")
def test_an_array_that_never_started_is_one_row(site: Site) -> None:
    job = site.life().never_array
    ((name, raw, state, start, end),) = rows(site, job, "jobid,jobidraw,state,start,end")
    assert (name, raw, state) == (f"{job}_[0-399:3%2]", job, "CANCELLED by 0")
    assert start in {*NEVER, end}


@pytest.mark.contract("het-life")
def test_components_have_rows_of_their_own(site: Site) -> None:
    leader = int(site.life().het)
    found = dict(rows(site, str(leader), "jobid,jobidraw"))
    assert found == {f"{leader}+{offset}": str(leader + offset) for offset in range(3)}


@pytest.mark.contract("held")
def test_what_was_held_never_started(site: Site) -> None:
    ((state, start, eligible, end, nodes),) = rows(site, site.life().held, "state,start,eligible,end,nodelist")
    assert (state, eligible, nodes) == ("CANCELLED by 0", "Unknown", "None assigned")
    assert start in {"None", end}


@pytest.mark.contract("steps-in-time")
def test_steps_are_complete_with_their_job(site: Site) -> None:
    job = site.life().stepped
    printed = site.ask("-D", "-n", "-P", "-j", job, "-o", "jobid,state,tresusageintot")
    lines = {name: (state, bool(usage)) for name, state, usage in (row.split("|") for row in printed.splitlines())}
    assert lines.pop(job) == ("COMPLETED", False)
    assert lines == {f"{job}.{step}": ("COMPLETED", True) for step in ("batch", "0", "1")}


@pytest.mark.contract("later-edit")
def test_a_comment_on_an_array_reaches_every_task(site: Site) -> None:
    job = site.life().array
    site.run("sacctmgr", "-i", "modify", "job", "where", f"jobid={job}", "set", "admincomment=seen to")
    assert rows(site, job, "admincomment") == [["seen to"]] * 3
