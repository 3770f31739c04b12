"""A row of sacct becomes a record; a value that cannot be read costs itself, a row without key the row."""

from typing import Any

import orjson
import pytest

from simslurm.versions import fields_of, release_of
from slurmwatchd.model.formats import body, wire
from slurmwatchd.model.records import JobRecord, Rejected
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import Reading, read_alone
from tests.unit.read_rows import LAYOUT, record_of
from tests.unit.sacct_rows import (
    ARRAY_TASK,
    CANCELLED_PENDING_ARRAY,
    FAILED,
    HETEROGENEOUS,
    Row,
    ordered,
)


def rejected(row: list[bytes]) -> Rejected:
    result = read_alone(LAYOUT, row)
    assert isinstance(result, Rejected)
    return result


def filled(record: JobRecord) -> dict[str, Any]:
    return {name: value for name, value in record._asdict().items() if value is not None}


def available(version: str) -> list[str]:
    return [field.name for field in fields_of(release_of(version))]


def test_a_failed_job_is_read_whole() -> None:
    assert filled(record_of(FAILED)) == {
        "cluster": "tux",
        "job_id": "2",
        "job_id_raw": 2,
        "db_index": "3",
        "name": "plain",
        "user": "root",
        "uid": 0,
        "gid": 0,
        "account": "root",
        "partition": "main",
        "qos": "normal",
        "state": "FAILED",
        "exit_code": 3,
        "exit_signal": 0,
        "derived_exit_code": 0,
        "derived_exit_signal": 0,
        "submit": 1_795_436_431,
        "eligible": 1_795_436_431,
        "start": 1_795_436_432,
        "end": 1_795_436_432,
        "wait_seconds": 1,
        "elapsed_seconds": 0,
        "suspended_seconds": 0,
        "timelimit_seconds": 31_536_000,
        "node_count": 1,
        "cpus": 1,
        "node_list": "tux1",
        "req_tres": {"billing": 1, "cpu": 1, "mem_bytes": 2_097_152_000, "node": 1},
        "alloc_tres": {"billing": 1, "cpu": 1, "node": 1},
        "work_dir": "/home/ann",
        "submit_line": "/usr/bin/sbatch --parsable -J plain --wrap srun -n1 hostname; exit 3",
        "admin_comment": "adm",
        "flags": ["SchedBackfill", "StartRecieved"],
        "priority": 4_294_901_758,
        "outcome": "failed",
    }


def test_an_array_cancelled_while_pending_is_one_row_that_never_started() -> None:
    record = record_of(CANCELLED_PENDING_ARRAY)
    assert record.job_id == "8_[0-99:3%4]"
    assert (record.array_job_id, record.array_task_id, record.array_tasks) == (8, None, "0-99:3%4")
    assert (record.state, record.cancelled_by_uid) == ("CANCELLED", 0)
    assert (record.eligible, record.start, record.end) == (None, None, 1_795_436_460)
    assert record.node_list is None
    assert record.alloc_tres is None
    assert record.reason == "JobHeldUser"


def test_an_array_task_names_its_array() -> None:
    record = record_of(ARRAY_TASK)
    assert (record.job_id, record.job_id_raw) == ("6_0", 15)
    assert (record.array_job_id, record.array_task_id, record.array_tasks) == (6, 0, None)
    assert record.admin_comment == "a b"


def test_a_component_of_a_heterogeneous_job_names_its_leader() -> None:
    record = record_of(HETEROGENEOUS)
    assert (record.het_job_id, record.het_job_offset) == (9, 0)
    assert record.timelimit_seconds is None
    assert record.raw is None


@pytest.mark.parametrize("start", [b"None", b"Unknown", b"1795436460", b""])
def test_a_job_without_nodes_never_started_whatever_its_start_says(start: bytes) -> None:
    record = record_of(CANCELLED_PENDING_ARRAY, Start=start, End=b"1795436460")
    assert record.start is None
    assert record.node_list is None
    assert wire(record)["start"] is None
    assert record.raw is None


@pytest.mark.parametrize("start", [b"None", b"Unknown"])
def test_a_start_that_never_was_is_none_even_beside_a_node_list(start: bytes) -> None:
    assert record_of(FAILED, Start=start).start is None


def test_a_job_that_ended_the_second_it_started_keeps_its_start() -> None:
    assert record_of(FAILED, Start=b"1795436432", End=b"1795436432").start == 1_795_436_432


@pytest.mark.parametrize("nodes", [b"None assigned", b"(unknown)", b""])
def test_slurms_words_for_no_nodes_are_no_node_list(nodes: bytes) -> None:
    assert record_of(FAILED, NodeList=nodes).node_list is None


def test_an_end_that_slurm_never_dated_is_absent() -> None:
    assert record_of(FAILED, End=b"Unknown").end is None


@pytest.mark.parametrize(
    ("name", "value", "slot", "kept"),
    [
        ("DBIndex", b"-3", "db_index", "-3"),
        ("UID", b"nobody", "uid", "nobody"),
        ("Eligible", b"2026-11-23T12:20:31", "eligible", "2026-11-23T12:20:31"),
        ("End", b"####", "end", "####"),
        ("Start", b"####", "start", "####"),
        ("Reserved", b"UNLIMITED", "wait_seconds", "UNLIMITED"),
        ("ElapsedRaw", b"1_0", "elapsed_seconds", "1_0"),
        ("ElapsedRaw", b"9" * 40, "elapsed_seconds", "9" * 40),
        ("TimelimitRaw", b"1-00:00", "timelimit_seconds", "1-00:00"),
        ("NNodes", b"4K", "node_count", "4K"),
        ("ReqTRES", b"NONE", "req_tres", "NONE"),
        ("AllocTRES", b"mem=\xff", "alloc_tres", "mem=\\xff"),
        ("ExitCode", b"3", "exit_code", "3"),
        ("DerivedExitCode", b"x:y", "derived_exit_code", "x:y"),
        ("Priority", b"high", "priority", "high"),
        ("ElapsedRaw", b"4294967290", "elapsed_seconds", "4294967290"),
        ("NNodes", b"4294967290", "node_count", "4294967290"),
        ("NCPUS", b"-1", "cpus", "-1"),
        ("Eligible", b"later", "eligible", "later"),
    ],
)
def test_a_value_that_cannot_be_read_is_kept_as_text_and_costs_nothing_else(
    name: str, value: bytes, slot: str, kept: str
) -> None:
    plain, odd = record_of(FAILED)._asdict(), record_of(FAILED, **{name: value})._asdict()
    assert odd["raw"] == {name: kept}
    assert odd[slot] is None
    unequal = {field for field in plain if plain[field] != odd[field]}
    assert unequal <= {slot, "raw", slot.replace("_code", "_signal")}


@pytest.mark.parametrize(("name", "slot"), [("ReqTRES", "req_tres"), ("AllocTRES", "alloc_tres")])
def test_an_amount_of_tres_that_cannot_be_read_costs_nothing_beside_it(name: str, slot: str) -> None:
    value = b"billing=1,cpu=1,energy=18446744073709551616.00,gres/gpu:a100=2,gres/gpu=2,mem=2000M,node=1"
    record = record_of(FAILED, **{name: value})
    assert getattr(record, slot) == {
        "billing": 1, "cpu": 1, "gres/gpu:a100": 2, "gres/gpu": 2, "mem_bytes": 2_097_152_000, "node": 1,
    }  # fmt: skip
    assert record.raw == {name: "energy=18446744073709551616.00"}


@pytest.mark.parametrize(
    ("energy", "seconds", "nodes", "is_believed"),
    [
        # A million watts a node, and a second more than the run: it is counted in whole ones.
        (b"11000000", 10, b"1", True),
        (b"11000001", 10, b"1", False),
        (b"22000000", 10, b"2", True),
        (b"999999999999999999", 10, b"2", False),
        (b"1000000", 0, b"1", True),
        (b"1000001", 0, b"1", False),
    ],
)
def test_more_energy_than_a_million_watts_a_node_is_no_measurement(
    energy: bytes, seconds: int, nodes: bytes, *, is_believed: bool
) -> None:
    record = record_of(
        FAILED,
        End=b"%d" % (1_795_436_432 + seconds),
        NNodes=nodes,
        AllocTRES=b"cpu=1,energy=" + energy + b",node=1",
    )
    believed = {"cpu": 1, "energy_joules": int(energy), "node": 1}
    assert record.alloc_tres == (believed if is_believed else {"cpu": 1, "node": 1})
    assert record.raw == (None if is_believed else {"AllocTRES": f"energy={int(energy)}"})


def test_energy_is_believed_where_nobody_knows_how_long_or_on_how_many_nodes_it_was_used() -> None:
    for odd in ({"NNodes": b"4294967294"}, {"End": b"Unknown"}, {"NodeList": b"None assigned"}):
        record = record_of(FAILED, AllocTRES=b"energy=999999999999999999", **odd)
        assert record.alloc_tres == {"energy_joules": 999_999_999_999_999_999}


def test_a_start_before_2000_is_no_start_and_nothing_is_counted_from_it() -> None:
    record = record_of(FAILED, Start=b"1", ElapsedRaw=b"946684801", End=b"946684802")
    assert (record.start, record.elapsed_seconds) == (None, None)
    assert record.raw == {"Start": "1", "ElapsedRaw": "946684801"}
    assert record.wait_seconds == 1


def test_an_eligible_time_before_2000_is_none_and_nothing_is_counted_from_it() -> None:
    record = record_of(FAILED, Eligible=b"1", Reserved=b"9000-00:00:00")
    assert (record.eligible, record.wait_seconds) == (None, None)
    assert record.raw == {"Eligible": "1", "Reserved": "9000-00:00:00"}
    assert record.start == 1_795_436_432


# As 26.05.5 printed the row of a job whose start message slurmctld lost: whoever owned it.
UNTOLD: Row = {
    **FAILED, "JobName": b"allocation", "User": b"root", "UID": b"0", "GID": b"0", "Partition": b"",
    "TimelimitRaw": b"0", "Priority": b"0", "SubmitLine": b"", "WorkDir": b"",
}  # fmt: skip


def test_what_slurmdbd_fills_in_where_it_was_never_told_of_a_start_is_left_out_and_said() -> None:
    record = record_of(UNTOLD)
    assert record.incomplete is True
    invented = (record.name, record.user, record.uid, record.gid, record.timelimit_seconds, record.priority)
    assert invented == (None,) * 6
    assert (record.state, record.account, record.start, record.cpus) == ("FAILED", "root", 1_795_436_432, 1)
    assert record.raw is None


def test_a_job_that_is_called_so_and_a_row_without_a_partition_are_whole() -> None:
    called = record_of({**FAILED, "JobName": b"allocation"})
    assert (called.incomplete, called.name, called.uid) == (None, "allocation", 0)
    elsewhere = record_of({**FAILED, "Partition": b""})
    assert (elsewhere.incomplete, elsewhere.name, elsewhere.uid) == (None, "plain", 0)
    owned = record_of(UNTOLD, UID=b"1000", User=b"ann", Priority=b"0")
    assert (owned.incomplete, owned.name, owned.uid, owned.priority) == (None, "allocation", 1000, 0)


def test_slurms_zero_is_no_sluid() -> None:
    layout = Layout(available("26.05.5"))
    row = {**FAILED, "SLUID": b"s2XYZ0000000AB", "OriginalSLUID": b"s0000000000000"}
    reading = read_alone(layout, ordered(row, layout.fields))
    assert isinstance(reading, Reading)
    assert (reading.record.sluid, reading.record.original_sluid) == ("s2XYZ0000000AB", None)


def test_several_odd_values_are_all_kept() -> None:
    record = record_of(FAILED, UID=b"x", GID=b"y", End=b"z")
    assert record.raw == {"UID": "x", "GID": "y", "End": "z"}


def test_a_job_id_of_an_unknown_form_is_kept_and_noted() -> None:
    record = record_of(FAILED, JobID=b"2~1")
    assert record.job_id == "2~1"
    assert record.raw == {"JobID": "2~1"}


def test_who_cancelled_is_not_guessed_at() -> None:
    record = record_of(FAILED, State=b"CANCELLED by ann")
    assert (record.state, record.cancelled_by_uid) == ("CANCELLED", None)
    assert record.raw == {"State": "CANCELLED by ann"}


@pytest.mark.parametrize("state", [b"", b" by ann"])
def test_a_state_without_its_word_is_unknown(state: bytes) -> None:
    assert record_of(FAILED, State=state).state == "UNKNOWN"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Cluster": b""}, "Cluster is empty"),
        ({"JobIDRaw": b""}, "JobIDRaw is b'', not a number"),
        ({"JobIDRaw": b"2.batch"}, "JobIDRaw is b'2.batch', not a number"),
        ({"JobIDRaw": b"2_1"}, "JobIDRaw is b'2_1', not a number"),
        ({"JobIDRaw": b"-2"}, "JobIDRaw is b'-2', not a number"),
        ({"JobIDRaw": b"9" * 30}, f"JobIDRaw is b'{'9' * 30}', not a number"),
        ({"Submit": b"Unknown"}, "Submit is b'Unknown', not a time"),
        ({"Submit": b"None"}, "Submit is b'None', not a time"),
        ({"Submit": b" 1"}, "Submit is b' 1', not a time"),
        ({"Submit": b"9" * 30}, f"Submit is b'{'9' * 30}', not a time"),
    ],
)
def test_a_row_without_a_key_is_handed_back_whole(values: dict[str, bytes], reason: str) -> None:
    row = ordered({**FAILED, **values}, LAYOUT.fields)
    result = rejected(row)
    assert result.reason == reason
    assert result.row == tuple(row)
    assert result.fields == LAYOUT.fields


def test_a_long_bad_key_is_shown_in_part_and_kept_whole() -> None:
    row = ordered({**FAILED, "JobIDRaw": b"x" * 100_000}, LAYOUT.fields)
    result = rejected(row)
    assert len(result.reason) < 200
    assert result.row == tuple(row)


@pytest.mark.parametrize(
    "hostile", [b"new\nline", b"a|b\x1fc", b"\xff\xfe", b"\xed\xa0\x80", b"</script>", b"\x00"]
)
def test_hostile_bytes_in_any_text_reach_the_wire_as_text(hostile: bytes) -> None:
    texts = ("Cluster", "JobID", "JobName", "User", "Partition", "SubmitLine", "Comment", "WorkDir", "NodeList")
    record = record_of(FAILED, **dict.fromkeys(texts, hostile))
    fields = orjson.loads(body(wire(record)))
    expected = hostile.decode(errors="backslashreplace")
    assert [fields[name] for name in ("name", "user", "submit_line", "cluster", "node_list")] == [expected] * 5
