"""Every spelling of sacct's values, each with the value it means."""

import pytest

from slurmwatchd.sources.sacct import grammar


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0), (b"7", 7), (b"4294901759", 4_294_901_759), (b"-1", -1), (b"007", 7),
        (b"999999999999999999", 999_999_999_999_999_999),
    ],
)  # fmt: skip
def test_a_number_is_read(value: bytes, number: int) -> None:
    assert grammar.integer(value) == number


@pytest.mark.parametrize("value", [b"4294967294", b"4294967295"])
def test_a_32_bit_field_that_is_not_set_has_no_value(value: bytes) -> None:
    assert grammar.integer(value) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Partition_Limit", b"1_000", b" 7", b"7 ", b"+7", b"1.5", b"0x10", b"7\n", b"--7", b"-", b"4K",
        "٣".encode(), b"\xff", b"9" * 19, b"9" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_number_is_never_guessed_at(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.integer(value)


def test_a_db_index_beyond_63_bits_stays_text() -> None:
    assert grammar.digits(b"11258999068426240000") == "11258999068426240000"
    assert grammar.digits(b"7203094317895823360") == "7203094317895823360"


@pytest.mark.parametrize("value", [b"-1", b"1.0", b"s0000000000000", b" 1", "²".encode()])
def test_a_db_index_that_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.digits(value)


@pytest.mark.parametrize("value", [b"Unknown", b"None"])
def test_a_time_that_is_unset_or_never_came_has_no_value(value: bytes) -> None:
    assert grammar.epoch(value) is None


def test_a_time_is_seconds_since_1970() -> None:
    assert grammar.epoch(b"1795436431") == 1_795_436_431
    assert grammar.epoch(b"4294967295") == 4_294_967_295  # the year 2106, however unlikely
    assert grammar.epoch(b"0") == 0


@pytest.mark.parametrize(
    "value", [b"2026-11-23T12:20:31", b"####", b"-5", b"none", b"1795436431.5", b"17_95", b"9" * 12]
)
def test_a_time_in_another_format_is_no_time(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.epoch(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"00:00:00", 0), (b"00:00:59", 59), (b"01:00:00", 3600), (b"23:59:59", 86_399), (b"1-00:00:00", 86_400),
        (b"365-00:00:00", 31_536_000), (b"10-01:02:03", 867_723), (b"100:00:00", 360_000),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(value: bytes, seconds: int) -> None:
    assert grammar.duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"UNLIMITED", b"invalid", b"Partition_Limit", b"01:02", b"01:02.123", b"1-01:02", b"-00:00:01", b"00:00:1",
        b"\xff0:00:00", b"00:00:00\n", b"9" * 30 + b"-00:00:00",
    ],
)  # fmt: skip
def test_a_duration_in_words_or_cut_short_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.duration(value)


def test_a_duration_below_zero_is_no_duration_and_no_surprise() -> None:
    assert grammar.duration(b"INVALID") is None


def test_a_time_limit_in_minutes_becomes_seconds() -> None:
    assert grammar.minutes(b"525600") == 31_536_000
    assert grammar.minutes(b"1") == 60


@pytest.mark.parametrize("value", [b"UNLIMITED", b"Partition_Limit"])
def test_no_time_limit_of_its_own_is_none(value: bytes) -> None:
    assert grammar.minutes(value) is None


@pytest.mark.parametrize("value", [b"1_0", b"1-00:00:00"])
def test_a_time_limit_that_is_no_number_is_left_to_the_caller(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.minutes(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [(b"0:0", (0, 0)), (b"3:0", (3, 0)), (b"11:0", (11, 0)), (b"139:0", (139, 0)), (b"0:11", (0, 11))],
)
def test_an_exit_code_is_a_code_and_a_signal(value: bytes, code: tuple[int, int]) -> None:
    assert grammar.exit_code(value) == code


@pytest.mark.parametrize("value", [b"0", b":", b"0:", b":0", b"0:0:0", b"a:b", b"0 : 0"])
def test_anything_else_is_no_exit_code(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.exit_code(value)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (b"COMPLETED", ("COMPLETED", None)),
        (b"OUT_OF_MEMORY", ("OUT_OF_MEMORY", None)),
        (b"CANCELLED", ("CANCELLED", None)),
        (b"CANCELLED by 0", ("CANCELLED", 0)),
        (b"CANCELLED by 1000", ("CANCELLED", 1000)),
        (b"CANCELLED by 4294967294", ("CANCELLED", None)),
        (b"CANCELLED by 4294967295", ("CANCELLED", None)),
        (b"CANCELLED by -2", ("CANCELLED", None)),
        (b"?", ("?", None)),
        (b"brand_new_state", ("BRAND_NEW_STATE", None)),
        (b"", ("UNKNOWN", None)),
    ],
)
def test_a_state_is_one_word_and_who_cancelled(value: bytes, state: tuple[str, int | None]) -> None:
    assert grammar.state(value) == state


@pytest.mark.parametrize("value", [b"CANCELLED by root", b"CANCELLED by 1_0", b"CANCELLED by " + b"9" * 30])
def test_a_canceller_that_is_no_number_is_left_to_the_caller(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.state(value)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("12", (None, None, None, None, None, None)),
        ("12_3", (12, 3, None, None, None, None)),
        ("12_0", (12, 0, None, None, None, None)),
        ("12_[0-9%2]", (12, None, "0-9%2", 10, None, None)),
        ("8_[0-99:3%4]", (8, None, "0-99:3%4", 34, None, None)),
        ("5_[1,3-5,9]", (5, None, "1,3-5,9", 5, None, None)),
        ("5_[1,3,5,...]", (5, None, "1,3,5,...", None, None, None)),
        ("5_[7-3]", (5, None, "7-3", None, None, None)),
        ("5_[0-9:0]", (5, None, "0-9:0", None, None, None)),
        ("9+0", (None, None, None, None, 9, 0)),
        ("9+12", (None, None, None, None, 9, 12)),
    ],
)
def test_a_job_id_tells_of_arrays_and_heterogeneous_jobs(
    value: str, parts: tuple[int | None, int | None, str | None, int | None, int | None, int | None]
) -> None:
    assert grammar.job_id(value) == parts


@pytest.mark.parametrize(
    "value", ["", "12.batch", "12_", "12+", "12_[0-9", "12_3+1", "_3", "12 ", "٣_1", "1_" + "9" * 30]
)
def test_anything_else_is_no_job_id(value: str) -> None:
    with pytest.raises(ValueError):
        grammar.job_id(value)


@pytest.mark.parametrize(
    ("value", "amounts"),
    [
        (b"billing=1,cpu=1,mem=2000M,node=1", {"billing": 1, "cpu": 1, "mem_bytes": 2_097_152_000, "node": 1}),
        (b"cpu=4,gres/gpu:a100=2,gres/gpu=2", {"cpu": 4, "gres/gpu:a100": 2, "gres/gpu": 2}),
        (b"license/matlab@flex=3", {"license/matlab@flex": 3}),
        (b"energy=1234567", {"energy_joules": 1_234_567}),
        (
            b"gres/gpumem=80G,bb/datawarp=1T,vmem=4K,fs/disk=12",
            {
                "gres/gpumem_bytes": 85_899_345_920,
                "bb/datawarp_bytes": 1_099_511_627_776,
                "vmem_bytes": 4096,
                "fs/disk_bytes": 12,
            },
        ),
        (b"energy=18446744073709551614,cpu=1", {"cpu": 1}),
        (b"cpu=18446744073709551615", {}),
        (b"gres/a=b=2", {"gres/a=b": 2}),
        (b"gres/\xff=2", {"gres/\\xff": 2}),
    ],
)
def test_a_tres_list_is_read_by_name(value: bytes, amounts: dict[str, int | str]) -> None:
    assert grammar.tres(value) == amounts


@pytest.mark.parametrize(
    ("value", "read", "unread"),
    [
        (
            b"cpu=4,energy=18446744073709551616.00,fs/disk=77,mem=524288000,node=1",
            {"cpu": 4, "fs/disk_bytes": 77, "mem_bytes": 524_288_000, "node": 1},
            "energy=18446744073709551616.00",
        ),
        (b"cpu=1_0,mem=lots,gres/gpu=2", {"gres/gpu": 2}, "cpu=1_0,mem=lots"),
        (b"gres/gpu:a100_1g.5gb=-1,gres/gpu=2", {"gres/gpu": 2}, "gres/gpu:a100_1g.5gb=-1"),
        (b"energy=18446744073709549568,node=1", {"node": 1}, "energy=18446744073709549568"),
        (b"cpu=1,=3,node", {"cpu": 1}, "=3,node"),
        (b"cpu=1,", {"cpu": 1}, ","),
    ],
)
def test_an_amount_of_tres_that_cannot_be_read_costs_itself(
    value: bytes, read: dict[str, int], unread: str
) -> None:
    with pytest.raises(grammar.PartlyReadError) as caught:
        grammar.tres(value)
    assert (caught.value.read, caught.value.unread) == (read, unread)


@pytest.mark.parametrize(
    ("value", "read", "unread"),
    [
        (
            b"cpu=00:01:00,energy=18446744073709551616.00,fs/disk=77,mem=524288000",
            {"cpu": 60, "fs/disk": 77, "mem": 524_288_000},
            "energy=18446744073709551616.00",
        ),
        (
            b"cpu=213503982334-14:25:51,fs/disk=5,mem=18446744073709551000,vmem=7",
            {"fs/disk": 5, "vmem": 7},
            "cpu=213503982334-14:25:51,mem=18446744073709551000",
        ),
        (b"mem=4000K,pages", {"mem": 4_096_000}, "pages"),
    ],
)
def test_an_amount_that_a_step_used_and_that_cannot_be_read_costs_itself(
    value: bytes, read: dict[str, int], unread: str
) -> None:
    with pytest.raises(grammar.PartlyReadError) as caught:
        grammar.usage_tres(value)
    assert (caught.value.read, caught.value.unread) == (read, unread)


def test_a_count_of_licenses_that_cannot_be_read_costs_itself() -> None:
    with pytest.raises(grammar.PartlyReadError) as caught:
        grammar.licenses(b"matlab@flex:2,ansys:many,comsol,matlab@flex")
    assert caught.value.read == {"matlab@flex": 3, "comsol": 1}
    assert caught.value.unread == "ansys:many"
    with pytest.raises(ValueError, match="a:1") as choice:
        grammar.licenses(b"a:1|b:2")
    assert type(choice.value) is ValueError


@pytest.mark.parametrize("value", [b"213503982334-14:25:51", b"INVALID", b"-1:00:00"])
def test_processor_time_below_zero_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.cpu_milliseconds(value)


@pytest.mark.parametrize("value", [b"4294967290", b"1795393606", b"1000000000", b"-1", b"1.0"])
def test_a_run_of_more_than_31_years_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.seconds(value)
    assert grammar.seconds(b"999999999") == 999_999_999
    assert grammar.seconds(b"4294967294") is None
    with pytest.raises(ValueError):
        grammar.duration(b"20780-08:06:46")
    assert grammar.duration(b"11574-01:46:39") == 999_999_999


@pytest.mark.parametrize("value", [b"4294967290", b"2147483648", b"-6", b"4K"])
def test_a_count_below_zero_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.count(value)
    assert grammar.count(b"2147483647") == 2_147_483_647
    assert grammar.count(b"4294967295") is None


@pytest.mark.parametrize("value", [b"0", b"1", b"946684799"])
def test_a_start_before_2000_is_none(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.moment(value)
    assert grammar.moment(b"946684800") == 946_684_800
    assert grammar.moment(b"Unknown") is None


@pytest.mark.parametrize(
    "value", [b"NONE", b"cpu", b"=1", b"cpu=1,", b",", b"mem=lots", b"mem=", b"mem=9999999999E"]
)
def test_a_tres_list_that_is_none_is_left_to_the_caller(value: bytes) -> None:
    with pytest.raises(ValueError):
        grammar.tres(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("0", 0), ("2097152000", 2_097_152_000), ("2000M", 2_097_152_000), ("4K", 4096), ("1.5G", 1_610_612_736),
        ("0.5T", 549_755_813_888), ("1P", 1 << 50), ("7E", 7 << 60),
    ],
)  # fmt: skip
def test_a_size_is_bytes(value: str, size: int) -> None:
    assert grammar.size(value) == size


@pytest.mark.parametrize("value", ["", "M", "4Mn", "2000Mc", "-1", "1e9", "4 K", "4k", "8E", "9" * 19, "1.", "٣"])
def test_anything_else_is_no_size(value: str) -> None:
    with pytest.raises(ValueError):
        grammar.size(value)


def test_the_reason_that_is_none_is_absent() -> None:
    assert grammar.reason(b"None") is None
    assert grammar.reason(b"JobHeldUser") == "JobHeldUser"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        ("Zürich".encode(), "Zürich"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"cut \xe2\x82", "cut \\xe2\\x82"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_bytes_that_are_no_utf8_are_written_out_and_leave_no_surrogate(value: bytes, text: str) -> None:
    assert grammar.text(value) == text


def test_ids_and_times_have_eleven_digits_at_most() -> None:
    assert grammar.natural(b"99999999999") == 99_999_999_999
    with pytest.raises(ValueError):
        grammar.natural(b"100000000000")
