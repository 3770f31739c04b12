"""How attempts are asked for by their ids, and how their ids are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.cast import FIRST_ID, REUSED, WIDE_ARRAY, WINDOWS
from tests.row_by_row import put_together

if TYPE_CHECKING:
    from tests.contract.sites import Site

ARRAY, HET = FIRST_ID + 300, FIRST_ID + 330


def found(site: Site, jobs: str, *options: str) -> set[str]:
    lines = site.ask("-X", "-D", "-n", "-P", "-j", jobs, *options, "-o", "jobid,jobidraw").split()
    return {line.replace(str(FIRST_ID)[:-3], "") for line in lines}


@pytest.mark.contract("by-array")
def test_an_arrays_id_stands_for_all_of_its_tasks(site: Site) -> None:
    assert found(site, str(ARRAY)) == {"300_0|301", "300_1|302", "300_7|300"}
    assert found(site, str(ARRAY + 1)) == {"300_0|301"}


@pytest.mark.contract("by-task")
def test_a_task_is_asked_for_alone(site: Site) -> None:
    assert found(site, f"{ARRAY}_7") == {"300_7|300"}
    assert found(site, f"{ARRAY}_2") == set()


@pytest.mark.contract("by-het")
def test_a_heterogeneous_job_is_asked_for_whole_or_by_component(site: Site) -> None:
    assert found(site, str(HET)) == {"330+0|330", "330+1|331", "330+2|332"}
    assert found(site, f"{HET}+1") == {"330+1|331"}


@pytest.mark.contract("by-mixed")
def test_all_forms_in_one_list(site: Site) -> None:
    assert found(site, f"{FIRST_ID + 1},{ARRAY}_1,{HET}+2") == {"001|001", "300_1|302", "330+2|332"}


@pytest.mark.contract("by-reused-id")
def test_a_reused_id_brings_the_old_job_too_unless_told_from_when(site: Site) -> None:
    def names(*options: str) -> list[str]:
        task = f"{FIRST_ID + 400}_3"
        return site.ask("-X", "-D", "-n", "-P", "-j", task, *options, "-o", "jobname").split()

    assert names() == ["old", "new"]
    submitted = REUSED + 5000 - 60
    assert names("-S", f"uts{submitted}", "-E", f"uts{submitted + 9999}") == ["new"]


@pytest.mark.contract("by-name-read")
async def test_the_daemon_asks_for_all_kinds_of_ids_at_once(site: Site) -> None:
    names = [str(FIRST_ID + 1), f"{ARRAY}_7", f"{HET}+1", str(FIRST_ID + 310), f"{FIRST_ID + 400}_3"]
    rows = await site.read_named(names, since=WINDOWS)
    found = sorted((record.job_id_raw - FIRST_ID, record.name) for record, _ in put_together(rows.readings))
    assert found == [
        (1, "contract"),
        (300, "contract"),
        (310, "contract"),
        (331, "contract"),
        (401, "new"),
        (401, "old"),
    ]
    rows = await site.read_named(names[-1:], since=REUSED + 4000)
    assert [record.name for record, _ in put_together(rows.readings)] == ["new"]


@pytest.mark.contract("open-read")
async def test_the_daemon_lists_what_is_open(site: Site) -> None:
    rows = await site.read_open(WINDOWS + 99_000)
    cast = {
        record.job_id_raw - FIRST_ID: record.state
        for record, _ in put_together(rows.readings)
        if record.job_id_raw >= FIRST_ID
    }
    assert cast == {2: "RUNNING", 4: "PENDING"}
    assert {record.end for record, _ in put_together(rows.readings) if record.job_id_raw >= FIRST_ID} == {None}


@pytest.mark.contract("bad-id")
@pytest.mark.parametrize("jobs", ["abc", "12_x"])
def test_a_list_of_ids_that_is_none_is_refused(site: Site, jobs: str) -> None:
    done = site.run("sacct", "-X", "-P", "-j", jobs)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"sacct: fatal: Bad job" in done.stderr


@pytest.mark.contract("array-expression")
def test_a_cancelled_array_is_one_row_with_its_tasks_whole(site: Site) -> None:
    assert site.job(310, "jobid,jobidraw") == f"{FIRST_ID + 310}_[0-399:3%2]|{FIRST_ID + 310}"
    whole = ",".join(map(str, WIDE_ARRAY)).replace("0,1,", "0-1,")
    assert site.job(320, "jobid") == f"{FIRST_ID + 320}_[{whole}%2]"


@pytest.mark.contract("array-cut")
def test_its_tasks_are_cut_where_nobody_asks_for_all(site: Site) -> None:
    whole = ",".join(map(str, WIDE_ARRAY)).replace("0,1,", "0-1,")
    expected = whole if site.release < (21, 8) else whole[:60] + "..."
    assert site.job(320, "jobid", SLURM_BITSTR_LEN=None) == f"{FIRST_ID + 320}_[{expected}%2]"


@pytest.mark.contract("job-ids")
async def test_the_daemon_tells_tasks_and_components_apart(site: Site) -> None:
    rows = await site.read(REUSED - 10_000, REUSED)
    read = {
        record.job_id_raw - FIRST_ID: (
            record.array_job_id and record.array_job_id - FIRST_ID,
            record.array_task_id,
            record.array_tasks and record.array_tasks[:9],
            record.het_job_id and record.het_job_id - FIRST_ID,
            record.het_job_offset,
        )
        for record, _ in put_together(rows.readings)
    }
    assert read == {
        301: (300, 0, None, None, None),
        302: (300, 1, None, None, None),
        300: (300, 7, None, None, None),
        310: (310, None, "0-399:3%2", None, None),
        320: (320, None, "0-1,4,9,1", None, None),
        330: (None, None, None, 330, 0),
        331: (None, None, None, 330, 1),
        332: (None, None, None, 330, 2),
    }
