"""Moments as people write them."""

from zoneinfo import ZoneInfo

import pytest

from slurmwatchd.config.moments import parse_moment, parse_stretch

BERLIN = ZoneInfo("Europe/Berlin")

# 2026-11-20 10:20:30 UTC, 11:20:30 in Berlin, as `date -d` has it.
NOW = 1795170030.75


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", 1795083630), ("-2h", 1795162830), ("30d", 1792578030), ("90m", 1795164630), ("1.5h", 1795164630),
        ("2w", 1793960430), ("1d12h", 1795040430), ("2 hours ago", 1795162830), ("3days", 1794910830),
        ("now-2hours", 1795162830), ("now - 1 day 1 h", 1795080030), ("0s", 1795170030), ("99999d", 0),
        ("250ms", 1795170030), ("1s900ms", 1795170028), ("24H", 1795083630), ("1.1h", 1795166070),
        ("now", 1795170030), ("Today", 1795129200), ("midnight", 1795129200), ("yesterday", 1795042800),
        ("2026-11-20", 1795129200), ("20261120", 1795129200),
        ("2026-11-20 14:30", 1795181400), ("2026-11-20T14:30:05", 1795181405), ("2026-11-20t14", 1795179600),
        ("2026-11-20T14:30:05Z", 1795185005), ("2026-11-20t14:30:05z", 1795185005),
        ("2026-11-20T14:30:05.9+01:00", 1795181405), ("20261120T143005Z", 1795185005),
        ("14:30", 1795181400), ("9:05:06", 1795161906), (" 9:05:06 ", 1795161906),
        ("@1795423566", 1795423566), ("@1795423566.9", 1795423566), ("@0", 0),
    ],
)  # fmt: skip
def test_a_moment_is_what_a_person_means_by_it(text: str, moment: int) -> None:
    assert parse_moment(text, now=NOW, zone=BERLIN) == moment


def test_yesterday_is_a_date_and_not_24_hours() -> None:
    # 2026-10-25 had 25 hours in Berlin; it is 12:00 there on the 26th.
    assert parse_moment("yesterday", now=1793012400, zone=BERLIN) == 1792879200
    assert parse_moment("today", now=1793012400, zone=BERLIN) == 1792969200


def test_an_hour_that_comes_twice_is_the_first_and_one_that_is_skipped_lies_behind_the_gap() -> None:
    assert parse_moment("2026-10-25 02:30", now=NOW, zone=BERLIN) == 1792888200
    assert parse_moment("2026-03-29 02:30", now=NOW, zone=BERLIN) == 1774747800


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "24", "h", "24x", "now2h", "now+2h", "+2h", "tomorrow", "1795423566", "2026-13-01", "2026-11-31",
        "2026", "2026-11", "11/20", "25:00", "14:61", "2026-11-20T14:30:05 PDT",
        "@", "@-1", "2026-W47-5", "\u0661h", "24h\x00", "2h ago ago", "last week", "1e3s", "3M", "-1d6M",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line_that_shows_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment such as 24h, 30d, yesterday, 2026-11-20") as caught:
        parse_moment(text, now=NOW, zone=BERLIN)
    assert str(caught.value).startswith(repr(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["1969-12-31", "0001-01-02"])
def test_a_moment_before_all_of_slurms_is_called_so(text: str) -> None:
    with pytest.raises(ValueError, match=f"^'{text}' is before 1970$"):
        parse_moment(text, now=NOW, zone=BERLIN)


def test_without_a_zone_the_machines_own_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_moment("2026-11-20 14:30", now=NOW) == 1795152600
        assert parse_moment("14:30", now=NOW) == 1795152600
        assert parse_moment("today", now=NOW) == 1795100400
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_stretch_without_an_end_ends_now() -> None:
    assert parse_stretch("24h", None, now=NOW, zone=BERLIN) == (1795083630, 1795170030)
    assert parse_stretch("yesterday", "today", now=NOW, zone=BERLIN) == (1795042800, 1795129200)


@pytest.mark.parametrize(("since", "until"), [("today", "yesterday"), ("1h", "1h"), ("23:00", None)])
def test_an_empty_stretch_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(ValueError, match="the stretch is empty: it begins"):
        parse_stretch(since, until, now=NOW, zone=BERLIN)
