"""Ids, moments and durations against what Python's own library makes of them."""

import uuid
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.config.units import format_duration, parse_duration
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.event_ids import NAMESPACE, event_id
from slurmwatchd.sources.sacct import grammar
from tests.draws import draws


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
    st.sampled_from(["job_ended", "job_usage", "job_revised"]),
    st.integers(1, 99),
)
@settings(max_examples=draws(150))
def test_an_event_id_is_a_uuid5(cluster: str, job_id_raw: int, submit: int, kind: str, revision: int) -> None:
    name = f"{cluster}/{job_id_raw}/{submit}/{kind}/{revision}"
    made = event_id(cluster, job_id_raw, submit, kind, revision)
    assert made == str(uuid.uuid5(NAMESPACE, name))
    assert uuid.UUID(made).version == 5


@given(st.integers(-30_610_224_000, 253_402_300_799))
@settings(max_examples=draws(250))
def test_a_moment_is_written_as_datetime_writes_it(epoch: int) -> None:
    """From the year 1000 to the year 9999."""
    assert rfc3339(epoch) == datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@given(st.one_of(st.integers(0, 36_525 * 86_400), st.floats(0.001, 10**7).map(lambda seconds: round(seconds, 3))))
@settings(max_examples=draws(150))
def test_a_duration_that_is_written_is_read_as_itself(seconds: float) -> None:
    read = parse_duration(format_duration(seconds))
    assert abs(read - seconds) < 1e-6 * max(1, seconds)
    if seconds == int(seconds):
        assert read == seconds


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_saccts_durations_are_read_exactly(days: int, hours: int, minutes: int, seconds: int) -> None:
    text = (
        f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}" if days else f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    )
    assert grammar.duration(text.encode()) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@given(st.binary(max_size=60))
@settings(max_examples=draws(250))
def test_every_reader_reads_or_refuses_and_gives_nothing_that_json_or_sqlite_cannot_hold(value: bytes) -> None:
    readers = (
        grammar.integer, grammar.digits, grammar.epoch, grammar.natural, grammar.duration, grammar.minutes,
        grammar.exit_code, grammar.state, grammar.tres,
    )  # fmt: skip
    for read in readers:
        try:
            result = read(value)
        except ValueError:
            continue
        parts = result if isinstance(result, tuple) else result.values() if isinstance(result, dict) else [result]
        assert all(not isinstance(part, int) or abs(part) < 1 << 63 for part in parts)


@given(st.binary(max_size=60))
@settings(max_examples=draws(150))
def test_text_of_any_bytes_can_be_encoded_again(value: bytes) -> None:
    assert grammar.text(value).encode().decode() == grammar.text(value)
