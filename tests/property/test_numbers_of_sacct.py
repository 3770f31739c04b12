"""Every way sacct writes a number, written here by hand from the number and read back."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from slurmwatchd.model import slurm_lists
from slurmwatchd.sources.sacct import grammar

NAMES = ("cpu", "node", "billing", "gres/gpu", "gres/gpu:a100", "gres/gpuutil", "license/matlab@flex", "pages")
SIZED = ("mem", "vmem", "fs/disk", "gres/gpumem", "bb/datawarp")
UNITS = {"": 1, "K": 1024, "M": 1_048_576, "G": 1_073_741_824, "T": 1_099_511_627_776, "P": 1_125_899_906_842_624}

amounts = st.integers(0, 10**15)
units = st.sampled_from(sorted(UNITS))


def clock(seconds: int, *, days: bool) -> str:
    """`[D-]HH:MM:SS`, as secs2time_str writes it."""
    day, rest = divmod(seconds, 86400) if days else (0, seconds)
    text = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{day}-{text}" if day else text


@given(st.integers(0, 86400 * 400), st.booleans())
def test_durations(seconds: int, days: bool) -> None:
    assert grammar.duration(clock(seconds, days=days).encode()) == seconds


@given(st.integers(0, 3_599_999))
def test_processor_time_below_an_hour_to_the_millisecond(milliseconds: int) -> None:
    seconds, rest = divmod(milliseconds, 1000)
    text = (
        f"{seconds // 60:02}:{seconds % 60:02}.{rest:03}" if rest else f"00:{seconds // 60:02}:{seconds % 60:02}"
    )
    assert grammar.cpu_milliseconds(text.encode()) == milliseconds


@given(st.integers(0, 86400 * 4000))
def test_processor_time_from_an_hour_on_in_whole_seconds(seconds: int) -> None:
    assert grammar.cpu_milliseconds(clock(seconds, days=True).encode()) == seconds * 1000


@given(st.integers(0, 5_000_000))
def test_time_limits_in_minutes(minutes: int) -> None:
    assert grammar.minutes(str(minutes).encode()) == minutes * 60


@given(st.integers(0, 4096), units)
def test_whole_sizes(number: int, unit: str) -> None:
    assert grammar.size(f"{number}{unit}") == number * UNITS[unit]


@given(st.integers(0, 409_600), units)
def test_sizes_with_two_digits_behind_the_point(hundredths: int, unit: str) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02}{unit}"
    exact = Decimal(text.rstrip("KMGTP")) * UNITS[unit]
    assert abs(grammar.size(text) - exact) <= Decimal("0.5")


@given(st.integers(0, 255), st.integers(0, 64))
def test_exit_codes(code: int, signal: int) -> None:
    assert grammar.exit_code(f"{code}:{signal}".encode()) == (code, signal)


@given(
    st.dictionaries(st.sampled_from(NAMES), amounts),
    st.dictionaries(st.sampled_from(SIZED), st.integers(0, 999)),
    units,
)
def test_lists_of_tres(plain: dict[str, int], sized: dict[str, int], unit: str) -> None:
    items = [
        *(f"{name}={amount}" for name, amount in plain.items()),
        *(f"{k}={v}{unit}" for k, v in sized.items()),
    ]
    items += ["energy=18446744073709551614", "license/none=18446744073709551615"]
    expected = {**plain, **{f"{name}_bytes": amount * UNITS[unit] for name, amount in sized.items()}}
    assert grammar.tres(",".join(items).encode()) == expected


@given(
    st.dictionaries(st.sampled_from(("energy", "pages", "gres/gpuutil")), amounts),
    st.dictionaries(st.sampled_from(SIZED), amounts),
    st.integers(0, 86400 * 90),
)
def test_usage_of_steps(plain: dict[str, int], sized: dict[str, int], seconds: int) -> None:
    amounts = {**plain, **sized}
    text = ",".join(
        [f"cpu={clock(seconds, days=True)}", *(f"{name}={amount}" for name, amount in amounts.items())]
    )
    assert grammar.usage_tres(text.encode()) == {"cpu": seconds, **amounts}


@given(st.integers(0, 2**32 - 3), st.sampled_from([b"4294967294", b"4294967295"]))
def test_ids_and_what_says_that_there_is_none(number: int, unset: bytes) -> None:
    assert grammar.integer(str(number).encode()) == number
    assert grammar.integer(unset) is None


@given(st.integers(2**53, 2**64 - 1))
def test_a_dbindex_beyond_64_bits_of_sign_stays_text(number: int) -> None:
    assert grammar.digits(str(number).encode()) == str(number)


@given(st.integers(0, 2**32))
def test_times_and_their_words(moment: int) -> None:
    assert grammar.epoch(str(moment).encode()) == moment
    assert grammar.epoch(b"Unknown") is None
    assert grammar.epoch(b"None") is None


spans = st.tuples(st.integers(0, 2000), st.integers(0, 300), st.integers(1, 9))


@given(st.lists(spans, min_size=1, max_size=8), st.integers(0, 50))
def test_task_expressions_stand_for_as_many_tasks_as_they_name(
    parts: list[tuple[int, int, int]], limit: int
) -> None:
    items, count = [], 0
    for first, length, step in parts:
        tasks = range(first, first + length + 1, step)
        count += len(tasks)
        items.append(str(first) if length == 0 else f"{first}-{first + length}" + (f":{step}" if step > 1 else ""))
    assert slurm_lists.task_count(",".join(items) + (f"%{limit}" if limit else "")) == count


licenses = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}(@[a-z]{1,5})?", fullmatch=True), st.integers(1, 500), min_size=1
)


@given(licenses, st.sampled_from(":*"))
def test_licenses(wanted: dict[str, int], sign: str) -> None:
    text = ",".join(name if count == 1 else f"{name}{sign}{count}" for name, count in wanted.items())
    assert slurm_lists.licenses(text) == wanted


terms = st.lists(
    st.from_regex(r"[a-z]{1,6}(\*[1-9])?|\[[a-z]{1,3}\|[a-z]{1,3}\]|\([a-z]\|[a-z]\)", fullmatch=True), min_size=1
)


@given(terms, st.sampled_from("&,"))
def test_constraints_are_cut_where_all_must_hold_and_nowhere_else(wanted: list[str], sign: str) -> None:
    assert slurm_lists.terms(sign.join(wanted)) == wanted
    choice = "|".join([*wanted, "other"])
    assert slurm_lists.terms(choice) == [choice]
