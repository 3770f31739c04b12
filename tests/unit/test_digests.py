"""A digest covers the fields whose change is reported, and nothing else; a re-read asks for those alone."""

import pytest

from simslurm.versions import fields_of, release_of
from slurmwatchd.model.records import REVISING, JobRecord
from slurmwatchd.sources.sacct.fields import Layout
from tests.row_by_row import Reading, read_alone
from tests.unit.read_rows import LAYOUT, digest_in, digest_of, record_of
from tests.unit.sacct_rows import (
    ARRAY_TASK,
    CANCELLED_PENDING_ARRAY,
    FAILED,
    FIELDS_22_05,
    HETEROGENEOUS,
    Row,
    ordered,
)


def available(version: str) -> list[str]:
    return [field.name for field in fields_of(release_of(version))]


def test_a_digest_is_the_same_for_the_same_row() -> None:
    assert digest_of(FAILED) == digest_of(dict(FAILED))
    assert digest_of(FAILED) != digest_of(ARRAY_TASK)
    assert -(1 << 63) <= digest_of(FAILED) < 1 << 63


REVISES = {
    "State", "Start", "NodeList", "ExitCode", "DerivedExitCode", "JobName", "Partition", "Eligible", "End",
    "ElapsedRaw", "NNodes", "NCPUS", "AllocTRES", "Comment", "AdminComment", "SystemComment",
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS_22_05)
def test_a_digest_changes_when_and_only_when_a_revising_field_changes(name: str) -> None:
    other = digest_of({**FAILED, name: b"7"})
    assert (other != digest_of(FAILED)) is (name in REVISES)


def test_a_value_that_moves_from_one_field_to_its_neighbour_changes_the_digest() -> None:
    one = {**FAILED, "AdminComment": b"a", "SystemComment": b""}
    other = {**FAILED, "AdminComment": b"", "SystemComment": b"a"}
    assert digest_of(one) != digest_of(other)


def test_what_the_digest_covers_is_what_a_revision_can_tell() -> None:
    """Else a change would be seen and never told, or could never be seen."""
    layout = Layout(available("26.05.5"))
    moments = {"Start", "Eligible"}
    row = [b"1795436431" if name in moments else b"1" for name in layout.fields]
    told = set()
    for index in range(len(layout.fields)):
        odd = [*row[:index], row[index][:-1] + b"2", *row[index + 1 :]]
        before, after = read_alone(layout, row), read_alone(layout, odd)
        if isinstance(before, Reading) and isinstance(after, Reading) and before.digest != after.digest:
            told |= {
                name
                for name in JobRecord._fields
                if name != "raw" and getattr(before.record, name) != getattr(after.record, name)
            }
    # `1` is no exit code, no duration and no TRES list: those differ under `raw` only.
    assert set(REVISING) - told == {
        "cancelled_by_uid", "exit_code", "exit_signal", "derived_exit_code", "derived_exit_signal", "alloc_tres",
    }  # fmt: skip
    assert told <= set(REVISING)


@pytest.mark.parametrize("row", [FAILED, CANCELLED_PENDING_ARRAY, HETEROGENEOUS, ARRAY_TASK])
def test_few_fields_have_the_digest_of_all_of_them(row: Row) -> None:
    few = LAYOUT.few()
    assert len(few.fields) == 21
    assert few.few().fields == few.fields
    assert digest_in(few, row) == digest_of(row)
    read = read_alone(few, ordered(row, few.fields))
    assert isinstance(read, Reading)
    whole = record_of(row)
    assert (read.record.cluster, read.record.job_id_raw, read.record.submit, read.record.job_id) == (
        whole.cluster,
        whole.job_id_raw,
        whole.submit,
        whole.job_id,
    )
    assert read.record.node_list is None


def test_fields_that_do_not_revise_are_not_among_the_few() -> None:
    assert set(Layout(FIELDS_22_05, ("state", "admin_comment")).few().fields) == {
        "Cluster", "JobIDRaw", "Submit", "JobID", "DBIndex", "State", "AdminComment",
    }  # fmt: skip


def test_digest_follows_the_fields_that_revise_and_no_others() -> None:
    layout = Layout(FIELDS_22_05, ("admin_comment",))

    def digest(**others: bytes) -> int:
        return digest_in(layout, {**FAILED, **others})

    assert digest(State=b"COMPLETED", End=b"1") == digest()
    assert digest(AdminComment=b"other") != digest()


def test_without_fields_that_revise_every_digest_is_the_same() -> None:
    layout = Layout(FIELDS_22_05, ())
    assert digest_in(layout, FAILED) == digest_in(layout, ARRAY_TASK)
