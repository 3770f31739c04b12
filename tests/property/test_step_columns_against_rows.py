"""Steps read a column at a time against their rows read one at a time: the same, whatever stands in them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model.usage import MeasuredUsage
from slurmwatchd.sources.sacct.step_columns import StepColumns
from slurmwatchd.sources.sacct.step_fields import FIELDS, STEP_FIELDS, Key
from tests.draws import draws
from tests.steps_row_by_row import attempts_in, key_of, measure

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
ODD_LISTS = [
    b"mem", b"mem=", b"mem=lots", b"mem=1,", b",mem=1", b"mem=1,mem=2", b"cpu=00:00:00", b"cpu=1-00:00:00",
    b"mem=1\n", b"fs/disk=9999999999999999999,mem=1", "mem=\u0663".encode(), b"\xff=1", b"cpu=00:0:000,mem=3",
    b"cpu=213503982334-14:25:51,energy=18446744073709551616.00,fs/disk=77,mem=524288000", b"mem1=5", b"mem2=7",
    b"fs/disk=1,fs/lustre=4,gres/gpu:a100=1,gres/gpu:a30=1,ic/ofed=3,mem=9,vmem=9", b"fs/disk=5,mem=",
    b"fs/disk=1,fs/lustre=4,gres/gpu:a30=1,gres/gpu:a100=1,ic/ofed=3,mem=9,vmem=9", b"a=b=c", b"=5", b"mem=-1",
]  # fmt: skip
ODD = [
    b"UNLIMITED", b"INVALID", b"-1", b"\xff", b"18446744073709551614", b"4294967294", b"Unknown", b"None",
    b"0:0:0", b"0:", b"CANCELLED by 5", b"CANCELLED by x", b"PENDING", b"213503982334-14:25:51", b"4294967290",
    b"1795393606", b"00:06.81", b"1-0:00:00", b"00:06.812\n", b"\n", b"007", b"9",
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
    for _ in range(draw(st.integers(0, 6)) if rows else 0):
        place = draw(st.integers(0, len(rows) - 1))
        if draw(st.integers(0, 4)):
            column = draw(st.integers(1, len(ALL) - 1))
            odd = ODD_LISTS if ALL[column].startswith("TRES") and draw(st.integers(0, 5)) else ODD
            rows[place][column] = draw(st.sampled_from(odd))
        else:
            spoil = draw(st.sampled_from([b"7.0", b"7.", b".0", b"", b"x", b"7_1", b"9"]))
            rows[place][0] = spoil
    return rows


def as_read(rows: Rows, fields: tuple[str, ...], cuts: list[int]) -> list[tuple[Key, MeasuredUsage]]:
    """What the program makes of an answer that arrives in pieces."""
    reader, found, begin = StepColumns(fields), [], 0
    for end in [*sorted(cut for cut in cuts if cut < len(rows)), len(rows)]:
        piece = rows[begin:end]
        found += reader.feed([[row[place] for row in piece] for place in range(len(fields))])
        begin = end
    return [(key, plain(measured)) for key, measured in found + reader.close()]


def one_by_one(rows: Rows, fields: tuple[str, ...]) -> list[tuple[Key, MeasuredUsage]]:
    read = [
        (key_of(row), measure(fields, row[: len(fields)], [step[: len(fields)] for step in steps]))
        for row, steps in attempts_in(iter(rows))
    ]
    return [(key, measured) for key, measured in read if key is not None]


def plain(measured: MeasuredUsage) -> MeasuredUsage:
    """Without the difference between lists and tuples."""
    return measured._replace(steps=list(measured.steps))


cuts = st.lists(st.integers(0, 20), max_size=4)


@pytest.mark.parametrize("fields", [FIELDS, ALL], ids=["summary", "full"])
@given(answer(), cuts)
@settings(max_examples=draws(200))
def test_an_answer_reads_as_its_rows_do(fields: tuple[str, ...], rows: Rows, cuts: list[int]) -> None:
    assert as_read(rows, fields, cuts) == one_by_one(rows, fields)


@pytest.mark.parametrize("fields", [FIELDS, ALL], ids=["summary", "full"])
@given(answer(), st.integers(0, 60))
@settings(max_examples=draws(50))
def test_odd_rows_among_many_cost_themselves_alone(fields: tuple[str, ...], rows: Rows, place: int) -> None:
    """What is found of the others is what is found without any odd value."""
    many = [row for number in range(100, 120) for row in an_attempt(number)]
    begin = place // 3 * 3
    found = as_read([*many[:begin], *rows, *many[begin:]], fields, [])
    alone = as_read(rows, fields, [])
    others = as_read(many, fields, [])
    assert found == [*others[: begin // 3], *alone, *others[begin // 3 :]]


def an_attempt(number: int) -> Rows:
    return [row(name, any_values(number)) for name in (b"%d" % number, b"%d.batch" % number, b"%d.0" % number)]
