"""Which fields sacct is asked for, by what it has."""

from typing import Any

import pytest

from simslurm.versions import fields_of, release_of
from slurmwatchd.model.records import JobRecord
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import Reading, read_alone
from tests.unit.read_rows import LAYOUT, digest_of, record_of
from tests.unit.sacct_rows import (
    FAILED,
    FIELDS_22_05,
    ordered,
)


def filled(record: JobRecord) -> dict[str, Any]:
    return {name: value for name, value in record._asdict().items() if value is not None}


def available(version: str) -> list[str]:
    return [field.name for field in fields_of(release_of(version))]


@pytest.mark.parametrize(
    ("version", "count", "there", "not_there"),
    [
        ("20.11.9", 39, {"Reserved"}, {"Planned", "SubmitLine", "Container", "Extra", "Restarts"}),
        ("22.05.8", 41, {"Reserved", "SubmitLine", "Container"}, {"Planned", "Extra", "Licenses", "SLUID"}),
        ("23.02.7", 44, {"Planned", "Extra", "FailedNode", "Licenses"}, {"Reserved", "Restarts", "SLUID"}),
        ("24.11.5", 50, {"Planned", "Restarts", "SLUID"}, {"Reserved"}),
        ("26.05.5", 55, {"Planned", "Restarts", "SLUID", "OriginalSLUID"}, {"Reserved"}),
    ],
)
def test_each_release_is_asked_for_just_what_it_prints(
    version: str, count: int, there: set[str], not_there: set[str]
) -> None:
    fields = set(Layout(available(version)).fields)
    assert len(fields) == count
    assert there <= fields
    assert not fields & not_there


def test_22_05_is_asked_for_these_fields() -> None:
    assert sorted(Layout(available("22.05.8")).fields) == sorted(FIELDS_22_05)


@pytest.mark.parametrize("names", [["Reserved", "Planned"], ["Planned", "Reserved"]])
def test_the_newer_of_two_names_for_the_wait_is_asked_for(names: list[str]) -> None:
    layout = Layout(["Cluster", "JobIDRaw", "Submit", "JobID", "State", *names])
    reading = read_alone(layout, ordered({**FAILED, "Planned": b"00:01:40"}, layout.fields))
    assert set(layout.fields) == {"Cluster", "JobIDRaw", "Submit", "JobID", "State", "Planned"}
    assert isinstance(reading, Reading)
    assert reading.record.wait_seconds == 100


def test_the_wait_is_read_from_reserved_before_23_02() -> None:
    assert record_of(FAILED, Reserved=b"1-00:00:07").wait_seconds == 86_407


def test_the_group_is_never_asked_for_since_sacct_would_look_it_up_for_every_row() -> None:
    assert "Group" not in Layout(available("26.05.5")).fields
    assert "GID" in Layout(available("26.05.5")).fields


def test_no_field_is_asked_for_by_a_prefix_of_another() -> None:
    """Sacct takes a prefix for the first field that begins so; `Reserved` must never get `ReservationId`."""
    for version in ("20.11.9", "23.02.7", "26.05.5"):
        offered = available(version)
        for name in Layout(offered).fields:
            assert next(other for other in offered if other.lower().startswith(name.lower())) == name


def test_the_slots_are_what_the_layout_can_fill() -> None:
    old, new = Layout(available("22.05.8")).slots, Layout(available("24.11.5")).slots
    assert new - old == {
        "extra", "failed_node", "licenses", "restarts", "sluid", "std_in", "std_out", "std_err", "qos_req",
    }  # fmt: skip
    assert {"state", "cancelled_by_uid", "start", "node_list", "exit_code", "wait_seconds"} <= old


@pytest.mark.parametrize("missing", ["Cluster", "JobIDRaw", "Submit", "JobID", "State"])
def test_a_sacct_without_a_key_field_cannot_be_used(missing: str) -> None:
    with pytest.raises(ValueError, match=f"this sacct does not print {missing}"):
        Layout([name for name in FIELDS_22_05 if name != missing])


def test_the_header_is_expected_in_saccts_own_spelling() -> None:
    layout = Layout([name.upper() for name in FIELDS_22_05])
    assert layout.fields == tuple(name.upper() for name in LAYOUT.fields)
    reading = read_alone(layout, ordered(FAILED, LAYOUT.fields))
    assert isinstance(reading, Reading)
    assert reading.record == record_of(FAILED)
    assert reading.digest == digest_of(FAILED)
