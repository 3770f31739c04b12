"""Rows of sacct read by the layout of 22.05."""

from slurmwatchd.model.records import JobRecord
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import Reading, read_alone
from tests.unit.sacct_rows import (
    FIELDS_22_05,
    Row,
    ordered,
)

LAYOUT = Layout(FIELDS_22_05)


def record_of(row: Row, **others: bytes) -> JobRecord:
    reading = read_alone(LAYOUT, ordered({**row, **others}, LAYOUT.fields))
    assert isinstance(reading, Reading)
    return reading.record


def digest_in(layout: Layout, row: Row) -> int:
    reading = read_alone(layout, ordered(row, layout.fields))
    assert isinstance(reading, Reading)
    return reading.digest


def digest_of(row: Row) -> int:
    return digest_in(LAYOUT, row)
