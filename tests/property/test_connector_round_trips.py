"""Whatever users write into their jobs: what the connector writes, it reads back the same."""

import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.connector import Slurm, compact_nodelist, expand_nodelist
from slurmwatchd.connector.sacct_text import read_rows, write_rows
from tests.draws import draws


@pytest.fixture(autouse=True, scope="module")
def _no_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No scontrol, whatever machine this is: a process an example would take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
        yield


hostile = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.lists(
        st.sampled_from(
            ["|", "\n", "\r\n", "\r", "\x1f", "\x1f0\x1f", "\x1f0", "7|x", "\u2028", '"', "\\", "", "999"]
        ),
        max_size=6,
    ).map("".join),
)
names = st.text(string.ascii_lowercase, min_size=1, max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    keys = ["jobidraw", *draw(st.lists(names, max_size=4, unique=True))]
    row = st.lists(hostile, min_size=len(keys) - 1, max_size=len(keys) - 1)
    ids = draw(st.lists(st.integers(1, 99), max_size=5, unique=True))
    return keys, [[str(number), *draw(row)] for number in ids]


@given(tables())
@settings(max_examples=draws(300))
def test_a_table_of_anything_reads_back(table: tuple[list[str], list[list[str]]]) -> None:
    keys, rows = table
    assert [list(row.values()) for row in read_rows(write_rows(keys, rows))[1]] == rows


moments = st.one_of(
    st.none(),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),  # noqa: DTZ001
)
nodes = st.sets(st.builds("{}{}".format, st.sampled_from(["n", "gpu-", "r1c"]), st.integers(0, 12)), max_size=5)


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    tasks = draw(st.lists(st.sampled_from(["7", "7.batch", "7.0", "8", "9_1", "9_1.extern"]), unique=True))
    keys = draw(st.sets(st.sampled_from(["jobname", "comment", "state"])))
    return {
        task: {
            "jobidraw": task,
            "start": draw(moments),
            "end": draw(moments),
            "nodelist": draw(nodes),
            **{key: draw(hostile) for key in sorted(keys)},
        }
        for task in tasks
    }


@given(jobs(), st.booleans(), st.sampled_from([None, 1, 4]))
@settings(max_examples=draws(100))
def test_jobs_read_back_from_text_and_json(
    rows: dict[str, dict[str, Any]],
    aware: bool,
    indent: int | None,
) -> None:
    if aware:
        zone = timedelta(hours=-3)
        for row in rows.values():
            row["end"] = row["end"] and (row["end"] + zone).replace(tzinfo=UTC)
    slurm = Slurm(from_string="")
    slurm.update(rows)
    assert Slurm(from_string=str(slurm)) == rows
    assert Slurm(from_string=slurm.to_json(indent=indent)) == rows


@given(nodes)
@settings(max_examples=draws(60))
def test_nodes_come_back_from_a_compact_list(some: set[str]) -> None:
    assert expand_nodelist(compact_nodelist(some)) == some
    assert expand_nodelist(",".join(some)) == some
