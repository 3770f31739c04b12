"""Whatever users write into their jobs, and however the pipe cuts it, rows come out as they went in."""

from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slurmwatchd.errors import SacctOutputError
from slurmwatchd.sources.sacct import framing
from slurmwatchd.sources.sacct.client import fresh_delimiter
from slurmwatchd.sources.sacct.framing import RowReader
from tests.draws import draws
from tests.unit.sacct_rows import fed

NONCE = b"k3J-x_9Q"
DELIMITER = b"\x1f" + NONCE

hostile = st.one_of(
    st.binary(max_size=12),
    st.lists(
        st.sampled_from([
            b"\n", b"\r\n", b"\x1f", b"|", b"\x1f" + NONCE[:-1], NONCE, NONCE[:-1], b"\x1f" + NONCE[::-1],
            b"\xff\xfe", b"\x1fAAAAAAAA", b"\n\x1f\n", b'"', b"\\", b"JobIDRaw", b"999", b"",
        ]),
        max_size=6,
    ).map(b"".join),
).filter(lambda value: DELIMITER not in value)  # fmt: skip
"""A value; nobody can have written the delimiter, which is made when the jobs are there already."""


@st.composite
def answers(draw: st.DrawFn) -> tuple[tuple[str, ...], list[list[bytes]]]:
    width = draw(st.integers(1, 5))
    fields = tuple(f"Field{number}" for number in range(width))
    row = st.lists(hostile, min_size=width, max_size=width)
    return fields, draw(st.lists(row, max_size=6))


def printed(fields: tuple[str, ...], rows: list[list[bytes]], delimiter: bytes = DELIMITER) -> bytes:
    lines = [[name.encode() for name in fields], *rows]
    return b"".join(b"".join(value + delimiter for value in line) + b"\n" for line in lines)


def read(pieces: list[bytes], fields: tuple[str, ...], delimiter: bytes = DELIMITER) -> list[list[bytes]]:
    reader = RowReader(delimiter, fields)
    rows = [row for piece in pieces for row in fed(reader, piece)]
    reader.close()
    assert reader.rows == len(rows)
    return rows


@given(answers(), st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=draws(200))
def test_any_chunking_gives_the_rows_that_were_printed(
    answer: tuple[tuple[str, ...], list[list[bytes]]], cuts: list[int]
) -> None:
    fields, rows = answer
    output = printed(fields, rows)
    edges = sorted({0, len(output), *(cut for cut in cuts if cut < len(output))})
    assert read([output[begin:end] for begin, end in pairwise(edges)], fields) == rows
    assert read([output], fields) == rows


@given(answers(), st.integers(1, 40))
@settings(max_examples=draws(100))
def test_wherever_the_search_for_delimiters_begins_anew_the_rows_are_those_that_were_printed(
    answer: tuple[tuple[str, ...], list[list[bytes]]], at_once: int
) -> None:
    fields, rows = answer
    with patch.object(framing, "_CUT_BYTES", at_once):
        assert read([printed(fields, rows)], fields) == rows


@given(answers())
@settings(max_examples=draws(60))
def test_single_bytes_give_the_rows_that_were_printed(answer: tuple[tuple[str, ...], list[list[bytes]]]) -> None:
    fields, rows = answer
    output = printed(fields, rows)
    assert read([output[index : index + 1] for index in range(len(output))], fields) == rows


@given(answers())
@settings(max_examples=draws(60))
@example((("JobIDRaw", "JobName"), [[b"7", b"\n"], [b"8", b"x\x1f"]]))
def test_an_answer_cut_anywhere_but_between_two_rows_is_known_to_be_cut(
    answer: tuple[tuple[str, ...], list[list[bytes]]],
) -> None:
    """Between two rows only sacct's exit status can tell; see `Sacct`."""
    fields, rows = answer
    output = printed(fields, rows)
    whole = {len(printed(fields, rows[:count])): count for count in range(len(rows) + 1)}
    for end in range(len(output)):
        reader = RowReader(DELIMITER, fields)
        if end in whole:
            assert fed(reader, output[:end]) == rows[: whole[end]]
            reader.close()
            continue
        with pytest.raises(SacctOutputError):
            read([output[:end]], fields)


@given(answers().filter(lambda answer: len(answer[0]) > 1), st.integers(0, 35))
@settings(max_examples=draws(150))
def test_an_answer_with_afresh_delimiter_too_few_or_too_many_is_no_answer(
    answer: tuple[tuple[str, ...], list[list[bytes]]], which: int
) -> None:
    fields, rows = answer
    output = printed(fields, rows)
    places = [index for index in range(len(output)) if output.startswith(DELIMITER, index)]
    place = places[which % len(places)]
    for damaged in (
        output[:place] + output[place + len(DELIMITER) :],
        output[:place] + DELIMITER + output[place:],
    ):
        # Two values may make a delimiter where the one between is gone; outside of here nobody knows it before.
        if damaged.count(DELIMITER) == len(places):
            continue
        with pytest.raises(SacctOutputError):
            read([damaged], fields)


def test_no_two_calls_share_afresh_delimiter_and_none_can_be_guessed() -> None:
    delimiters = {fresh_delimiter() for _ in range(2000)}
    assert len(delimiters) == 2000
    assert all(len(text) >= 9 and text.startswith("\x1f") and text.isascii() for text in delimiters)
    assert len({text[1] for text in delimiters}) > 40
