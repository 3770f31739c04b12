"""Reading a column at a time against reading a row at a time: the same records, whatever stands in them."""

import tracemalloc
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model.records import Rejected
from slurmwatchd.sources.sacct import column_sources, grammar
from slurmwatchd.sources.sacct.column_sources import Memo
from slurmwatchd.sources.sacct.columns import ColumnReader
from tests.draws import draws
from tests.property.test_hostile_rows import LAYOUT, any_row, keyed_row, odd
from tests.row_by_row import Reading, put_together, read, taken_apart, turned
from tests.unit.sacct_rows import (
    ARRAY_TASK,
    CANCELLED_PENDING_ARRAY,
    FAILED,
    HETEROGENEOUS,
    ordered,
)

# 22.05 and older often print the end for the start that never was.
STARTED_AT_ITS_END = {**CANCELLED_PENDING_ARRAY, "Start": CANCELLED_PENDING_ARRAY["End"]}
UNTOLD = {**FAILED, "JobName": b"allocation", "Partition": b"", "Priority": b"0"}
ORDINARY = [
    ordered(row, LAYOUT.fields)
    for row in (FAILED, CANCELLED_PENDING_ARRAY, STARTED_AT_ITS_END, HETEROGENEOUS, ARRAY_TASK, UNTOLD)
]
telling = st.sampled_from([
    b"1", b"946684799", b"01795436432", b"00", b"-0", b"allocation", b"CANCELLED by nobody", b"None assigned",
    b"cpu=1,energy=999999999999999", b"energy=5,energy=99999999999999999,mem=lots", b"energy=999999999999999",
    b"energy=999999999999999,energy=5", b"energy=99999999999999999,energy=1x", b"matlab:2,ansys:many", b"NONE",
])  # fmt: skip
"""Values of which others in the row depend, or a part can be read."""

Rows = list[list[bytes]]


def at_once(rows: Rows, reader: ColumnReader | None = None) -> tuple[list[Reading], list[Rejected]]:
    """What the reader of columns makes of rows, after a look at it: byte for byte what each makes by itself."""
    readings, rejected = (reader or ColumnReader(LAYOUT)).read(turned(rows))
    found, refused = one_by_one(rows)
    expected = taken_apart(found)
    assert list(readings.bodies) == expected.bodies
    assert list(readings.digests) == expected.digests
    for name, values in expected.columns.items():
        assert list(readings.columns[name]) == values, name
    assert rejected == refused
    return put_together(readings), rejected


def one_by_one(rows: Rows) -> tuple[list[Reading], list[Rejected]]:
    found = [read(LAYOUT, row) for row in rows]
    return (
        [reading for reading in found if isinstance(reading, Reading)],
        [row for row in found if isinstance(row, Rejected)],
    )


@st.composite
def spoilt_row(draw: st.DrawFn) -> list[bytes]:
    """A row as sacct prints it, but for a value or two."""
    row = list(draw(st.sampled_from(ORDINARY)))
    for _ in range(draw(st.integers(1, 3))):
        row[draw(st.integers(0, len(row) - 1))] = draw(st.one_of(odd, telling))
    return row


any_kind = st.one_of(any_row, keyed_row, spoilt_row(), spoilt_row(), st.sampled_from(ORDINARY))


@given(st.lists(any_kind, min_size=1, max_size=6))
@settings(max_examples=draws(400))
def test_a_batch_reads_as_its_rows_do(rows: Rows) -> None:
    at_once(rows)


@given(st.lists(st.lists(any_kind, min_size=1, max_size=4), min_size=2, max_size=4))
@settings(max_examples=draws(100))
def test_what_a_reader_remembers_of_odd_values_reads_the_same_in_the_next_batch(batches: list[Rows]) -> None:
    reader = ColumnReader(LAYOUT)
    with patch.object(column_sources, "MEMO_VALUES", 3), patch.object(column_sources, "_TRIED_VALUES", 5):
        for rows in [*batches, *batches]:
            at_once(rows, reader)


@given(st.lists(spoilt_row(), min_size=1, max_size=2), st.integers(0, 20))
@settings(max_examples=draws(100))
def test_odd_rows_among_many_cost_themselves_alone(rows: Rows, place: int) -> None:
    ordinary = ORDINARY * 5
    at_once([*ordinary[:place], *rows, *ordinary[place:]])


def test_a_memo_that_is_full_begins_anew_and_reads_the_same() -> None:
    rows = [ordered({**FAILED, "User": b"u%d" % (number % 7)}, LAYOUT.fields) for number in range(50)]
    with patch.object(column_sources, "MEMO_VALUES", 3):
        readings, _ = ColumnReader(LAYOUT).read(turned(rows))
    assert [reading.record.user for reading in put_together(readings)] == [
        f"u{number % 7}" for number in range(50)
    ]


def test_long_texts_are_not_remembered() -> None:
    reader = ColumnReader(LAYOUT)
    tracemalloc.start()
    try:
        for number in range(200):
            # So long a row comes by itself, and nothing shows yet that no two are the same.
            line = b"sbatch " + b"%d " % number * 10_000
            readings, _ = reader.read(turned([ordered({**FAILED, "SubmitLine": line}, LAYOUT.fields)]))
            assert len(readings.bodies[0]) > len(line)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2 << 20


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
        assert [record.name for record, _ in put_together(readings)] == [
            *(f"job {number}" for number in numbers),
            None,
        ]
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
        readings, _ = reader.read(turned(rows))
        assert [record.name for record, _ in put_together(readings)] == [name.decode() for name in names]


ODD_IDS = (
    b"12_03", b"012_3", b"0_0", b"12_", b"_3", b"12_3_4", b"12+1", b"12_[1-3]", b"12_[", b"12_x", b"x_12",
    b"12_-3", b"123456789012345678_1", b"1234567890123456789_1", b"1_1234567890123456789", b"00",
)  # fmt: skip
ODD_WAITS = (
    b"INVALID", b"", b"1-00:00:00", b"100:00:00", b"0:00:00", b"12:34:60", b"12:34:6x", b"ab:cd:ef", b"00:99:59",
    b"12:3:456", b"12345678", b"1-2:3:00", b"99999999-00:00:00", b"12:34:567",
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "ordinary", "strange"), [("JobID", (b"12", b"12_0", b"7_31"), ODD_IDS),
                                       ("Reserved", (b"00:00:00", b"23:59:59"), ODD_WAITS)],
)  # fmt: skip
def test_what_most_rows_have_and_what_few_have_read_the_same_side_by_side(
    field: str, ordinary: tuple[bytes, ...], strange: tuple[bytes, ...]
) -> None:
    for some in (ordinary, *((*ordinary, text) for text in strange), (*strange, *ordinary)):
        at_once([ordered({**FAILED, field: text}, LAYOUT.fields) for text in some])


def test_times_and_words_for_none_stand_side_by_side() -> None:
    given = [(b"1795436431", b"1795436433"), (b"Unknown", b"None"), (b"", b"1795440000"), (b"None", b"")]
    rows = [ordered({**FAILED, "Eligible": a, "Start": b}, LAYOUT.fields) for a, b in given]
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
            found, _ = at_once([ordered(row, LAYOUT.fields) for row in rows])
            assert len(found) == len(rows), (name, value)


def test_an_amount_that_cannot_be_read_costs_itself() -> None:
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
        at_once([ordered(row, LAYOUT.fields) for row in rows], reader)
    found = [record.raw for record, _ in at_once([ordered({**FAILED, **spoilt[0]}, LAYOUT.fields)])[0]]
    assert found == [{"ReqTRES": "mem=lots", "AllocTRES": "energy=18446744073709551616.00"}]


def test_rows_whose_start_was_never_told_are_alike_in_a_batch() -> None:
    for rows in ([FAILED, UNTOLD], [UNTOLD] * 3, [{**FAILED, "Partition": b""}, {**UNTOLD, "UID": b"7"}]):
        found, _ = at_once([ordered(row, LAYOUT.fields) for row in rows])
        assert len(found) == len(rows)


def test_zero_sluids_among_thousands_of_others_are_none() -> None:
    sluids = [b"s0000000000000" if number % 9 == 0 else b"s%013d" % number for number in range(1, 1500)]
    reader = ColumnReader(LAYOUT)
    for batch in (sluids, sluids, sluids[:8]):
        rows = [ordered({**FAILED, "SLUID": sluid}, LAYOUT.fields) for sluid in batch]
        readings, _ = reader.read(turned(rows))
        assert [record.sluid for record, _ in put_together(readings)] == [
            None if sluid == b"s0000000000000" else sluid.decode() for sluid in batch
        ]


def test_energy_that_can_have_been_used_is_told() -> None:
    rows = [
        ordered({**FAILED, "AllocTRES": b"cpu=1,energy=%d,node=1" % joules}, LAYOUT.fields)
        for joules in (0, 400, 1_000_000)
    ]
    found, _ = at_once(rows)
    assert [record.alloc_tres["energy_joules"] for record, _ in found if record.alloc_tres] == [0, 400, 1_000_000]


def test_a_number_longer_than_any_real_one_is_refused_in_a_batch_too() -> None:
    for name in ("JobIDRaw", "Submit", "UID"):
        rows = [ordered(row, LAYOUT.fields) for row in (FAILED, {**FAILED, name: b"9" * 25})]
        at_once(rows)


def test_a_number_with_a_zero_before_it_is_read_as_in_a_row_of_its_own() -> None:
    for name in ("JobIDRaw", "Submit", "Start", "Eligible", "ElapsedRaw"):
        rows = [ordered(row, LAYOUT.fields) for row in (FAILED, {**FAILED, name: b"0" + FAILED[name]})]
        at_once(rows)


def test_a_value_that_is_forgotten_is_read_again_with_what_cannot_be_read_of_it() -> None:
    memo = Memo(grammar.integer)
    with patch.object(column_sources, "_TRIED_VALUES", 2):
        assert memo.column([b"x", b"1", b"2"]) == [None, 1, 2]
        assert memo.column([b"3", b"4"]) == [3, 4]
        assert memo[b"x"] is None
        assert memo.unread_in(b"x", 2) == {0: "x", 1: "x"}
    with patch.object(column_sources, "MEMO_VALUES", 1):
        assert memo.unread_in([b"7", b"x"], 2) == {1: "x"}
        assert (len(memo), len(memo.unread)) == (0, 0)
