"""Reading a column at a time against reading a row at a time: the same records, whatever stands in them."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model.attempts import Reading
from slurmwatchd.model.formats import body, wire
from slurmwatchd.model.records import Rejected
from slurmwatchd.sources.sacct import columns
from slurmwatchd.sources.sacct.columns import ColumnReader
from slurmwatchd.sources.sacct.framing import Columns
from tests.property.test_hostile_rows import LAYOUT, any_row, keyed_row
from tests.unit.sacct_rows import (
    ARRAY_TASK,
    CANCELLED_PENDING_ARRAY,
    FAILED,
    HETEROGENEOUS,
    ordered,
)

# 22.05 and older often print the end for the start that never was.
STARTED_AT_ITS_END = {**CANCELLED_PENDING_ARRAY, "Start": CANCELLED_PENDING_ARRAY["End"]}
ORDINARY = [
    ordered(row, LAYOUT.fields)
    for row in (FAILED, CANCELLED_PENDING_ARRAY, STARTED_AT_ITS_END, HETEROGENEOUS, ARRAY_TASK)
]


def turned(rows: list[list[bytes]]) -> Columns:
    return [list(column) for column in zip(*rows, strict=True)]


def at_once(rows: list[list[bytes]]) -> tuple[list[Reading], list[Rejected]]:
    """What the reader of columns makes of rows, after a look at what it says of them by column."""
    readings, rejected = ColumnReader(LAYOUT).read(turned(rows))
    whole = list(readings)
    for name, values in readings.columns.items():
        assert list(values) == [getattr(record, name) for record, _ in whole], name
    assert list(readings.bodies) == [body(wire(record)) for record, _ in whole]
    return whole, rejected


def one_by_one(rows: list[list[bytes]]) -> tuple[list[Reading], list[Rejected]]:
    read = [LAYOUT.read(row) for row in rows]
    return (
        [reading for reading in read if isinstance(reading, Reading)],
        [row for row in read if isinstance(row, Rejected)],
    )


@given(st.lists(st.one_of(any_row, keyed_row, st.sampled_from(ORDINARY)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=300)
def test_a_batch_reads_as_its_rows_do(rows: list[list[bytes]]) -> None:
    assert at_once(rows) == one_by_one(rows)


@given(st.lists(st.sampled_from(ORDINARY), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_ordinary_rows_do_not_need_the_slow_way(rows: list[list[bytes]]) -> None:
    expected = one_by_one(rows)
    with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
        assert at_once(rows) == expected


def test_a_memo_that_is_full_begins_anew_and_reads_the_same() -> None:
    rows = [ordered({**FAILED, "User": b"u%d" % (number % 7)}, LAYOUT.fields) for number in range(50)]
    with patch.object(columns, "MEMO_VALUES", 3):
        readings, _ = ColumnReader(LAYOUT).read(turned(rows))
    assert [reading.record.user for reading in readings] == [f"u{number % 7}" for number in range(50)]


def test_one_reader_reads_batch_after_batch_whether_values_come_again_or_not() -> None:
    """Names are all different, so the reader stops looking them up; users are not."""
    reader = ColumnReader(LAYOUT)
    for batch in range(4):
        numbers = range(batch * 600, (batch + 1) * 600)
        rows = [
            ordered({**FAILED, "JobName": b"job %d" % number, "User": b"u%d" % (number % 7)}, LAYOUT.fields)
            for number in numbers
        ]
        readings, _ = reader.read(turned([*rows, ordered({**FAILED, "JobName": b""}, LAYOUT.fields)]))
        assert [record.name for record, _ in readings] == [*(f"job {number}" for number in numbers), None]
        assert readings.columns["user"][:600] == [f"u{number % 7}" for number in numbers]


def test_names_of_all_kinds_are_written_as_they_are_also_where_no_two_are_the_same() -> None:
    reader = ColumnReader(LAYOUT)
    endings = [b"", b'"', b"\\", b"\\u007f", b"\n", b"\x1f", b"\xc3\xa9", b"</script>", b"\x00"]
    for batch in range(6):
        # Only the last batches have what stands between names while they are written.
        named = endings if batch < 4 else [*endings, b"\x7f"]
        names = [
            b"%d %b" % (number, named[number % len(named)]) for number in range(batch * 600, batch * 600 + 600)
        ]
        rows = [ordered({**FAILED, "JobName": name}, LAYOUT.fields) for name in names]
        with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
            readings, _ = reader.read(turned(rows))
        assert [record.name for record, _ in readings] == [name.decode() for name in names]


def test_times_and_words_for_none_stand_side_by_side() -> None:
    given = [(b"1795436431", b"1795436433"), (b"Unknown", b"None"), (b"", b"1795440000"), (b"None", b"")]
    rows = [ordered({**FAILED, "Eligible": a, "Start": b}, LAYOUT.fields) for a, b in given]
    with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
        found, _ = at_once(rows)
    assert [(record.eligible, record.start) for record, _ in found] == [
        (1_795_436_431, 1_795_436_433),
        (None, None),
        (None, 1_795_440_000),
        (None, None),
    ]
    assert [b'"eligible"' in body for body in ColumnReader(LAYOUT).read(turned(rows))[0].bodies] == [
        True, False, False, False,
    ]  # fmt: skip


def test_a_start_that_nobody_can_read_is_kept_as_text_also_where_there_never_was_one() -> None:
    rows = [ordered(row, LAYOUT.fields) for row in (FAILED, {**CANCELLED_PENDING_ARRAY, "Start": b"soon"})]
    found, _ = at_once(rows)
    assert found == one_by_one(rows)[0]
    assert [(record.start is None, record.raw) for record, _ in found] == [
        (False, None),
        (True, {"Start": "soon"}),
    ]


def test_what_cannot_be_a_measurement_is_none_in_a_batch_too() -> None:
    spoilt = [
        ("AllocTRES", b"cpu=1,energy=18446744073709551616.00,mem=500M"),
        ("AllocTRES", b"cpu=1,energy=999999999999999999,mem=500M"),
        ("AllocTRES", b"energy=18446744073709551614,mem=500M"),
        ("Start", b"1"),
        ("Eligible", b"946684799"),
        ("ElapsedRaw", b"1795393606"),
        ("ElapsedRaw", b"4294967290"),
        ("NNodes", b"4294967290"),
        ("Licenses", b"matlab:2,ansys:many"),
    ]
    for name, value in spoilt:
        for rows in ([FAILED, {**FAILED, name: value}], [{**FAILED, name: value}] * 3):
            batch = [ordered(row, LAYOUT.fields) for row in rows]
            assert at_once(batch) == one_by_one(batch), (name, value)


def test_an_amount_that_cannot_be_read_does_not_need_the_slow_way() -> None:
    """Counters below zero are everyday where energy is gathered: a row in a hundred, or each one."""
    spoilt = [
        {"AllocTRES": b"cpu=1,energy=18446744073709551616.00,mem=500M", "ReqTRES": b"cpu=1,mem=lots"},
        {"Licenses": b"matlab:2,ansys:many"},
        {"AllocTRES": b"NONE"},
        {"AllocTRES": b"energy=18446744073709551614,mem=500M"},
        {},
    ]
    reader = ColumnReader(LAYOUT)
    for rows in (
        [FAILED] * 5,
        [{**FAILED, **each} for each in spoilt],
        [{**FAILED, **spoilt[0]}] * 3,
        [FAILED] * 2,
    ):
        batch = [ordered(row, LAYOUT.fields) for row in rows]
        expected = one_by_one(batch)[0]
        with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
            readings, _ = reader.read(turned(batch))
        assert list(readings) == expected
        assert list(readings.columns["raw"]) == [record.raw for record, _ in expected]
        assert list(readings.bodies) == [body(wire(record)) for record, _ in expected]
    found = [record.raw for record, _ in one_by_one([ordered({**FAILED, **spoilt[0]}, LAYOUT.fields)])[0]]
    assert found == [{"ReqTRES": "mem=lots", "AllocTRES": "energy=18446744073709551616.00"}]


def test_rows_whose_start_was_never_told_are_alike_in_a_batch() -> None:
    untold = {**FAILED, "JobName": b"allocation", "Partition": b""}
    for rows in ([FAILED, untold], [untold] * 3, [{**FAILED, "Partition": b""}, {**untold, "UID": b"7"}]):
        batch = [ordered(row, LAYOUT.fields) for row in rows]
        found, _ = at_once(batch)
        assert found == one_by_one(batch)[0]


def test_zero_sluids_among_thousands_of_others_are_none_and_need_no_slow_way() -> None:
    sluids = [b"s0000000000000" if number % 9 == 0 else b"s%013d" % number for number in range(1, 1500)]
    reader = ColumnReader(LAYOUT)
    with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
        for batch in (sluids, sluids, sluids[:8]):
            rows = [ordered({**FAILED, "SLUID": sluid}, LAYOUT.fields) for sluid in batch]
            readings, _ = reader.read(turned(rows))
            assert [record.sluid for record, _ in readings] == [
                None if sluid == b"s0000000000000" else sluid.decode() for sluid in batch
            ]


def test_energy_that_can_have_been_used_does_not_need_the_slow_way() -> None:
    rows = [
        ordered({**FAILED, "AllocTRES": b"cpu=1,energy=%d,node=1" % joules}, LAYOUT.fields)
        for joules in (0, 400, 1_000_000)
    ]
    with patch.object(LAYOUT, "read", side_effect=AssertionError("read row by row")):
        found, _ = at_once(rows)
    assert [record.alloc_tres["energy_joules"] for record, _ in found if record.alloc_tres] == [0, 400, 1_000_000]


def test_a_number_longer_than_any_real_one_is_refused_in_a_batch_too() -> None:
    for name in ("JobIDRaw", "Submit", "UID"):
        rows = [ordered(row, LAYOUT.fields) for row in (FAILED, {**FAILED, name: b"9" * 25})]
        assert at_once(rows) == one_by_one(rows)


def test_a_number_with_a_zero_before_it_is_read_as_in_a_row_of_its_own() -> None:
    for name in ("JobIDRaw", "Submit", "Start", "Eligible", "ElapsedRaw"):
        rows = [ordered(row, LAYOUT.fields) for row in (FAILED, {**FAILED, name: b"0" + FAILED[name]})]
        assert at_once(rows) == one_by_one(rows)
