"""Rows are cut by counting a delimiter nobody knows beforehand, never by looking for line ends."""

from unittest.mock import patch

import pytest

from slurmwatchd.errors import SacctOutputError
from slurmwatchd.sources.sacct.framing import RowReader
from tests.unit.sacct_rows import fed

D = b"\x1f0123456789abcdef\x1f"
FIELDS = ("JobIDRaw", "JobName", "State")


def printed(*rows: tuple[bytes, ...], header: tuple[bytes, ...] = (b"JobIDRaw", b"JobName", b"State")) -> bytes:
    """What sacct prints with -p: each value followed by the delimiter, each row by a newline."""
    return b"".join(b"".join(value + D for value in row) + b"\n" for row in (header, *rows))


def read(output: bytes) -> list[list[bytes]]:
    reader = RowReader(D, FIELDS)
    rows = fed(reader, output)
    reader.close()
    return rows


def test_rows_come_out_as_they_went_in() -> None:
    assert read(printed((b"7", b"train", b"COMPLETED"), (b"8", b"", b"FAILED"))) == [
        [b"7", b"train", b"COMPLETED"],
        [b"8", b"", b"FAILED"],
    ]


def test_a_header_alone_is_a_complete_answer_without_rows() -> None:
    reader = RowReader(D, FIELDS)
    assert fed(reader, printed()) == []
    reader.close()
    assert reader.rows == 0


def test_newline_in_a_job_name_does_not_end_a_row() -> None:
    assert read(printed((b"7", b"new\nline\r\n\n", b"COMPLETED"))) == [[b"7", b"new\nline\r\n\n", b"COMPLETED"]]


def test_a_name_that_looks_like_a_row_forges_none() -> None:
    forged = b"evil\n999999|root|COMPLETED\n999998\x1fx\x1fFAILED\x1f\n"
    rows = read(printed((b"7", forged, b"COMPLETED"), (b"8", b"plain", b"FAILED")))
    assert rows == [[b"7", forged, b"COMPLETED"], [b"8", b"plain", b"FAILED"]]


def test_a_name_with_somebody_elses_delimiter_forges_none() -> None:
    other = b"x\x1ffedcba9876543210\x1fROOT\x1ffedcba9876543210\x1f\n"
    assert read(printed((b"7", other, b"COMPLETED"))) == [[b"7", other, b"COMPLETED"]]


@pytest.mark.parametrize("name", [b"\x1f", b"\x1f0123456789abcde", b"0123456789abcdef\x1f", b"\x1f\x1f\x1f"])
def test_a_name_that_ends_or_begins_like_the_delimiter_is_kept_whole(name: bytes) -> None:
    assert read(printed((b"7", name, b"COMPLETED"))) == [[b"7", name, b"COMPLETED"]]


def test_bytes_that_are_no_text_are_kept_as_they_are() -> None:
    assert read(printed((b"7", b"\xff\xfe\x80\x00", b"COMPLETED"))) == [[b"7", b"\xff\xfe\x80\x00", b"COMPLETED"]]


def test_output_in_single_bytes_gives_the_same_rows() -> None:
    reader = RowReader(D, FIELDS)
    output = printed((b"7", b"new\nline", b"COMPLETED"), (b"8", b"\x1f", b"FAILED"))
    rows = [row for index in range(len(output)) for row in fed(reader, output[index : index + 1])]
    reader.close()
    assert rows == [[b"7", b"new\nline", b"COMPLETED"], [b"8", b"\x1f", b"FAILED"]]
    assert reader.rows == 2


def test_a_long_value_is_cut_once_however_many_pieces_it_comes_in() -> None:
    output = printed((b"7", b"x" * 100_000, b"COMPLETED"), (b"8", b"train", b"FAILED"))
    reader = RowReader(D, FIELDS)
    with patch.object(RowReader, "_cut", autospec=True, side_effect=RowReader._cut) as cut:
        rows = [row for index in range(0, len(output), 100) for row in fed(reader, output[index : index + 100])]
    reader.close()
    assert rows == [[b"7", b"x" * 100_000, b"COMPLETED"], [b"8", b"train", b"FAILED"]]
    # At worst each delimiter comes in a piece of its own.
    assert sum(len(call.args[1]) for call in cut.call_args_list) < 101_000


@pytest.mark.parametrize(
    "header",
    [
        (b"JobIDRaw", b"JobName", b"Start"),
        (b"JobID", b"JobName", b"State"),
        (b"jobidraw", b"JobName", b"State"),
        (b"JobName", b"JobIDRaw", b"State"),
    ],
)
def test_another_header_than_the_one_asked_for_is_no_answer(header: tuple[bytes, ...]) -> None:
    with pytest.raises(SacctOutputError, match="header is not the one requested"):
        read(printed((b"7", b"train", b"COMPLETED"), header=header))


def test_the_header_that_differs_is_shown_beside_the_one_that_was_asked_for() -> None:
    with pytest.raises(SacctOutputError, match=r"\(b'QOSRAW', b'State'\)"):
        read(printed(header=(b"JobIDRaw", b"JobName", b"QOSRAW")))


def test_a_field_too_many_in_the_header_is_seen() -> None:
    with pytest.raises(SacctOutputError):
        read(printed((b"7", b"train", b"COMPLETED", b"x"), header=(b"JobIDRaw", b"JobName", b"State", b"QOS")))


def test_a_row_that_lost_its_line_end_is_seen() -> None:
    output = printed((b"7", b"train", b"COMPLETED"), (b"8", b"train", b"FAILED"))
    with pytest.raises(
        SacctOutputError, match="row 1 of sacct's answer is followed by b'8' instead of a line end"
    ):
        read(output.replace(b"COMPLETED" + D + b"\n", b"COMPLETED" + D))


def test_a_row_with_a_value_too_many_is_seen() -> None:
    with pytest.raises(SacctOutputError):
        read(printed((b"7", b"train", b"COMPLETED", b"extra"), (b"8", b"train", b"FAILED")))


def test_an_answer_that_stops_inside_a_row_is_cut_off() -> None:
    with pytest.raises(SacctOutputError, match="is truncated after 1 rows"):
        read(printed((b"7", b"train", b"COMPLETED"), (b"8", b"train", b"FAILED"))[:-5])


def test_an_answer_without_its_last_line_end_is_cut_off() -> None:
    with pytest.raises(SacctOutputError, match="is truncated after 1 rows"):
        read(printed((b"7", b"train", b"COMPLETED"))[:-1])


def test_nothing_at_all_is_no_answer() -> None:
    with pytest.raises(SacctOutputError, match="sacct printed no header but b''"):
        RowReader(D, FIELDS).close()


def test_a_message_instead_of_a_header_is_no_answer() -> None:
    with pytest.raises(
        SacctOutputError, match="sacct printed no header but b'Slurm accounting storage is disabled"
    ):
        read(b"Slurm accounting storage is disabled\n")


def test_something_behind_the_last_row_is_seen() -> None:
    with pytest.raises(SacctOutputError):
        read(printed((b"7", b"train", b"COMPLETED")) + b"\n")


def test_a_single_field_is_framed_too() -> None:
    reader = RowReader(D, ["JobIDRaw"])
    assert fed(reader, b"JobIDRaw" + D + b"\n7" + D + b"\n") == [[b"7"]]
    reader.close()


def test_names_may_be_shortened_as_sacct_takes_them_where_that_was_said() -> None:
    output = b"JobIDRaw;NNodes;\n7;2;\n"
    reader = RowReader(b";", ["jobidraw", "nno"], abbreviated=True)
    assert fed(reader, output) == [[b"7", b"2"]]
    reader.close()
    assert reader.header == ("JobIDRaw", "NNodes")
    with pytest.raises(SacctOutputError, match="header"):
        fed(RowReader(b";", ["jobidraw", "nno"]), output)
    with pytest.raises(SacctOutputError, match="header"):
        fed(RowReader(b";", ["jobidraw", "odes"], abbreviated=True), output)
