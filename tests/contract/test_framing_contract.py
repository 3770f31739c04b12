"""Text that users write, on its way into a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import cast
from tests.contract.cast import FIRST_ID, HOSTILE, HOSTILE_NAMES
from tests.row_by_row import put_together

if TYPE_CHECKING:
    from tests.contract.cast import Attempt
    from tests.contract.sites import Site


@pytest.mark.contract("raw-text")
def test_names_are_printed_raw(site: Site) -> None:
    jobs = ",".join(str(FIRST_ID + 700 + position) for position in range(len(HOSTILE_NAMES)))
    printed = site.run("sacct", "-X", "-P", "-n", "-j", jobs, "-o", "jobname").stdout
    assert printed == b"".join(name.encode() + b"\n" for name in HOSTILE_NAMES)


@pytest.mark.contract("delimiter")
@pytest.mark.parametrize("delimiter", ["\x1f0123456789abcdef\x1f", "\u00fc"])
def test_a_delimiter_ends_every_field(site: Site, delimiter: str) -> None:
    job = str(FIRST_ID + 700)
    printed = site.ask("-X", "-p", f"--delimiter={delimiter}", "-j", job, "-o", "jobid,jobname,comment")
    assert printed == (
        f"JobID{delimiter}JobName{delimiter}Comment{delimiter}\n"
        f"{job}{delimiter}new\nline{delimiter}new\nline{delimiter}\n"
    )


@pytest.mark.contract("no-forgery")
async def test_the_daemon_reads_every_hostile_name_as_it_is(site: Site) -> None:
    rows = await site.read(HOSTILE, HOSTILE + 1000)
    assert rows.rejected == ()
    read = [(record.name, record.comment, record.work_dir) for record, _ in put_together(rows.readings)]
    assert read == [(name, name, f"/{name}") for name in HOSTILE_NAMES]


@pytest.mark.contract("no-cut")
def test_long_text_is_printed_whole(site: Site) -> None:
    assert site.job(516, "workdir") == "/w" * 30_000


@pytest.mark.contract("empty-values")
def test_text_that_is_not_set_is_empty(site: Site) -> None:
    fields = "comment,admincomment,systemcomment,reservation,wckey"
    assert site.job(516, fields) == "||||"


def expected(row: Attempt, release: tuple[int, int]) -> dict[str, object]:
    """What a record must say of a row, from the row's own columns."""
    columns = row.columns
    states = {number: name for name, number in cast.TERMINAL.items()}
    nodes, start, end = columns["nodelist"], columns["time_start"], columns["time_end"]
    canceller = columns.get("kill_requid")
    if nodes == "None assigned":
        began = None
    elif start:
        began = min(start, end)
    else:
        # Before 22.05 sacct shows the end for the start that never was, and nothing here says otherwise.
        began = end if release < (22, 5) else None
    return {
        "submit": columns["time_submit"],
        "state": states[int(columns["state"])],
        "cancelled_by_uid": None if canceller == cast.NO_VAL else canceller,
        "start": began,
        "end": end,
        "name": columns["job_name"],
        "node_list": None if nodes == "None assigned" else nodes,
        "user": "root",
        "uid": 0,
        "account": "physics",
        "partition": "main",
        "work_dir": columns["work_dir"],
        "raw": None,
    }


@pytest.mark.contract("records")
async def test_every_attempt_of_the_cast_is_read_as_it_stands_in_the_database(site: Site) -> None:
    truth = {
        (row.columns["id_job"], row.columns["time_submit"]): expected(row, site.release)
        for row in cast.everybody()
        if row.columns["time_end"] and site.release >= row.since
    }
    rows = await site.read(cast.WINDOWS, cast.OUTCOMES + 9000)
    assert rows.rejected == ()
    read = {(record.job_id_raw, record.submit): record for record, _ in put_together(rows.readings)}
    assert len(read) == len(rows.readings)
    assert read.keys() == truth.keys()
    for key, values in truth.items():
        record = read[key]
        assert {name: getattr(record, name) for name in values} == values
        assert record.cluster == site.cluster
