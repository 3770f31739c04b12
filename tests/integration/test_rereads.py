"""Re-reads ask for few fields first, and for whole records only of what is new or changed."""

from pathlib import Path

import pytest

from simslurm.settings import Call
from slurmwatchd.errors import SacctError
from tests.integration.rig import START, WINDOW, Rig
from tests.sim_truth import differences

REREAD = {"since": "5m", "overlap": "1m", "reread": ["5m"], "open_set": "0s"}
"""What ended 20 s before the start is read again 400 s after it, with a poll every 100 s."""


def fields(call: Call) -> set[str]:
    """What a call asked for."""
    return set(call.argv[call.argv.index("-o") + 1].split(","))


def few(rig: Rig) -> list[Call]:
    """The calls for a window that left something out."""
    return [call for call in rig.cluster.calls("sacct") if asks_window(call) and "SubmitLine" not in fields(call)]


def asks_window(call: Call) -> bool:
    return any(WINDOW in word for word in call.argv)


def named(rig: Rig) -> list[str]:
    """The names that whole records were asked for by."""
    calls = (call for call in rig.cluster.calls("sacct") if "-j" in call.argv and "SubmitLine" in fields(call))
    return [call.argv[call.argv.index("-j") + 1] for call in calls]


async def passes(rig: Rig, seconds: int) -> None:
    """Let time pass, with a poll every 100 seconds."""
    for _ in range(seconds // 100):
        rig.move(100)
        await rig.once()


async def test_reread_that_finds_nothing_new_asks_for_few_fields_and_for_no_record(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        for number in range(5):
            rig.ended(20 + number, job_name=f"job {number}")
        await rig.once()
        rig.cluster.clear_calls()
        await passes(rig, 700)
        asked = [fields(call) for call in few(rig)]
        assert asked
        for names in asked:
            assert {"Cluster", "JobIDRaw", "Submit", "JobID", "DBIndex", "State", "Start", "End"} <= names
            assert names.isdisjoint({"User", "WorkDir", "SubmitLine", "ReqTRES", "Reason", "Account", "QOS"})
        assert named(rig) == []
        assert rig.ask_store("SELECT count(*) FROM events") == [(5,)]
        # The newest is read with each poll, as what its answer must show.
        assert rig.ask_store("SELECT max(\"rows\") FROM ledger WHERE found_by = 'reread'") == [(4,)]


async def test_reread_asks_for_the_whole_record_of_a_late_row_by_its_name(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        rig.ended(20, job_name="in time")
        late = START + 250
        rig.ended(23, job_name="late", visible_at=late, work_dir="/home/late", submit_line="sbatch late.sh")
        rig.ended(21, job_name="task", visible_at=late, id_array_job=70, id_array_task=3)
        rig.ended(22, job_name="part", visible_at=late, het_job_id=80, het_job_offset=1)
        await rig.once()
        await passes(rig, 700)
        (asked,) = named(rig)
        assert sorted(asked.split(",")) == ["2", "70_3", "80+1"]
        assert {(r["name"], r["found_by"]) for r in rig.records()} == {
            ("in time", "poll"),
            ("late", "reread"),
            ("task", "reread"),
            ("part", "reread"),
        }
        assert differences(rig.cluster, rig.records()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"admin_comment": "checked"}, {"admin_comment": [None, "checked"]}),
        ({"comment": "by the user"}, {"comment": [None, "by the user"]}),
        ({"tres_alloc": "1=1,2=2000,3=77,4=1,5=1"}, None),
        ({"derived_ec": 256}, {"derived_exit_code": [0, 1]}),
    ],
    ids=["admin comment", "comment", "energy", "derived exit code"],
)
async def test_change_long_after_the_end_is_told_once_by_the_reread(
    tmp_path: Path, change: dict[str, object], told: dict[str, object] | None
) -> None:
    with Rig(tmp_path, poll={**REREAD, "reread": ["5m", "15m"]}) as rig:
        key = rig.ended(20, job_name="job")
        await rig.once()
        await passes(rig, 200)
        rig.cluster.update_job(key, **change)  # type: ignore[arg-type]
        await passes(rig, 1800)
        assert [record["event"] for record in rig.records()] == ["job_ended", "job_revised"]
        changed = rig.records()[1]["changed"]
        assert changed == told if told else changed["alloc_tres"][1]["energy_joules"] == 77


async def test_reread_of_which_much_is_new_asks_for_the_whole_window_instead(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        with rig.cluster.batch():
            for number in range(501):
                rig.ended(10 + number // 20, job_name=f"late {number}", visible_at=START + 250)
        await rig.once()
        await passes(rig, 700)
        assert few(rig)
        assert named(rig) == []
        assert differences(rig.cluster, rig.records()) == []
        assert len(rig.records()) == 501


async def test_late_array_that_never_started_is_read_with_its_whole_window(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        rig.ended(
            20,
            job_name="never an array",
            visible_at=START + 250,
            state="CANCELLED",
            time_start=0,
            id_job=90,
            id_array_job=90,
            array_tasks=[0, 1, 2],
        )
        await rig.once()
        await passes(rig, 700)
        assert named(rig) == []
        (record,) = rig.records()
        assert (record["job_id"], record["found_by"]) == ("90_[0-2]", "reread")


async def test_ledger_does_not_move_when_the_whole_records_cannot_be_had(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        rig.ended(20, job_name="late", visible_at=START + 250)
        await rig.once()
        await passes(rig, 300)
        rig.move(100)
        rig.cluster.add_fault("sacct", "exit", match=f"uts{START - 110}", code=1)
        with pytest.raises(SacctError):
            await rig.once()
        # The end in question: 20 s before the start of the test.
        read_again = (
            "SELECT count(*) FROM ledger WHERE found_by = 'reread' AND 1795499980 BETWEEN start AND \"end\""
        )
        assert rig.ask_store(read_again) == [(0,)]
        await passes(rig, 100)
        assert rig.ask_store(read_again) == [(1,)]
        assert rig.names() == ["late"]


async def test_row_that_does_not_answer_to_its_name_is_read_with_its_window(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        rig.ended(20, job_name="late", visible_at=START + 250)
        await rig.once()
        await passes(rig, 300)
        rig.move(100)
        rig.cluster.add_fault("sacct", "header_only", match=f"uts{START - 110}")
        await rig.once()
        assert rig.names() == ["late"]


async def test_other_job_of_a_reused_id_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        # Ended long before the horizon, under the id that is used again now.
        rig.ended(40_000, job_name="long ago", id_job=5)
        rig.ended(20, job_name="late", id_job=5, visible_at=START + 250)
        await rig.once()
        await passes(rig, 700)
        assert named(rig) == ["5"]
        (call,) = [
            call for call in rig.cluster.calls("sacct") if "-j" in call.argv and "SubmitLine" in fields(call)
        ]
        assert call.argv[call.argv.index("-S") + 1] == f"uts{START - 110}"
        assert rig.names() == ["late"]


async def test_only_the_fields_that_are_configured_make_a_revision(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**REREAD, "revise": ["state", "end"]}) as rig:
        commented = rig.ended(20, job_name="commented")
        failed = rig.ended(21, job_name="failed")
        await rig.once()
        await passes(rig, 200)
        rig.cluster.update_job(commented, admin_comment="checked")
        rig.cluster.update_job(failed, admin_comment="checked", state="FAILED")
        await passes(rig, 600)
        assert fields(few(rig)[0]) == {"Cluster", "JobIDRaw", "Submit", "JobID", "DBIndex", "State", "End"}
        (revised,) = [record for record in rig.records() if record["event"] == "job_revised"]
        assert (revised["name"], revised["changed"]) == ("failed", {"state": ["COMPLETED", "FAILED"]})


async def test_without_fields_that_revise_there_are_no_revisions(tmp_path: Path) -> None:
    with Rig(tmp_path, poll={**REREAD, "revise": []}) as rig:
        key = rig.ended(20, job_name="job")
        await rig.once()
        await passes(rig, 200)
        rig.cluster.update_job(key, state="FAILED", exit_code=256)
        await passes(rig, 600)
        assert [record["event"] for record in rig.records()] == ["job_ended"]


async def test_another_dbindex_for_the_same_attempt_is_no_change(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        key = rig.ended(20, job_name="job", job_db_inx=17)
        await rig.once()
        rig.cluster.update_job(key, job_db_inx=11_533_718_717_099_999_232)
        await passes(rig, 700)
        assert few(rig)
        assert [record["event"] for record in rig.records()] == ["job_ended"]


async def test_dbindex_that_carries_another_submission_is_another_attempt(tmp_path: Path) -> None:
    with Rig(tmp_path, poll=REREAD) as rig:
        key = rig.ended(20, job_name="job", state="NODE_FAIL")
        others = [rig.ended(25, job_name="other", user=f"u{n}", id_user=2000 + n) for n in range(3)]
        await rig.once()
        # A bug of 23.11 and 24.05 writes the second attempt over the row of the first.
        rig.cluster.update_job(
            key, time_submit=START, time_start=START + 10, time_end=START + 60, state="COMPLETED"
        )
        await passes(rig, 700)
        mine = [record for record in rig.records() if record["name"] == "job"]
        assert [(r["event"], r["state"], r["db_index"]) for r in mine] == [
            ("job_ended", "NODE_FAIL", mine[0]["db_index"]),
            ("job_ended", "COMPLETED", mine[0]["db_index"]),
        ]
        assert len(rig.records()) == 2 + len(others)
