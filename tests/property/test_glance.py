"""Fields found in a line without parsing it are those that a parser finds, whatever users write into it."""

from typing import Any, cast

import orjson
from hypothesis import given
from hypothesis import strategies as st

from slurmwatchd.model import formats
from slurmwatchd.model.records import Event, EventKind, FoundBy, JobRecord
from slurmwatchd.sinks.forms.form import WrittenEvent
from slurmwatchd.sinks.forms.glance import GLANCED
from slurmwatchd.sinks.kafka.messages import Messages
from slurmwatchd.sinks.nats.subjects import Subjects

_HOSTILE = st.sampled_from(['","partition":"forged', "\\", 'a,"user":"b', '"', ",", '\\"', "ü\u2028", "{"])
_TEXT = st.lists(_HOSTILE | st.text(max_size=5), min_size=1, max_size=4).map("".join)
_MAYBE = st.none() | _TEXT

_RECORDS = st.fixed_dictionaries(
    {
        "cluster": _TEXT, "job_id": _TEXT, "job_id_raw": st.integers(0, 2**32), "name": _MAYBE, "user": _MAYBE,
        "account": _MAYBE, "partition": _MAYBE, "qos": _MAYBE, "state": _TEXT,
        "licenses": st.none() | st.dictionaries(_TEXT | st.just("partition"), st.integers(0, 9), max_size=2),
        "raw": st.none() | st.dictionaries(_TEXT, _TEXT, max_size=2),
    }
).map(lambda fields: JobRecord(**cast("dict[str, Any]", fields)))  # fmt: skip
_CHANGED = st.none() | st.dictionaries(
    st.sampled_from(["partition", "account", "user", "comment"]), st.tuples(_MAYBE, _MAYBE), min_size=1, max_size=3
)


def line(record: JobRecord, changed: object, time: int | None) -> bytes:
    event = Event(
        seq=7, id="941577fc-f651-5a1b-9c40-33d97360bfcf", kind=EventKind.JOB_REVISED, revision=2, time=time,
        observed=1_795_000_000, found_by=FoundBy.POLL, body=formats.body(formats.wire(record)), nodes=None,
        changed=None if changed is None else orjson.dumps(changed),
    )  # fmt: skip
    return formats.flat(event, max_line_bytes=1 << 30)


@given(record=_RECORDS, changed=_CHANGED, time=st.none() | st.just(1_795_000_000))
def test_what_is_found_is_what_is_parsed(record: JobRecord, changed: object, time: int | None) -> None:
    written = WrittenEvent("x", line(record, changed, time))
    parsed = orjson.loads(written.line)
    names = sorted(GLANCED)
    found = [orjson.loads(token) if token else None for token in written.tokens(names)]
    expected = [parsed.get(name) for name in names]
    # A license may be named as a field is: a number, where the field is a text.
    assert [None if isinstance(value, int) and name != "job_id_raw" else value
            for name, value in zip(names, found, strict=True)] == expected  # fmt: skip


@given(record=_RECORDS, time=st.none() | st.just(1_795_000_000))
def test_subject_and_message_are_those_of_the_parsed_fields(record: JobRecord, time: int | None) -> None:
    written = WrittenEvent("941577fc-f651-5a1b-9c40-33d97360bfcf", line(record, None, time))
    parsed = orjson.loads(written.line)
    subjects = Subjects("slurm.{cluster}.{event}.{user}")
    assert subjects.of_tokens(written.tokens(subjects.fields)) == subjects.of(parsed)
    (message,) = Messages("flat").of([written])
    assert message.key.decode() == f"{parsed['cluster']}/{parsed['job_id_raw']}"
    headers = {name: value.decode() for name, value in message.headers.items()}
    assert headers["ce_subject"] == f"job/{parsed['job_id']}"
    assert headers.get("ce_time") == parsed.get("time")
