"""What sacct brings for a stretch of time: the ground the ledger stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slurmwatchd.sources.sacct.arguments import TERMINAL_STATES
from tests.contract import cast
from tests.contract.cast import ATTEMPTS, FIRST_ID, STATES, TILES, WINDOWS
from tests.row_by_row import put_together

if TYPE_CHECKING:
    from tests.contract.sites import Site

AT = WINDOWS + 1000


def ids(lines: list[str]) -> list[int]:
    return sorted(int(line) - FIRST_ID for line in lines)


@pytest.mark.contract("inclusive")
@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(AT, AT + 9, True), (AT - 9, AT, True), (AT + 1, AT + 9, False), (AT - 9, AT - 1, False)],
)
def test_both_ends_of_a_window_belong_to_it(site: Site, start: int, end: int, found: bool) -> None:
    assert ids(site.ended(start, end, "jobidraw")) == ([1, 3] if found else [])


@pytest.mark.contract("empty-window")
def test_a_window_that_begins_where_it_ends(site: Site) -> None:
    second = TILES + 5
    expected = [805] if site.release < (21, 8) else [805, 806]
    assert ids(site.ended(second, second, "jobidraw")) == expected


@pytest.mark.contract("ended-only")
def test_open_attempts_are_not_in_a_window_of_terminal_states(site: Site) -> None:
    assert site.ended(WINDOWS, WINDOWS + 9000, "jobidraw,state") == [
        f"{FIRST_ID + 1}|COMPLETED",
        f"{FIRST_ID + 3}|CANCELLED by 0",
    ]


def overlapping(site: Site, start: int, end: int, *options: str) -> list[int]:
    window = ("-S", f"uts{start}", "-E", f"uts{end}")
    lines = site.ask("-a", "-X", "-D", "-n", "-P", *window, *options, "-o", "jobidraw").splitlines()
    # Jobs that are open since 2023 overlap everything since.
    return ids([line for line in lines if FIRST_ID <= int(line) < FIRST_ID + 100])


@pytest.mark.contract("never-eligible")
def test_a_job_that_never_was_eligible_is_found_by_its_state_only(site: Site) -> None:
    assert 3 not in overlapping(site, AT - 10, AT + 10)
    assert overlapping(site, AT - 10, AT + 10, "-s", "CA") == [3]


@pytest.mark.contract("overlap")
def test_without_states_a_window_brings_what_had_not_ended(site: Site) -> None:
    assert overlapping(site, AT - 10, AT - 5) == [1, 2, 4]
    assert overlapping(site, AT, AT + 5) == [1, 2, 4]
    assert overlapping(site, AT + 1, AT + 5) == [2, 4]


@pytest.mark.contract("no-end")
def test_states_without_an_end_bring_nothing(site: Site) -> None:
    assert site.ask("-a", "-X", "-n", "-P", "-s", "CD,CA", "-S", f"uts{AT - 10}", "-o", "jobidraw") == ""


@pytest.mark.contract("backwards")
def test_a_window_that_ends_before_it_begins_is_refused(site: Site) -> None:
    done = site.run("sacct", "-X", "-P", "-s", "CD", "-S", f"uts{AT}", "-E", f"uts{AT - 1}")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"requested is after end time" in done.stderr
    assert done.stderr.startswith(b"sacct: error: ")


@pytest.mark.contract("terminal-states")
async def test_the_daemons_own_window_brings_every_state_that_ends_an_attempt(site: Site) -> None:
    rows = await site.read(STATES, STATES + 1000)
    assert {record.state: record.job_id_raw - FIRST_ID for record, _ in put_together(rows.readings)} == {
        name: 100 + position for position, name in enumerate(cast.TERMINAL)
    }


@pytest.mark.contract("unaccounted-state")
@pytest.mark.parametrize("state", ["COMPLETING", "nonsense"])
def test_a_state_that_is_not_accounted_for_is_refused(site: Site, state: str) -> None:
    done = site.run("sacct", "-X", "-P", "-s", state, "-S", f"uts{AT}", "-E", f"uts{AT + 1}")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"sacct: fatal: ")


@pytest.mark.contract("tiles")
async def test_half_open_windows_side_by_side_bring_each_second_once(site: Site) -> None:
    found = []
    for start, end in ((TILES, TILES + 7), (TILES + 7, TILES + 8), (TILES + 8, TILES + 20)):
        rows = await site.read(start, end)
        found += [record.job_id_raw - FIRST_ID for record, _ in put_together(rows.readings)]
    # A window of one second brings the next one too where Slurm makes it longer, which is free: rows have keys.
    again = [808] if site.release >= (21, 8) else []
    assert sorted(found) == sorted([*range(800, 820), *again])


@pytest.mark.contract("uts")
@pytest.mark.parametrize("zone", ["America/New_York"])
def test_uts_times_know_no_zone(site: Site, zone: str) -> None:
    window = ("-s", "CD", "-S", f"uts{AT}", "-E", f"uts{AT + 1}")
    assert site.ask("-a", "-X", "-n", "-P", *window, "-o", "jobidraw,end", TZ=zone) == f"{FIRST_ID + 1}|{AT}\n"


@pytest.mark.contract("duplicates")
def test_every_attempt_of_a_requeued_job_with_duplicates(site: Site) -> None:
    def found(*options: str, end: int = 350) -> list[str]:
        window = ("-S", f"uts{ATTEMPTS}", "-E", f"uts{ATTEMPTS + end}")
        return site.ask("-a", "-X", "-n", "-P", "-s", TERMINAL_STATES, *window, *options, "-o", "state").split()

    assert found("-D") == ["NODE_FAIL", "REQUEUED", "COMPLETED"]
    assert found() == ["COMPLETED"]
    # The newest of those that match, not of all.
    assert found(end=250) == ["REQUEUED"]


@pytest.mark.contract("resize-segments")
def test_segments_of_a_resized_job_are_all_there(site: Site) -> None:
    for options in (["-D"], []):
        window = ("-S", f"uts{ATTEMPTS + 350}", "-E", f"uts{ATTEMPTS + 550}")
        lines = site.ask("-a", "-X", "-n", "-P", "-s", TERMINAL_STATES, *window, *options, "-o", "state,nnodes")
        assert lines.splitlines() == ["RESIZING|3", "COMPLETED|1"]


@pytest.mark.contract("revoked")
def test_a_revoked_sibling_is_hidden_without_duplicates(site: Site) -> None:
    window = ("-S", f"uts{ATTEMPTS + 590}", "-E", f"uts{ATTEMPTS + 610}")
    ask = ("-a", "-X", "-n", "-P", "-s", TERMINAL_STATES, *window, "-o", "state")
    assert site.ask("-D", *ask) == "REVOKED\n"
    assert site.ask(*ask) == ""


@pytest.mark.contract("no-steps")
def test_allocations_only(site: Site) -> None:
    job = str(FIRST_ID + 600)
    with_steps = site.ask("-n", "-P", "-j", job, "-o", "jobid").split()
    assert len(with_steps) == 6
    assert site.ask("-X", "-n", "-P", "-j", job, "-o", "jobid").split() == [job]
