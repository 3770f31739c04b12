"""Lines of the `flat` format, byte for byte."""

import json
import subprocess
import sys
from typing import Any, get_type_hints

import pytest

from slurmwatchd.model.formats import body, flat, flat_lines, moments, wire
from slurmwatchd.model.records import Event, EventKind, FoundBy, JobRecord
from tests.patience import HANGS_SECONDS

FINISHED = JobRecord(
    cluster="tux",
    job_id="6_0",
    job_id_raw=15,
    array_job_id=6,
    array_task_id=0,
    db_index="7203094317895823360",
    name="arr",
    user="ann",
    uid=1000,
    state="COMPLETED",
    exit_code=0,
    exit_signal=0,
    submit=1_795_436_431,
    eligible=1_795_436_432,
    start=1_795_436_432,
    end=1_795_436_433,
    elapsed_seconds=1,
    node_count=2,
    cpus=2,
    node_list="tux[1-2]",
    alloc_tres={"cpu": 2, "mem_bytes": 4_194_304_000, "gres/gpu:a100": 4},
)

FINISHED_LINE = (
    b'{"id":"929bfcde-667f-56bd-a4fc-b11ffb267c89","event":"job_ended","schema":1,"seq":41,"revision":1,'
    b'"time":"2026-11-23T12:20:33Z","observed":"2026-11-23T12:20:35Z","found_by":"poll",'
    b'"cluster":"tux","job_id":"6_0","job_id_raw":15,"array_job_id":6,"array_task_id":0,'
    b'"db_index":"7203094317895823360","name":"arr","user":"ann","uid":1000,"state":"COMPLETED",'
    b'"exit_code":0,"exit_signal":0,"submit":"2026-11-23T12:20:31Z","eligible":"2026-11-23T12:20:32Z",'
    b'"start":"2026-11-23T12:20:32Z","end":"2026-11-23T12:20:33Z","elapsed_seconds":1,"node_count":2,"cpus":2,'
    b'"node_list":"tux[1-2]","alloc_tres":{"cpu":2,"mem_bytes":4194304000,"gres/gpu:a100":4},'
    b'"nodes":["tux1","tux2"]}\n'
)


def event(record: JobRecord = FINISHED, **fields: Any) -> Event:  # noqa: ANN401 - of many types
    return Event(
        **{
            "seq": 41,
            "id": "929bfcde-667f-56bd-a4fc-b11ffb267c89",
            "kind": EventKind.JOB_ENDED,
            "revision": 1,
            "time": record.end,
            "observed": 1_795_436_435,
            "found_by": FoundBy.POLL,
            "body": body(wire(record)),
            **fields,
        }
    )


def names(count: int) -> bytes:
    return json.dumps([f"node{number:05d}" for number in range(count)], separators=(",", ":")).encode()


def test_a_finished_array_task_is_this_line() -> None:
    assert flat(event(nodes=b'["tux1","tux2"]'), max_line_bytes=30_000) == FINISHED_LINE


def test_each_line_of_many_says_its_own_origin() -> None:
    """What neighbours have alike is written once for all of them."""
    undated = FINISHED._replace(end=None)
    usage = EventKind.JOB_USAGE
    lines = flat_lines(
        [
            event(nodes=b'["tux1","tux2"]'),
            event(seq=42, id="b", time=1_795_436_434),
            event(undated, seq=43, id="c"),
            event(
                seq=44, id="d", revision=2, kind=EventKind.JOB_REVISED, changed=b'{"state":["FAILED","TIMEOUT"]}'
            ),
            event(seq=45, id="e", observed=1_795_436_436, found_by=FoundBy.REREAD),
            event(seq=46, id="f", observed=1_795_436_436, found_by=FoundBy.REREAD, kind=usage),
        ],
        max_line_bytes=30_000,
    )
    assert lines[0] == FINISHED_LINE
    told = ("seq", "id", "event", "revision", "time", "observed", "found_by", "changed")
    assert [tuple(json.loads(line).get(name) for name in told) for line in lines[1:]] == [
        (42, "b", "job_ended", 1, "2026-11-23T12:20:34Z", "2026-11-23T12:20:35Z", "poll", None),
        (43, "c", "job_ended", 1, None, "2026-11-23T12:20:35Z", "poll", None),
        (44, "d", "job_revised", 2, "2026-11-23T12:20:33Z", "2026-11-23T12:20:35Z", "poll",
         {"state": ["FAILED", "TIMEOUT"]}),
        (45, "e", "job_ended", 1, "2026-11-23T12:20:33Z", "2026-11-23T12:20:36Z", "reread", None),
        (46, "f", "job_usage", 1, "2026-11-23T12:20:33Z", "2026-11-23T12:20:36Z", "reread", None),
    ]  # fmt: skip


def test_moments_are_written_to_the_second_over_hours_days_and_years() -> None:
    assert moments([0, 59, 3599, 3600, 86_399, 1_709_251_199, 1_798_761_600, 99_999_999_999]) == [
        b'"1970-01-01T00:00:00Z"',
        b'"1970-01-01T00:00:59Z"',
        b'"1970-01-01T00:59:59Z"',
        b'"1970-01-01T01:00:00Z"',
        b'"1970-01-01T23:59:59Z"',
        b'"2024-02-29T23:59:59Z"',
        b'"2027-01-01T00:00:00Z"',
        b'"5138-11-16T09:46:39Z"',
    ]


def test_the_dedupe_key_comes_first_and_the_nodes_last() -> None:
    keys = list(json.loads(FINISHED_LINE))
    assert keys[:8] == ["id", "event", "schema", "seq", "revision", "time", "observed", "found_by"]
    assert keys[-1] == "nodes"


def test_the_same_event_is_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys\n"
        "from slurmwatchd.model.formats import flat\n"
        "from slurmwatchd.model.records import Event\n"
        "fields = eval(sys.argv[1])\n"
        "sys.stdout.buffer.write(flat(Event(**fields), max_line_bytes=4096))\n"
    )
    record = JobRecord(
        cluster="tux", job_id="1", job_id_raw=1, name="x" * 2500, comment="y" * 2500, user="z" * 2500
    )
    fields = {
        "seq": 1, "id": "i", "kind": "job_ended", "revision": 1, "time": 5, "observed": 6, "found_by": "poll",
        "body": body(wire(record)),
    }  # fmt: skip
    expected = flat(Event(**fields), max_line_bytes=4096)  # type: ignore[arg-type]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, repr(fields)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            timeout=HANGS_SECONDS,
        )
        assert done.stdout == expected


def test_an_attempt_that_never_started_says_so_with_null() -> None:
    fields = wire(FINISHED._replace(start=None))
    assert fields["start"] is None
    assert list(fields) == list(wire(FINISHED))


def test_absent_is_absent_and_an_undated_event_has_no_time() -> None:
    record = JobRecord(cluster="tux", job_id="7", job_id_raw=7, submit=1_795_436_431)
    line = json.loads(flat(event(record), max_line_bytes=30_000))
    assert line == {
        "id": "929bfcde-667f-56bd-a4fc-b11ffb267c89",
        "event": "job_ended",
        "schema": 1,
        "seq": 41,
        "revision": 1,
        "observed": "2026-11-23T12:20:35Z",
        "found_by": "poll",
        "cluster": "tux",
        "job_id": "7",
        "job_id_raw": 7,
        "state": "UNKNOWN",
        "submit": "2026-11-23T12:20:31Z",
        "start": None,
    }


def test_a_revision_tells_what_changed() -> None:
    line = flat(
        event(kind=EventKind.JOB_REVISED, revision=2, changed=b'{"comment":[null,"new"]}', nodes=b'["tux1"]'),
        max_line_bytes=30_000,
    )
    assert line.endswith(b'"changed":{"comment":[null,"new"]},"nodes":["tux1"]}\n')
    assert json.loads(line)["revision"] == 2


def test_a_newline_or_a_quote_in_a_name_stays_inside_its_string() -> None:
    hostile = 'a\n{"id":"forged"}\r\n"\\\u2028</script>\x00\x7f'
    line = flat(event(FINISHED._replace(name=hostile)), max_line_bytes=30_000)
    assert line.count(b"\n") == 1
    assert json.loads(line)["name"] == hostile


def test_a_line_that_fits_exactly_is_left_alone() -> None:
    assert flat(event(nodes=names(500)), max_line_bytes=30_000).endswith(b'"node00499"]}\n')
    exact = len(flat(event(nodes=names(500)), max_line_bytes=30_000))
    assert b"nodes_omitted" not in flat(event(nodes=names(500)), max_line_bytes=exact)
    assert b"nodes_omitted" in flat(event(nodes=names(500)), max_line_bytes=exact - 1)


def test_a_line_one_byte_too_long_is_shortened() -> None:
    long = event(FINISHED._replace(work_dir="/w" * 3000))
    exact = len(flat(long, max_line_bytes=30_000))
    assert b'"truncated"' not in flat(long, max_line_bytes=exact)
    cut = flat(long, max_line_bytes=exact - 1)
    assert len(cut) < exact
    assert json.loads(cut)["truncated"] == ["work_dir"]


def test_a_long_text_is_cut_and_the_node_names_stay() -> None:
    """A submit line of 40,000 bytes, on four nodes."""
    record = FINISHED._replace(submit_line="/usr/bin/sbatch " + "x" * 40_000, comment="c" * 300)
    whole = flat(event(record, nodes=names(4)), max_line_bytes=30_000)
    line = json.loads(whole)
    assert 29_800 < len(whole) <= 30_000
    assert line["nodes"] == ["node00000", "node00001", "node00002", "node00003"]
    assert (line["truncated"], line["comment"]) == (["submit_line"], "c" * 300)
    assert line["submit_line"].startswith("/usr/bin/sbatch xxx")
    assert "nodes_omitted" not in line


def test_lists_too_are_left_out_before_the_node_names() -> None:
    fields = {**wire(FINISHED), "usage": {"steps": 900, "complete": True}, "steps": [{"id": "0"}] * 900}
    long = event(kind=EventKind.JOB_USAGE, body=body(fields), nodes=names(100))
    line = json.loads(flat(long, max_line_bytes=4096))
    assert (len(line["nodes"]), line["truncated"]) == (100, ["steps"])


def test_the_node_names_go_where_long_texts_leave_them_no_room_and_the_texts_get_it() -> None:
    record = FINISHED._replace(submit_line="x" * 3000, comment="c" * 200)
    line = json.loads(flat(event(record, nodes=names(300)), max_line_bytes=4096))
    assert (line["nodes_omitted"], "nodes" in line) == (True, False)
    assert line["submit_line"] == "x" * 3000 or line["truncated"] == ["submit_line"]
    assert (len(line["submit_line"]) > 2500, line["comment"]) == (True, "c" * 200)


def test_a_compact_list_of_nodes_is_whole_or_not_there() -> None:
    record = FINISHED._replace(node_list="n[1-3,5-7]" * 500, submit_line="x" * 3000)
    line = json.loads(flat(event(record, nodes=names(1000)), max_line_bytes=6144))
    assert (line["node_list"], line["truncated"]) == ("n[1-3,5-7]" * 500, ["submit_line"])
    line = json.loads(flat(event(record, nodes=names(1000)), max_line_bytes=4096))
    assert ("node_list" in line, line["truncated"]) == (False, ["node_list"])
    assert line["submit_line"] == "x" * 3000


def test_the_texts_of_a_change_are_cut_and_the_change_stays() -> None:
    changed = json.dumps({"comment": ["o" * 9000, "n"], "state": ["RUNNING", "FAILED"]}).encode()
    line = json.loads(
        flat(event(kind=EventKind.JOB_REVISED, revision=2, changed=changed, nodes=names(4)), max_line_bytes=4096)
    )
    assert line["truncated"] == ["changed.comment"]
    before, after = line["changed"]["comment"]
    assert (set(before), len(before) > 2000, after) == ({"o"}, True, "n")
    assert line["changed"]["state"] == ["RUNNING", "FAILED"]
    assert len(line["nodes"]) == 4


def test_a_text_that_is_not_long_is_no_reason_to_cut_it() -> None:
    """Two hundred and fifty-six bytes of each text are there as long as there is anything else to leave out."""
    record = FINISHED._replace(work_dir="w" * 200, comment="c" * 250, submit_line="é" * 3000)
    for count in range(200, 320, 5):
        line = json.loads(flat(event(record, nodes=names(count)), max_line_bytes=4096))
        assert (line["work_dir"], line["comment"]) == ("w" * 200, "c" * 250)
        assert len(line["submit_line"].encode()) >= 250
        assert ("nodes" in line) is not ("nodes_omitted" in line)


def test_a_line_that_is_too_long_by_its_node_names_alone_loses_them_and_nothing_else() -> None:
    line = json.loads(flat(event(nodes=names(1000)), max_line_bytes=4096))
    assert "nodes" not in line
    assert line["nodes_omitted"] is True
    assert line["node_list"] == "tux[1-2]"
    assert "truncated" not in line


def test_then_its_longest_text_is_cut_and_named() -> None:
    record = FINISHED._replace(submit_line="/usr/bin/sbatch " + "x" * 50_000, comment="short")
    whole = flat(event(record, nodes=names(1000)), max_line_bytes=4096)
    line = json.loads(whole)
    assert len(whole) <= 4096
    assert line["truncated"] == ["submit_line"]
    assert line["submit_line"].startswith("/usr/bin/sbatch xxx")
    assert line["comment"] == "short"
    assert line["nodes_omitted"] is True


def test_a_usage_keeps_its_numbers_and_loses_what_could_not_be_parsed() -> None:
    unread = {f"{step}.TRESUsageInTot": "energy=18446744073709547520" for step in range(700)}
    fields = {**wire(FINISHED), "usage": {"cpu_seconds": 1.5, "steps": 700, "complete": True, "raw": unread}}
    long = event(kind=EventKind.JOB_USAGE, body=body(fields))
    line = json.loads(flat(long, max_line_bytes=4096))
    assert line["usage"] == {"cpu_seconds": 1.5, "steps": 700, "complete": True}
    assert line["truncated"] == ["usage.raw"]
    assert line["name"] == "arr"
    exact = len(flat(long, max_line_bytes=1_000_000))
    assert json.loads(flat(long, max_line_bytes=exact))["usage"]["raw"] == unread


def test_a_line_of_nothing_but_long_values_ends_within_its_limit() -> None:
    texts = ("name", "user", "account", "comment", "work_dir", "submit_line", "node_list", "job_id", "cluster")
    long: dict[str, Any] = dict.fromkeys(texts, "x" * 5000)
    record = FINISHED._replace(**long, flags=["y" * 300] * 100)
    unread = {f"{step}.TRESUsageInTot": "z" * 50 for step in range(700)}
    fields = {
        **wire(record),
        "usage": {"steps": 700, "complete": True, "raw": unread},
        "steps": [{"id": "0"}] * 900,
    }
    line = flat(event(kind=EventKind.JOB_USAGE, body=body(fields), nodes=names(1000)), max_line_bytes=4096)
    assert 3000 < len(line) <= 4096
    assert {"usage.raw", "steps", "flags"} < set(json.loads(line)["truncated"])


def test_a_cut_text_keeps_most_of_what_there_is_room_for() -> None:
    line = flat(event(FINISHED._replace(submit_line="x" * 50_000)), max_line_bytes=30_000)
    assert 29_800 < len(line) <= 30_000


@pytest.mark.parametrize("character", ["\x01", "é", "𝄞", '"', "\\", "\x7f"])
def test_characters_that_take_several_bytes_on_the_wire_count_as_many(character: str) -> None:
    line = flat(event(FINISHED._replace(submit_line=character * 40_000)), max_line_bytes=30_000)
    assert 29_000 < len(line) <= 30_000
    assert set(json.loads(line)["submit_line"]) == {character}


def test_of_two_equally_long_texts_the_first_on_the_wire_is_cut() -> None:
    record = FINISHED._replace(work_dir="w" * 3000, comment="c" * 3000)
    line = json.loads(flat(event(record), max_line_bytes=6144))
    assert line["truncated"] == ["work_dir"]
    assert line["comment"] == "c" * 3000


def test_a_record_long_in_every_text_still_fits_and_keeps_its_head() -> None:
    texts: dict[str, Any] = {
        name: "\x01" * 255
        for name, kind in get_type_hints(JobRecord).items()
        if kind == str | None and name != "db_index"
    }
    record = FINISHED._replace(**texts, raw={"Elapsed": "?" * 4000})
    whole = flat(event(record, changed=b'{"comment":["' + b"o" * 9000 + b'",null]}'), max_line_bytes=4096)
    line = json.loads(whole)
    assert len(whole) <= 4096
    assert line["id"] == "929bfcde-667f-56bd-a4fc-b11ffb267c89"
    assert line["job_id_raw"] == 15
    assert line["submit"] == "2026-11-23T12:20:31Z"
    assert len(texts) > 20


def test_the_attempts_key_is_whole_where_it_is_the_longest_value_there_is() -> None:
    record = JobRecord(cluster="tux", job_id="7", job_id_raw=7, submit=1_795_436_431, name="x" * 18, user="y" * 18)
    exact = len(flat(event(record), max_line_bytes=4096))
    line = json.loads(flat(event(record), max_line_bytes=exact - 1))
    assert (line["job_id_raw"], line["submit"]) == (7, "2026-11-23T12:20:31Z")
    assert line["truncated"] == ["name"]
    assert ("name" in line, line["user"]) == (False, "y" * 18)


def test_a_value_that_is_no_text_is_left_out_whole() -> None:
    line = json.loads(flat(event(FINISHED._replace(raw={"Elapsed": "?" * 9000})), max_line_bytes=4096))
    assert "raw" not in line
    assert line["truncated"] == ["raw"]
