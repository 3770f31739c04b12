"""How sacct spells what the database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.cast import FIRST_ID, VALUES
from tests.row_by_row import put_together

if TYPE_CHECKING:
    from tests.contract.sites import Site

END = VALUES + 100


@pytest.mark.contract("epoch")
def test_times_are_epoch_seconds_where_that_is_asked_for(site: Site) -> None:
    assert site.job(500, "submit,eligible,start,end") == f"{END - 60}|{END - 60}|{END - 50}|{END}"


@pytest.mark.contract("local-time")
def test_times_are_local_and_name_no_zone(site: Site) -> None:
    assert site.job(500, "end", SLURM_TIME_FORMAT=None) == "2023-11-15T12:08:20"
    assert site.job(500, "end", SLURM_TIME_FORMAT="standard", TZ="America/New_York") == "2023-11-15T07:08:20"


@pytest.mark.contract("time-format")
def test_a_time_format_that_is_none_is_complained_about(site: Site) -> None:
    done = site.run(
        "sacct", "-X", "-n", "-P", "-j", str(FIRST_ID + 500), "-o", "end", SLURM_TIME_FORMAT="nonsense"
    )
    assert b"error: invalid SLURM_TIME_FORMAT = 'nonsense'" in done.stderr


@pytest.mark.contract("time-width")
def test_a_long_time_format_is_cut_until_22_05(site: Site) -> None:
    printed = site.job(500, "end", SLURM_TIME_FORMAT="%FT%T%z")
    assert printed == ("2023-11-15T12:08:20" if site.release < (23, 2) else "2023-11-15T12:08:20+0000")


@pytest.mark.contract("cancelled-by")
def test_who_cancelled_is_told_where_it_is_known(site: Site) -> None:
    assert site.jobs("state", 503, 514) == ["CANCELLED by 0", "CANCELLED by 1001"]


@pytest.mark.contract("exit-codes")
def test_exit_codes_of_128_and_more(site: Site) -> None:
    lost = site.release < (25, 11)
    high = ["11:0", "127:0"] if lost else ["139:0", "255:0"]
    assert site.jobs("exitcode", 500, 502, 501) == [*high, "0:11"]
    assert site.job(501, "derivedexitcode") == "7:0"


@pytest.mark.contract("no-start")
def test_what_never_started_has_no_start(site: Site) -> None:
    told, untold = (str(END), str(END)) if site.release < (22, 5) else ("None", "Unknown")
    assert site.jobs("start", 503, 521, 523) == [told, untold, str(END)]


@pytest.mark.contract("never-eligible-time")
def test_what_never_was_eligible_says_unknown(site: Site) -> None:
    assert site.jobs("eligible", 504, 505) == ["Unknown", "Unknown"]


@pytest.mark.contract("no-nodes")
def test_what_never_ran_has_no_nodes(site: Site) -> None:
    assert site.jobs("nodelist,nnodes,alloctres,allocnodes", 503, 506) == ["None assigned|1||0", "(unknown)|1||0"]


@pytest.mark.contract("nodes-by-tres")
def test_where_no_number_of_nodes_is_stored_the_allocated_tres_have_it(site: Site) -> None:
    assert site.job(524, "nodelist,nnodes,allocnodes") == "n[1-3]|3|3"


@pytest.mark.contract("planned")
def test_the_wait_ends_with_the_start_or_the_end(site: Site) -> None:
    name = "reserved" if site.release < (23, 2) else "planned"
    never = "INVALID" if site.release == (22, 5) else "00:01:00"
    assert site.jobs(name, 519, 503, 522) == ["00:00:05", never, "INVALID"]


@pytest.mark.contract("timelimit")
def test_time_limits_are_minutes_or_words(site: Site) -> None:
    assert site.jobs("timelimitraw,timelimit", 509, 507, 508) == [
        "1500|1-01:00:00",
        "UNLIMITED|UNLIMITED",
        "Partition_Limit|Partition_Limit",
    ]


@pytest.mark.contract("tres")
def test_tres_are_named_and_sorted(site: Site) -> None:
    assert site.jobs("alloctres", 510, 511) == [
        "billing=8,cpu=8,energy=77,gres/gpu:a100=4,gres/gpu=4,mem=1500M,node=2",
        "cpu=2,mem=1536M,node=1",
    ]
    assert site.job(511, "alloctres") == "cpu=2,mem=1.50G,node=1"


@pytest.mark.contract("req-mem")
def test_requested_memory_is_a_total_since_21_08(site: Site) -> None:
    printed = site.jobs("reqmem", 517, 518)
    assert printed == (["4000Mn", "2000Mc"] if site.release < (21, 8) else ["8000M", "8000M"])


@pytest.mark.contract("db-index")
def test_db_index_is_a_number_of_any_size(site: Site) -> None:
    assert site.job(500, "dbindex") == "900000500"


@pytest.mark.contract("db-index")
async def test_the_daemon_keeps_db_index_as_text(site: Site) -> None:
    rows = await site.read(END, END + 1)
    kept = {record.job_id_raw - FIRST_ID: record.db_index for record, _ in put_together(rows.readings)}
    assert kept[500] == "900000500"
    assert kept.get(515) == ("11260739868426240002" if site.release >= (24, 11) else None)


@pytest.mark.contract("suspended")
def test_elapsed_is_without_suspension(site: Site) -> None:
    assert site.job(512, "suspended,elapsed,elapsedraw") == "00:00:20|1-03:46:20|99980"


@pytest.mark.contract("restarts")
def test_restarts_are_counted(site: Site) -> None:
    if site.release < (24, 11):
        assert site.run("sacct", "-X", "-o", "Restarts").returncode == 1
    else:
        assert site.job(519, "restarts") == "3"


@pytest.mark.contract("unknown-qos")
def test_a_qos_that_is_gone_is_unknown(site: Site) -> None:
    assert site.job(520, "qos,qosraw") == "Unknown|99999"
