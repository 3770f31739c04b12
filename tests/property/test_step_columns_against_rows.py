"""Steps read a column at a time against their rows read one at a time: the same, whatever stands in them."""

import random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model.usage import Amounts, Measured
from slurmwatchd.sources.sacct import step_columns
from slurmwatchd.sources.sacct.step_columns import StepColumns
from slurmwatchd.sources.sacct.step_rows import FIELDS, STEP_FIELDS, Key, attempts_in, key_of, measure

ALL = FIELDS + STEP_FIELDS

TIMES = [b"00:06.812", b"01:02:03", b"1-00:00:00", b""]
USED = [
    b"cpu=00:00:01,energy=0,fs/disk=96888,mem=12718080,pages=3,vmem=294699008",
    b"cpu=00:00:00,fs/disk=12,gres/gpumem=300,gres/gpuutil=97,mem=20000000,vmem=0",
    b"energy=0,fs/disk=5199",
    b"energy=18446744073709551614,mem=4000K",
    b"mem=1,fs/disk=2",
    b"",
]
ODD = [
    b"mem", b"mem=", b"mem=lots", b"mem=1,", b",mem=1", b"mem=1,mem=2", b"cpu=00:00:00", b"cpu=1-00:00:00",
    b"mem=1\n", b"fs/disk=9999999999999999999,mem=1", "mem=\u0663".encode(), b"\xff=1", b"UNLIMITED", b"INVALID",
    b"-1", b"\xff", b"18446744073709551614", b"4294967294", b"Unknown", b"None", b"0:0:0", b"0:",
    b"CANCELLED by 5", b"PENDING", b"213503982334-14:25:51", b"4294967290", b"1795393606",
    b"cpu=213503982334-14:25:51,energy=18446744073709551616.00,fs/disk=77,mem=524288000",
]  # fmt: skip

ORDINARY = {
    "DBIndex": [b"70"],
    "State": [b"COMPLETED", b"CANCELLED", b"CANCELLED by 0", b"FAILED", b"RUNNING", b""],
    "End": [b"200", b"201", b"Unknown", b""],
    **dict.fromkeys(("TotalCPU", "UserCPU", "SystemCPU"), TIMES),
    "ConsumedEnergyRaw": [b"0", b"12", b"18446744073709551614", b""],
    **dict.fromkeys(("TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot"), USED),
    "JobName": [b"app", b"\xff|\n", b""],
    "Start": [b"1795436431", b"Unknown", b""],
    **{name: [b"1", b"60", b""] for name in ("ElapsedRaw", "NNodes", "NTasks", "NCPUS")},
    "ExitCode": [b"0:0", b"3:9", b""],
    "NodeList": [b"n[1-3]", b"None assigned", b""],
}

Rows = list[list[bytes]]


def row(number: bytes, values: dict[str, bytes]) -> list[bytes]:
    given = {"JobIDRaw": number, "Submit": b"100", **values}
    return [given[name] for name in ALL]


def any_values(seed: int) -> dict[str, bytes]:
    """Ordinary values by a seed: drawing each by itself takes seconds."""
    pick = random.Random(seed)  # noqa: S311 - no secret
    return {name: pick.choice(known) for name, known in ORDINARY.items()}


values = st.integers(0, 1 << 32).map(any_values)
names = st.sampled_from([b"batch", b"extern", b"0", b"0+1", b"interactive"])


@st.composite
def attempt(draw: st.DrawFn) -> Rows:
    number = draw(st.sampled_from([b"7", b"8", b"77"]))
    steps = draw(st.lists(st.tuples(names, values), max_size=4))
    return [row(number, draw(values)), *(row(number + b"." + name, each) for name, each in steps)]


@st.composite
def answer(draw: st.DrawFn) -> Rows:
    """Attempts, a few of their values or rows then spoilt."""
    rows = [row for attempt in draw(st.lists(attempt(), max_size=4)) for row in attempt]
    for _ in range(draw(st.integers(0, 2)) if rows else 0):
        place = draw(st.integers(0, len(rows) - 1))
        if draw(st.booleans()):
            rows[place][draw(st.integers(1, len(ALL) - 1))] = draw(st.sampled_from(ODD))
        else:
            spoil = draw(st.sampled_from([b"7.0", b"7.", b".0", b"", b"x", b"7_1", b"9"]))
            rows[place][0] = spoil
    return rows


def in_columns(rows: Rows, fields: tuple[str, ...], cuts: list[int]) -> list[tuple[Key, Measured]]:
    reader, found, begin = StepColumns(fields), [], 0
    for end in [*sorted(cut for cut in cuts if cut < len(rows)), len(rows)]:
        piece = rows[begin:end]
        found += reader.feed([[row[place] for row in piece] for place in range(len(fields))])
        begin = end
    return found + reader.close()


def one_by_one(rows: Rows, fields: tuple[str, ...]) -> list[tuple[Key, Measured]]:
    read = [
        (key_of(row), measure(fields, row[: len(fields)], [step[: len(fields)] for step in steps]))
        for row, steps in attempts_in(iter(rows))
    ]
    return [(key, plain(measured)) for key, measured in read if key is not None]


def plain(measured: Measured) -> Measured:
    """Without the difference between lists and tuples, and between nothing unread and none."""
    amounts = Amounts._make([list(column) for column in measured.amounts])
    return measured._replace(amounts=amounts, steps=list(measured.steps), raw=measured.raw or None)


cuts = st.lists(st.integers(0, 20), max_size=4)


@pytest.mark.parametrize("fields", [FIELDS, ALL], ids=["summary", "full"])
@given(answer(), cuts)
@settings(deadline=None, max_examples=100)
def test_an_answer_reads_as_its_rows_do(fields: tuple[str, ...], rows: Rows, cuts: list[int]) -> None:
    found = [(key, plain(measured)) for key, measured in in_columns(rows, fields, cuts)]
    assert found == one_by_one(rows, fields)


@pytest.mark.parametrize("fields", [FIELDS, ALL], ids=["summary", "full"])
@given(st.lists(attempt(), max_size=4).map(lambda found: [row for rows in found for row in rows]), cuts)
@settings(deadline=None, max_examples=30)
def test_ordinary_rows_do_not_need_the_slow_way(fields: tuple[str, ...], rows: Rows, cuts: list[int]) -> None:
    expected = one_by_one(rows, fields)
    with patch.object(step_columns, "measure", side_effect=AssertionError("read row by row")):
        assert [(key, plain(measured)) for key, measured in in_columns(rows, fields, cuts)] == expected
