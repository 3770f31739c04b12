"""Lists of a record, in sacct's spelling again: flags, constraints, licenses."""

import pytest

from slurmwatchd.connector.from_store import answer

RECORD = {"job_id_raw": 1, "submit": "2026-11-23T02:13:20Z"}


@pytest.mark.parametrize(
    ("field", "more", "text"),
    [
        ("flags", {"flags": ["SchedBackfill", "StartReceived"]}, "SchedBackfill,StartReceived"),
        ("flags", {}, ""),
        ("constraints", {"constraints": ["intel", "[rack1|rack2]"]}, "intel&[rack1|rack2]"),
        ("constraints", {}, ""),
        ("licenses", {"licenses": {"matlab@flex": 2, "ansys": 1}}, "matlab@flex:2,ansys:1"),
        ("licenses", {"raw": {"Licenses": "a:1|b:2"}}, "a:1|b:2"),
        ("licenses", {"licenses": {"a": 1}, "raw": {"Licenses": "b:many"}}, "a:1,b:many"),
        ("licenses", {}, ""),
    ],
)
def test_a_list_is_one_text_as_sacct_prints_it(field: str, more: dict[str, object], text: str) -> None:
    (row,) = answer([RECORD | more], [field]).rows
    assert row[field] == text
