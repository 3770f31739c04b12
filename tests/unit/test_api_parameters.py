"""What stands in an address behind the question mark, as Python's own reader has it."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slurmwatchd.daemon.web.api import parameters
from slurmwatchd.daemon.web.api.parameters import pairs
from slurmwatchd.daemon.web.api.problems import ProblemError


@given(st.text(alphabet="ab=&+%20Fe9;,\u00e9", max_size=30))
@example("user=ann&since=-2h&fields=job_id%2Cuser&name=a+b&&=&x&y==&%C3%A9=%ff")
def test_an_address_is_read_as_python_reads_it(text: str) -> None:
    query = text.encode("latin-1")
    assert pairs(query) == parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def test_a_parameter_that_takes_several_may_be_given_twice_and_no_other() -> None:
    assert parameters.read(parameters.JobsQuery, [("user", "ann"), ("user", "bob")]).user == ("ann", "bob")
    with pytest.raises(ProblemError, match=r"^limit: is given twice$"):
        parameters.read(parameters.JobsQuery, [("limit", "1"), ("limit", "2")])


@pytest.mark.parametrize("name", ["since", "until", "from", "to"])
def test_a_plus_before_a_span_is_no_way_to_write_one_whether_it_is_escaped_or_not(name: str) -> None:
    for text in (b"%b=+1h", b"%b=%%2B1h"):
        with pytest.raises(ProblemError, match=rf"^{name}: '\+1h' is not a moment such as 24h, ") as caught:
            parameters.read(parameters.JobsQuery, pairs(text % name.encode()))
        assert (caught.value.status, caught.value.parameter) == (400, name)


def test_a_plus_before_a_zone_need_not_be_escaped() -> None:
    for text in (b"since=2026-11-20T14:30:00+01:00", b"since=2026-11-20+13:30"):
        assert parameters.read(parameters.JobsQuery, pairs(text)).since == 1_795_181_400
