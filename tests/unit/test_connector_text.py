"""Sacct's text: what it says is read, what it cannot prove is refused, what is written reads back."""

import pytest

from slurmwatchd.connector import parse_sacct
from slurmwatchd.connector.sacct_text import read_rows, write_rows
from slurmwatchd.errors import SacctOutputError

PLAIN = "JobIDRaw|Start|State\n7|2026-11-20T10:00:00|COMPLETED\n7.batch|2026-11-20T10:00:01|COMPLETED\n"
EXPECTED = {
    "7": {"jobidraw": "7", "start": "2026-11-20T10:00:00", "state": "COMPLETED"},
    "7.batch": {"jobidraw": "7.batch", "start": "2026-11-20T10:00:01", "state": "COMPLETED"},
}


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "|\n"),
        PLAIN.replace("\n", "|\n").rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "|\r\n"),
        PLAIN.replace("|", "\x1f"),
        PLAIN.replace("\n", "|\n").replace("|", "\x1f12\x1f"),
        PLAIN + "\n\n",
        "\n \n" + PLAIN,
        "\ufeff" + PLAIN,
        PLAIN + PLAIN.partition("\n")[0] + "\n",
        (PLAIN + PLAIN).replace("\n", "|\n"),
        PLAIN.replace("|", ","),
        PLAIN.replace("|", "\t"),
        PLAIN.replace("\n", "|\n").replace("|", "^^"),
    ],
    ids=[
        "-P", "-P cut", "-p", "-p cut", "-P crlf", "-p crlf", "unit separator", "own delimiter", "blank lines",
        "blank lines before", "byte order mark", "header twice", "output twice", "commas", "tabs", "-p with ^^",
    ],
)  # fmt: skip
def test_every_form_of_the_same_table(text: str) -> None:
    assert parse_sacct(text) == EXPECTED


def test_nothing_and_a_header_alone_are_no_jobs() -> None:
    assert parse_sacct("") == {}
    assert parse_sacct("\n") == {}
    assert parse_sacct("JobIDRaw|State|\n") == {}
    assert parse_sacct("JobIDRaw\n7\n") == {"7": {"jobidraw": "7"}}


def test_the_task_id_is_found_where_it_is_not_first() -> None:
    assert list(parse_sacct("State|JobIDRaw|JobID\nFAILED|8|7_1\n")) == ["8"]
    assert list(parse_sacct("State|JobID\nFAILED|7_1\n")) == ["7_1"]
    assert list(parse_sacct("JobID|JobIDRaw\n7_1|8\n")) == ["7_1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4711|n08|COMPLETED\n4712|n09|FAILED\n", "the names of the columns are missing: leave out sacct's -n"),
        ("4711|n08|COMPLETED|\n4712|n09|FAILED|\n", "leave out sacct's -n"),
        ("4711\n4712\n", "leave out sacct's -n"),
        ("12,train\n", "leave out sacct's -n"),
        ("train|ada\n", "it names neither JobID nor JobIDRaw: ask for one of them, and leave out sacct's -n"),
        ("User|State\nann|FAILED\nann|COMPLETED\n", "it names neither JobID nor JobIDRaw"),
        ("12|jobid\n13|x\n", "leave out sacct's -n"),
        ("JobID||State\n7|x|CD\n", "the names of the columns are missing"),
        ("       JobID    JobName \n------------ ----------\n        7.ba+    trainin+ \n", "cuts values short"),
        ("JobID       \n------------\n7\n", "cuts values short: use sacct -p or -P"),
        ("JobID      JobName\n7          train\n", "cuts values short"),
        ("sacct: error: Problem talking to the database\n", "Problem talking to the database': sacct complained"),
        ("jobs:\n- job_id: 7\n", "it names neither"),
        ("JobId=7 JobName=train\n   UserId=ada(1000)\n", "it names neither"),
        ("$ sacct -P\nJobID|State\n7|CD\n", "it names neither"),
        ("[]", "it names neither"),
    ],
)  # fmt: skip
def test_a_text_without_a_header_is_refused_and_no_job_is_taken_for_one(text: str, words: str) -> None:
    with pytest.raises(SacctOutputError) as caught:
        parse_sacct(text)
    assert str(caught.value).startswith("line 1 of sacct's text is not a header: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "JobID|State|Comment\n7|CD|x\nsacct: error: Problem talking to the database\n",
            "line 3 of sacct's text is an error message, not a row: 'sacct: error: Problem talking to the data",
        ),
        ("State|JobID\nCD|train\n", "JobID of a row of sacct's text is not a task id: 'train'"),
        # A comma stands in values that no user wrote: nothing is put together there.
        ("JobID,JobName,AllocTRES\n7,train,cpu=1,mem=2\n", "line 2 of sacct's text has 4 values for 3 columns"),
        ("JobID,State,JobName\n7,CD,new\nline\n", "line 3 of sacct's text has 1 values for 3 columns"),
        ("JobID|State\n7|CD\nJobID|End\n8|x\n", "line 3 of sacct's text has 2 values for 2 columns"),
    ],
)
def test_what_is_no_row_of_the_table_is_refused_by_its_line(text: str, words: str) -> None:
    with pytest.raises(SacctOutputError) as caught:
        parse_sacct(text)
    assert words in str(caught.value)


HOSTILE = ["a|b", "new\nline", "crlf\r\nname", "|", "\n", "|||", "\n\n", "x|", "\u2028\x85\x1c"]
TWO_WAYS = ["|x\n|", "a\nb|c\nd"]


@pytest.mark.parametrize(
    ("name", "closed"),
    [(name, closed) for name in HOSTILE for closed in (True, False)] + [(name, True) for name in TWO_WAYS],
)
def test_a_name_that_breaks_rows_is_put_together_where_only_one_way_fits(name: str, *, closed: bool) -> None:
    end = "|\n" if closed else "\n"
    text = f"JobIDRaw|JobName|State{end}7|{name}|FAILED{end}8|plain|COMPLETED{end}"
    assert parse_sacct(text) == {
        "7": {"jobidraw": "7", "jobname": name, "state": "FAILED"},
        "8": {"jobidraw": "8", "jobname": "plain", "state": "COMPLETED"},
    }


@pytest.mark.parametrize("name", TWO_WAYS)
def test_a_name_that_fits_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(SacctOutputError, match=r"line [2-4] of sacct's text"):
        parse_sacct(f"JobIDRaw|JobName|State\n7|{name}|FAILED\n8|plain|COMPLETED\n")


@pytest.mark.parametrize("name", ["a|b", "new\nline", "crlf\r\nname", "x|", "a\n|c\nd", "end\n"])
def test_a_name_in_the_last_column_goes_on_in_the_next_line(name: str) -> None:
    text = f"JobIDRaw|State|JobName\n7|FAILED|{name}\n8|COMPLETED|plain\n"
    expected = name if name != "end\n" else "end"  # A line end at the very end cannot be told from none.
    assert [row["jobname"] for row in read_rows(text)[1]] == [expected, "plain"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("JobIDRaw|Start|End\n7|a\n8|a|b\n", "line 2 of sacct's text has 2 values for 3 columns: '7|a'"),
        ("JobIDRaw|Start|End\n7|a|b\n8|a\n", "line 3 of sacct's text has 2 values for 3 columns"),
        ("JobIDRaw|Start|End\n7|a|b|c\n", "line 2 of sacct's text has 4 values for 3 columns"),
        ("JobIDRaw|JobName|Comment\n7|a|b|c\n", "has 4 values for 3 columns"),
        ("JobIDRaw|State|JobName\n7|FAILED\n8|COMPLETED|x\n", "line 2 of sacct's text has 2 values for 3"),
        ("JobIDRaw|State|JobName\n7|FAI\nLED|x\n", "has 3 values for 3 columns: '7|FAI"),
        ("JobIDRaw|State\nsomething|else\n", "line 2 of sacct's text has 2 values"),
        ("JobIDRaw|JobName|State|\n7|x|CD|\n8|x|\n", "line 3 of sacct's text has 2 values for 3 columns"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_its_line(text: str, words: str) -> None:
    with pytest.raises(SacctOutputError) as caught:
        parse_sacct(text)
    assert words in str(caught.value)


def test_a_forged_row_in_a_counted_table_is_a_name_and_nothing_else() -> None:
    text = "JobIDRaw\x1fJobName\x1fState\x1f\n7\x1fevil\n8|x|CD\n9\x1fFAILED\x1f\n"
    assert parse_sacct(text) == {"7": {"jobidraw": "7", "jobname": "evil\n8|x|CD\n9", "state": "FAILED"}}


def test_counting_is_right_about_fields_that_nobody_expects_to_hold_lines() -> None:
    text = "JobIDRaw|Odd|State|\n7|a\n8|CD|\n9|b|CD|\n"
    assert parse_sacct(text) == {
        "7": {"jobidraw": "7", "odd": "a\n8", "state": "CD"},
        "9": {"jobidraw": "9", "odd": "b", "state": "CD"},
    }


REQUEUED = (
    "JobIDRaw|Submit|State\n7|10|REQUEUED\n7.batch|11|CANCELLED\n7.0|12|CANCELLED\n"
    "7|20|COMPLETED\n7.batch|21|COMPLETED\n"
)


def test_of_a_requeued_job_the_newest_attempt_and_none_of_the_steps_before() -> None:
    with pytest.warns(UserWarning, match="job 7 has earlier attempts"):
        found = parse_sacct(REQUEUED)
    assert {task: row["state"] for task, row in found.items()} == {"7": "COMPLETED", "7.batch": "COMPLETED"}


def test_the_newest_attempt_is_the_one_submitted_last_wherever_it_stands() -> None:
    with pytest.warns(UserWarning, match="earlier attempts"):
        found = parse_sacct("JobIDRaw|Submit|State\n7|20|COMPLETED\n7|10|REQUEUED\n")
    assert found["7"]["state"] == "COMPLETED"


def test_a_row_printed_twice_is_one() -> None:
    assert list(parse_sacct("JobIDRaw|State\n7|FAILED\n7|FAILED\n7.0|FAILED\n")) == ["7", "7.0"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["7", "plain"]], "jobidraw|jobname\n7|plain"),
        ([["7", "new\nline"]], "jobidraw|jobname|\n7|new\nline|\n"),
        ([["7", "a|b"]], "jobidraw\x1fjobname\x1f\n7\x1fa|b\x1f\n"),
        ([["7", "a|\x1fb"]], "jobidraw\x1f0\x1fjobname\x1f0\x1f\n7\x1f0\x1fa|\x1fb\x1f0\x1f\n"),
    ],
)
def test_what_is_written_takes_the_plainest_form_that_reads_back(rows: list[list[str]], expected: str) -> None:
    written = write_rows(["jobidraw", "jobname"], rows)
    assert written == expected
    assert [list(row.values()) for row in read_rows(written)[1]] == rows
