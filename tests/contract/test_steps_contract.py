"""Steps: what they show, what of them a window hides, and what they add to their job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.cast import FIRST_ID, STEPS

if TYPE_CHECKING:
    from tests.contract.sites import Site

JOB, END = FIRST_ID + 600, STEPS + 1000
BEGIN = END - 50


def steps(site: Site, fields: str, *options: str) -> dict[str, str]:
    """The lines of the job and its steps, by what comes after its id."""
    since = ("-S", f"uts{BEGIN - 100}", "-E", f"uts{END + 100}")
    lines = site.ask("-D", "-n", "-P", "-j", str(JOB), *since, *options, "-o", f"jobidraw,{fields}").splitlines()
    return {name.partition(".")[2]: rest for name, _, rest in (line.partition("|") for line in lines)}


@pytest.mark.contract("step-ids")
def test_steps_are_named_after_their_job(site: Site) -> None:
    lines = steps(site, "jobid,dbindex")
    assert set(lines) == {"", "batch", "extern", "0", "1", "2"}
    assert lines["batch"] == f"{JOB}.batch|900000600"
    assert lines["0"] == f"{JOB}.0|900000600"


@pytest.mark.contract("step-window")
def test_a_window_cuts_steps_and_the_processor_time_of_their_job(site: Site) -> None:
    def found(start: int) -> dict[str, str]:
        window = ("-S", f"uts{start}", "-E", f"uts{END + 1}", "-s", "CD")
        lines = site.ask("-a", "-D", "-n", "-P", *window, "-o", "jobidraw,totalcpu").splitlines()
        mine = [line.partition("|") for line in lines if line.startswith(str(JOB))]
        return {name.partition(".")[2]: used for name, _, used in mine}

    assert found(BEGIN)[""] == "00:11.750"
    # Step 1 ended ten seconds after the beginning, with three seconds of processor time.
    assert found(BEGIN + 11) == {
        "": "00:08.750", "batch": "00:00:00", "extern": "00:00:00", "0": "00:08.750", "2": "00:00:00"
    }  # fmt: skip


@pytest.mark.contract("unfinished-step")
def test_an_unfinished_step_borrows_from_its_job(site: Site) -> None:
    lines = steps(site, "state,end,tresusageintot")
    assert lines["2"] == f"COMPLETED|{END}|"
    assert lines["1"] == f"COMPLETED|{BEGIN + 10}|"


@pytest.mark.contract("step-blanks")
def test_what_is_blank_on_a_step(site: Site) -> None:
    fields = "user,uid,gid,partition,qos,reqtres,priority,submit,eligible,start"
    assert steps(site, fields)["0"] == f"|||||||{BEGIN}|{BEGIN}|{BEGIN}"


@pytest.mark.contract("step-usage")
def test_usage_of_a_step_in_plain_units(site: Site) -> None:
    fields = "maxrss,averss,maxvmsize,maxdiskread,avediskread,maxdiskwrite,totalcpu,usercpu,systemcpu,ntasks"
    fields += ",tresusageintot,tresusageouttot,consumedenergyraw"
    assert steps(site, fields, "--noconvert")["0"] == (
        "11145216|11145216|292872192|0.03M|0.03M|5M|00:08.750|00:07.250|00:01.500|2"
        "|cpu=00:00:08,energy=5,fs/disk=66012,mem=22290432,pages=6,vmem=585744384|fs/disk=5242880|0"
    )
    assert steps(site, "maxrss,maxrssnode,maxrsstask")["0"] == "10884K|n1|1"


@pytest.mark.contract("lone-step")
def test_a_lone_step_of_the_jobs_own_name(site: Site) -> None:
    lines = site.ask("-n", "-P", "-j", str(FIRST_ID + 601), "--noconvert", "-o", "jobidraw,maxrss").splitlines()
    alone = FIRST_ID + 601
    merged, apart = [f"{alone}|11145216"], [f"{alone}|", f"{alone}.0|11145216"]
    assert lines == (merged if site.release < (22, 5) else apart)
