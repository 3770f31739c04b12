"""Durations and addresses as people write them."""

import pytest

from slurmwatchd.config.units import (
    format_duration,
    parse_duration,
    parse_whole_duration,
    split_address,
    split_texts,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25), ("30s", 30), ("15m", 900), ("2h", 7200), ("400d", 34_560_000), ("2w", 1_209_600),
        ("1.5h", 5400), ("0s", 0), (" 30s ", 30), ("1d12h", 129_600), ("1h 30m", 5400), ("1s250ms", 1.25),
        ("2 hours", 7200), ("3days", 259_200), ("30S", 30), ("1.1h0.9m", 4014),
    ],
)  # fmt: skip
def test_a_duration_is_one_or_more_numbers_each_with_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "30", "s", "-30s", "1h30", "30s,5m", "1e3s", ".5s", "5.s", "30s\x00", "1mo", "3M", "1d6M",
        "\u0661h", 30, 1.5, True, None, [],
    ],
)  # fmt: skip
def test_anything_else_is_no_duration_and_the_error_shows_it(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"is not a duration such as \"30s\", \"15m\", \"1d12h\" or \"400d\""
    ) as caught:
        parse_duration(value)
    assert str(caught.value).startswith(repr(value))


@pytest.mark.parametrize(
    ("text", "seconds"), [("1.1h", 3960), ("4.1m", 246), ("0.7d", 60_480), ("2.2w", 1_330_560), ("0.001d", 86.4)]
)  # fmt: skip
def test_parts_of_a_unit_are_exact(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", ["36526d", "999999999999d", "999999999999w"])
def test_a_duration_of_over_a_hundred_years_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"'{value}' is longer than 36525d"):
        parse_duration(value)
    assert parse_duration("36525d") == 3_155_760_000


def test_where_whole_seconds_are_needed_a_part_of_one_is_refused() -> None:
    assert parse_whole_duration("1.5h") == 5400
    assert parse_whole_duration("2000ms") == 2
    with pytest.raises(ValueError, match=r"'1\.5s' is not a whole number of seconds"):
        parse_whole_duration("1.5s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (34_560_000, "400d"), (7200, "2h"), (5400, "90m"), (61, "61s"), (1_234_567, "1234567s"), (0.1, "100ms"),
        (90.5, "90500ms"), (0, "0s"), (12_345.678, "12345678ms"),
    ],
)  # fmt: skip
def test_seconds_are_written_in_the_largest_unit_that_divides_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("alpha,beta", ["alpha", "beta"]), (" alpha , ,beta,", ["alpha", "beta"]), ("", []), ("alpha", ["alpha"]),
        (["alpha", "beta"], ["alpha", "beta"]), (7, 7),
    ],
)  # fmt: skip
def test_a_comma_list_is_a_list_and_anything_else_stays_what_it_is(value: object, texts: object) -> None:
    assert split_texts(value) == texts


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:10025", ("127.0.0.1", 10025)), ("0.0.0.0:0", ("0.0.0.0", 0)), ("[::1]:10025", ("::1", 10025)),  # noqa: S104
        ("localhost:80", ("localhost", 80)), ("[::]:65535", ("::", 65535)),
    ],
)  # fmt: skip
def test_an_address_is_cut_into_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "is not an address with a port"),
        ("127.0.0.1:", "is not an address with a port"),
        ("127.0.0.1:http", "is not an address with a port"),
        ("127.0.0.1:65536", "is not an address with a port"),
        ("127.0.0.1:-1", "is not an address with a port"),
        ("::1:10025", "write an IPv6 address in brackets"),
        ("node7:10025", "'node7' is not an IP address"),
        (":10025", "'' is not an IP address"),
        ("127.0.0.256:80", "'127.0.0.256' is not an IP address"),
    ],
)
def test_an_address_that_cannot_be_bound_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        split_address(text)
    assert repr(text) in str(caught.value)
