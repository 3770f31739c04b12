"""Who is who: the ids of events, and the shape of a record."""

import uuid

from slurmwatchd.model.event_ids import NAMESPACE, event_id, event_ids
from slurmwatchd.model.records import SCHEMA, EventKind, FoundBy, JobRecord
from slurmwatchd.store.read.outcomes import BEHIND_OUTCOME


def test_the_id_of_an_event_is_what_uuid5_makes_of_its_name() -> None:
    # Made once with `uuid.uuid5` by hand; a change here breaks every consumer that dedupes.
    assert event_id("tux", 7, 1_795_436_431, "job_ended", 1) == "929bfcde-667f-56bd-a4fc-b11ffb267c89"
    assert str(uuid.uuid5(NAMESPACE, "tux/7/1795436431/job_ended/1")) == "929bfcde-667f-56bd-a4fc-b11ffb267c89"


def test_ids_of_many_are_those_of_each() -> None:
    """From some number on they are written together."""
    keys = [(number, 1_795_436_424 + number) for number in range(300)]
    many = event_ids("tux", keys, "job_ended", 1)
    assert many[7] == "929bfcde-667f-56bd-a4fc-b11ffb267c89"
    assert many == [str(uuid.uuid5(NAMESPACE, f"tux/{number}/{submit}/job_ended/1")) for number, submit in keys]
    assert event_ids("tux", keys[:20], "job_ended", 1) == many[:20]
    assert event_ids("tux", [], "job_ended", 1) == []


def test_the_namespace_and_the_schema_are_part_of_the_wire_format() -> None:
    assert str(NAMESPACE) == "6f2b1c0e-5d0a-5b8e-9a43-1f7c5e2d9b60"
    assert SCHEMA == 1


def test_each_part_of_the_key_makes_another_id() -> None:
    ids = {
        event_id("tux", 7, 100, EventKind.JOB_ENDED, 1),
        event_id("tuy", 7, 100, EventKind.JOB_ENDED, 1),
        event_id("tux", 8, 100, EventKind.JOB_ENDED, 1),
        event_id("tux", 7, 101, EventKind.JOB_ENDED, 1),
        event_id("tux", 7, 100, EventKind.JOB_REVISED, 1),
        event_id("tux", 7, 100, EventKind.JOB_ENDED, 2),
    }
    assert len(ids) == 6


def test_a_kind_and_its_text_name_the_same_event() -> None:
    assert event_id("tux", 7, 100, EventKind.JOB_REVISED, 2) == event_id("tux", 7, 100, "job_revised", 2)


def test_the_words_on_the_wire_are_these() -> None:
    assert [str(kind) for kind in EventKind] == ["job_ended", "job_usage", "job_revised"]
    assert [str(found) for found in FoundBy] == ["poll", "reread", "open_set", "backfill"]


def test_what_nobody_asked_for_is_absent_from_a_record() -> None:
    record = JobRecord(cluster="tux", job_id="7", job_id_raw=7)
    filled = {name: value for name, value in record._asdict().items() if value is not None}
    assert filled == {"cluster": "tux", "job_id": "7", "job_id_raw": 7, "state": "UNKNOWN", "submit": 0}


def test_what_stands_behind_the_outcome_is_known_without_the_record() -> None:
    assert JobRecord._fields[JobRecord._fields.index("outcome") + 1 :] == BEHIND_OUTCOME
