"""Any row whatever, through reading, writing and the size guard: nothing fails, and nothing is lost."""

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from simslurm.versions import fields_of, release_of
from slurmwatchd.model.formats import body, flat, wire
from slurmwatchd.model.records import Event, EventKind, FoundBy, JobRecord, Rejected
from slurmwatchd.sources.sacct.fields import Layout
from tests.draws import draws
from tests.row_by_row import read_alone

LAYOUT = Layout([field.name for field in fields_of(release_of("26.05.5"))])
WIDTH = len(LAYOUT.fields)
INDEX = {name: index for index, name in enumerate(LAYOUT.fields)}

odd = st.sampled_from([
    b"", b"0", b"-1", b"7", b"4294967294", b"4294967295", b"18446744073709551615", b"9" * 40, b"1e400",
    b"nan", b"inf", b"None", b"Unknown", b"None assigned", b"(unknown)", b"UNLIMITED", b"Partition_Limit",
    b"INVALID", b"####", b"1-00:00:00", b"999999999-23:59:59", b"99999999999999-00:00:00", b"00:00:01", b"0:0",
    b"9" * 30 + b":0", b"CANCELLED by 4294967294", b"CANCELLED by " + b"9" * 30, b"12_[0-9%2]",
    b"12_" + b"9" * 30, b"12+1", b"12.batch", b"mem=9999999999999999999E", b"mem=1.5G,cpu=" + b"9" * 30,
    b"cpu=4,mem=4000M", b"=", b",", b"a=b=c", b"253402300800", b"99999999999", b"\xed\xa0\x80", b"\xff\xfe",
    b"\xf0\x9d\x84", "Zürich".encode(), "\u2028".encode(), b"\x00", b"\x7f\x1b[31m", b'"\\\n\r\t',
    b"</script>", "٣".encode(),
])  # fmt: skip
values = st.one_of(odd, odd, st.binary(max_size=40))
any_row = st.lists(values, min_size=WIDTH, max_size=WIDTH)
keyed_row = any_row.map(lambda row: [*keys(row)])


def keys(row: list[bytes]) -> list[bytes]:
    """Give a row a key, whatever the rest."""
    result = list(row)
    for name, value in (("Cluster", b"tux"), ("JobIDRaw", b"12"), ("Submit", b"1795436431")):
        result[INDEX[name]] = value
    return result


def event_of(record: JobRecord, nodes: bytes | None = None) -> Event:
    return Event(
        seq=1,
        id="929bfcde-667f-56bd-a4fc-b11ffb267c89",
        kind=EventKind.JOB_ENDED,
        revision=1,
        time=record.end,
        observed=1_795_436_435,
        found_by=FoundBy.POLL,
        body=body(wire(record)),
        nodes=nodes,
    )


def texts_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_in(part)]
    return [text for part in value for text in texts_in(part)] if isinstance(value, list) else []


@given(any_row)
@settings(max_examples=draws(200))
def test_any_row_is_a_line_of_json_or_handed_back_whole(row: list[bytes]) -> None:
    reading = read_alone(LAYOUT, row)
    if isinstance(reading, Rejected):
        assert reading.row == tuple(row)
        assert reading.fields == LAYOUT.fields
        return
    line = flat(event_of(reading.record), max_line_bytes=30_000)
    fields = json.loads(line)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert all(text.isprintable() or text.encode() for text in texts_in(fields))  # no lone surrogate
    assert "truncated" in fields or fields["job_id_raw"] == int(row[INDEX["JobIDRaw"]])


@given(keyed_row)
@settings(max_examples=draws(200))
def test_every_value_of_a_keyed_row_is_in_the_record_or_under_raw_or_says_that_there_is_none(
    row: list[bytes],
) -> None:
    nothing = {
        b"", b"None", b"Unknown", b"None assigned", b"(unknown)", b"4294967294", b"4294967295",
        b"UNLIMITED", b"Partition_Limit", b"INVALID",
    }  # fmt: skip
    reading = read_alone(LAYOUT, row)
    assert not isinstance(reading, Rejected)
    record = reading.record._asdict()
    raw = record.pop("raw") or {}
    slot_of = {
        "JobName": "name", "DBIndex": "db_index", "SLUID": "sluid", "WorkDir": "work_dir",
        "SubmitLine": "submit_line",
        "UID": "uid", "GID": "gid", "End": "end", "Eligible": "eligible", "Planned": "wait_seconds",
        "ElapsedRaw": "elapsed_seconds", "Suspended": "suspended_seconds", "TimelimitRaw": "timelimit_seconds",
        "NNodes": "node_count", "NCPUS": "cpus", "ReqTRES": "req_tres", "AllocTRES": "alloc_tres",
        "ExitCode": "exit_code", "DerivedExitCode": "derived_exit_code", "NodeList": "node_list", "Extra": "extra",
        "AdminComment": "admin_comment", "SystemComment": "system_comment", "FailedNode": "failed_node",
    }  # fmt: skip
    for name, value in zip(LAYOUT.fields, row, strict=True):
        slot = slot_of.get(name, name.lower())
        if name == "Start" and row[INDEX["NodeList"]] == b"None assigned":
            continue  # it never started, whatever stands there
        if slot in record and value not in nothing:
            assert record[slot] is not None or name in raw, name
    for name, text in raw.items():
        whole = row[INDEX[name]].decode(errors="backslashreplace")
        # Of a list it is what cannot be read of it.
        is_list = name in {"ReqTRES", "AllocTRES", "Licenses"}
        assert (set(text.split(",")) <= set(whole.split(","))) if is_list else text == whole


@given(keyed_row, st.integers(4096, 6000), st.integers(0, 3000))
@settings(max_examples=draws(80))
def test_no_line_is_longer_than_the_limit(row: list[bytes], limit: int, length: int) -> None:
    reading = read_alone(LAYOUT, row)
    assert not isinstance(reading, Rejected)
    texts = ("name", "submit_line", "work_dir", "comment", "admin_comment", "node_list", "user", "constraints")
    long: dict[str, Any] = {name: (getattr(reading.record, name) or "x") * (1 + length // 7) for name in texts}
    record = reading.record._replace(**long)
    line = flat(event_of(record), max_line_bytes=limit)
    fields = orjson.loads(line)
    assert len(line) <= limit
    assert fields["id"] == "929bfcde-667f-56bd-a4fc-b11ffb267c89"
    assert fields["job_id_raw"] == 12
    whole = orjson.loads(flat(event_of(record), max_line_bytes=1 << 24))
    uncut = set(whole) - set(fields.get("truncated", ()))
    assert {name: whole[name] for name in uncut} == {name: fields[name] for name in uncut}


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80).map(lambda text: text * 90),
    st.integers(0, 700).map(lambda count: [f"node{number}" for number in range(count)]),
    st.integers(4096, 9000),
)
@settings(max_examples=draws(100))
def test_the_longest_text_is_cut_before_node_names_go(text: str, nodes: list[str], limit: int) -> None:
    record = JobRecord(cluster="tux", job_id="12", job_id_raw=12, submit_line=text)
    event = event_of(record, orjson.dumps(nodes))
    line = flat(event, max_line_bytes=limit)
    fields = orjson.loads(line)
    assert len(line) <= limit
    assert flat(event, max_line_bytes=limit) == line
    assert ("nodes" in fields) is not ("nodes_omitted" in fields)
    if "nodes" in fields:
        assert fields["nodes"] == nodes
    else:
        # Without the text, but for the 256 bytes that stay of each, it would have been too long as well.
        bare = event_of(record._replace(submit_line=None), orjson.dumps(nodes))
        assert len(flat(bare, max_line_bytes=1 << 24)) + 256 + 120 > limit
    if "truncated" not in fields:
        assert fields["submit_line"] == text
    else:
        assert fields["truncated"] == ["submit_line"]
        assert text.startswith(fields["submit_line"])
        assert len(orjson.dumps(fields["submit_line"])) > 200
