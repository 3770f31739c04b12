"""`Slurm`: what it loads from, what it makes of it, and that what it writes reads back. No Slurm is asked."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from slurmwatchd import connector
from slurmwatchd.connector import RECAST, Slurm, SlurmEncoder
from slurmwatchd.errors import NodelistError, SacctNotFoundError, SacctOutputError, SlurmNotFoundError

TEXT = (
    "JobIDRaw|Start|End|NodeList\n"
    "7|2026-11-20T10:00:00|2026-11-20T10:05:00|n[1-3]\n"
    "7.batch|2026-11-20T10:00:01|2026-11-20T10:04:00|n1\n"
    "7.0|2026-11-20T10:00:02|2026-11-20T10:06:00|n[2-3]\n"
)
DICTIONARY = {
    "7": {
        "jobidraw": "7",
        "start": datetime(2026, 11, 20, 10),  # noqa: DTZ001 - naive, as in the original
        "end": datetime(2026, 11, 20, 10, 5),  # noqa: DTZ001
        "nodelist": {"n1", "n2", "n3"},
    },
    "7.batch": {
        "jobidraw": "7.batch",
        "start": datetime(2026, 11, 20, 10, 0, 1),  # noqa: DTZ001
        "end": datetime(2026, 11, 20, 10, 4),  # noqa: DTZ001
        "nodelist": {"n1"},
    },
    "7.0": {
        "jobidraw": "7.0",
        "start": datetime(2026, 11, 20, 10, 0, 2),  # noqa: DTZ001
        "end": datetime(2026, 11, 20, 10, 6),  # noqa: DTZ001
        "nodelist": {"n2", "n3"},
    },
}


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No command of Slurm is there, whatever machine this is."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def _table() -> Iterator[None]:
    """Put the recast table back."""
    kept = dict(RECAST)
    yield
    RECAST.clear()
    RECAST.update(kept)


def test_a_text_becomes_a_dictionary_of_tasks() -> None:
    slurm = Slurm(from_string=TEXT)
    assert slurm == DICTIONARY
    assert slurm.jobid is None
    assert isinstance(slurm, dict)


def test_it_says_what_it_holds() -> None:
    slurm = Slurm(from_string=TEXT)
    assert slurm.get_job_ids() == ["7"]
    assert slurm.get_job_nodes() == {"n1", "n2", "n3"}
    assert slurm.get_job_startend() == (DICTIONARY["7"]["start"], DICTIONARY["7.0"]["end"])


def test_it_prints_what_sacct_prints_and_reads_it_back() -> None:
    slurm = Slurm(from_string=TEXT)
    assert (
        str(slurm)
        == repr(slurm)
        == TEXT.replace("JobIDRaw|Start|End|NodeList", "jobidraw|start|end|nodelist").strip()
    )
    assert Slurm(from_string=str(slurm)) == DICTIONARY
    assert str(Slurm(from_string="")) == ""


@pytest.mark.parametrize("form", [{}, {"indent": 4}, {"indent": 4, "sort_keys": True}, {"separators": (",", ":")}])
def test_json_reads_back_however_it_is_indented(form: dict[str, Any]) -> None:
    text = Slurm(from_string=TEXT).to_json(**form)
    assert json.loads(text)["7"] == {
        "jobidraw": "7",
        "start": "2026-11-20T10:00:00",
        "end": "2026-11-20T10:05:00",
        "nodelist": ["n1", "n2", "n3"],
    }
    assert Slurm(from_string=text) == DICTIONARY
    assert Slurm(from_string="\n  " + text) == DICTIONARY


@pytest.mark.parametrize("broken", ['{"7": ', '{"7": 1}', '{"7": [1]}'])
def test_broken_json_is_an_error_and_no_table(broken: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not a JSON object"):
        Slurm(from_string=broken)


@pytest.mark.parametrize("name", ["c.json", "c.json.gz", "c.txt", "c.sacct.gz", "c"])
def test_a_cache_file_is_what_its_name_says_and_reads_back(tmp_path: Path, name: str) -> None:
    slurm = Slurm(from_string=TEXT)
    file = tmp_path / name
    slurm.save_cache(file)
    data = file.read_bytes()
    assert data.startswith(b"\x1f\x8b") == name.endswith(".gz")
    content = gzip.decompress(data) if name.endswith(".gz") else data
    assert content.startswith(b"{") == (".json" in name)
    assert Slurm(cache_file=str(file)) == DICTIONARY
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_cache_file_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(gzip.compress(TEXT.encode()))
    assert Slurm(cache_file=tmp_path / "mine.json") == DICTIONARY
    slurm = Slurm(from_string="")
    slurm.load_cache(tmp_path / "mine.json")
    assert slurm == DICTIONARY


def test_a_cache_file_that_cannot_be_replaced_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir()
    with pytest.raises(OSError, match=r"c\.json"):
        Slurm(from_string=TEXT).save_cache(tmp_path / "c.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.json"]


def test_without_a_name_the_cache_is_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Slurm(from_string=TEXT).save_cache(indent=1)
    assert Slurm(from_string=capsys.readouterr().out) == DICTIONARY


def test_load_prefers_the_text_then_the_cache(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("JobIDRaw|State\n8|FAILED\n")
    assert list(Slurm(7, tmp_path / "c", TEXT)) == ["7", "7.batch", "7.0"]
    slurm = Slurm(7, tmp_path / "c")
    assert (list(slurm), slurm.jobid) == (["8"], "7")
    (tmp_path / "d").write_text("JobIDRaw|State\n9|FAILED\n")
    slurm.load(tmp_path / "d")
    assert list(slurm) == ["8", "9"]


def test_with_nothing_to_load_from_it_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jobid, cache_file or from_string must be given"):
        Slurm()
    with pytest.raises(ValueError, match="no jobid"):
        Slurm(from_string=TEXT).load_keys("state")
    with pytest.raises(ValueError, match="no cache_file"):
        Slurm(from_string=TEXT).load_cache()
    with pytest.raises(FileNotFoundError):
        Slurm(cache_file=tmp_path / "none")


def test_without_sacct_the_error_is_ours_and_an_oserror() -> None:
    with pytest.raises(FileNotFoundError, match="sacct is not on PATH") as caught:
        Slurm(7)
    assert isinstance(caught.value, SacctNotFoundError)
    assert isinstance(caught.value, SlurmNotFoundError)
    assert caught.value.errno == 2


def test_times_that_are_not_are_none_and_print_as_sacct_prints_them() -> None:
    slurm = Slurm(
        from_string="JobIDRaw|Start|End|NodeList\n7|Unknown|Unknown|None assigned\n8|None|2026-11-20T10:00:00|\n"
    )
    assert (slurm["7"]["start"], slurm["7"]["end"], slurm["7"]["nodelist"]) == (None, None, set())
    assert (slurm["8"]["start"], slurm["8"]["nodelist"]) == (None, set())
    assert str(slurm).splitlines()[1] == "7|Unknown|Unknown|None assigned"
    assert Slurm(from_string=str(slurm)) == slurm
    assert Slurm(from_string=slurm.to_json()) == slurm
    assert slurm.get_job_nodes() == set()
    assert slurm.get_job_startend()[0] is None


def test_a_job_that_runs_still_has_no_latest_end() -> None:
    rows = "7|2026-11-20T10:00:00|Unknown\n7.0|2026-11-20T10:00:02|2026-11-20T10:00:03\n"
    slurm = Slurm(from_string="JobIDRaw|Start|End\n" + rows)
    assert slurm.get_job_startend() == (datetime(2026, 11, 20, 10), None)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["####", "2026-13-40T00:00:00", "2026-11-20", "soon"])
def test_a_time_that_cannot_be_read_stays_text(text: str) -> None:
    slurm = Slurm(from_string=f"JobIDRaw|Start\n7|{text}\n")
    assert slurm["7"]["start"] == text
    assert str(slurm) == f"jobidraw|start\n7|{text}"


def test_a_node_list_that_is_none_stays_text_until_it_is_asked_for() -> None:
    slurm = Slurm(from_string="JobIDRaw|NodeList\n7|n[1-\n8|n1\n")
    assert slurm["7"]["nodelist"] == "n[1-"
    assert slurm["8"]["nodelist"] == {"n1"}
    with pytest.raises(NodelistError, match=r"n\[1-"):
        slurm.get_job_nodes()


def test_sets_of_the_same_list_are_not_the_same_set() -> None:
    slurm = Slurm(from_string="JobIDRaw|NodeList\n7|n[1-2]\n8|n[1-2]\n")
    slurm["7"]["nodelist"].add("n9")
    assert slurm["8"]["nodelist"] == {"n1", "n2"}


def test_a_zone_makes_times_aware_and_they_read_back() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    slurm = Slurm(from_string="JobIDRaw|Start\n7|2026-11-20T10:00:00+00:00\n", tz=zone)
    assert slurm["7"]["start"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert slurm["7"]["start"].utcoffset() == timedelta(hours=5, minutes=30)
    assert str(slurm) == "jobidraw|start\n7|2026-11-20T15:30:00+05:30"
    assert Slurm(from_string=str(slurm)) == slurm
    assert Slurm(from_string=slurm.to_json()) == slurm


def test_a_zone_takes_naive_times_as_local_ones() -> None:
    naive = Slurm(from_string="JobIDRaw|Start\n7|2026-11-20T10:00:00\n")["7"]["start"]
    aware = Slurm(from_string="JobIDRaw|Start\n7|2026-11-20T10:00:00\n", tz=UTC)["7"]["start"]
    assert aware.timestamp() == naive.timestamp()
    assert aware.tzinfo is UTC


def test_a_requeued_job_shows_its_newest_attempt_and_keeps_the_others() -> None:
    text = (
        "jobidraw|state|start\n7|REQUEUED|2026-11-20T09:00:00\n7.0|CANCELLED|2026-11-20T09:00:01\n"
        "8|FAILED|Unknown\n7|COMPLETED|2026-11-20T10:00:00"
    )
    slurm = Slurm(from_string=text)
    assert {task: row["state"] for task, row in slurm.items()} == {"7": "COMPLETED", "8": "FAILED"}
    (first,) = slurm.earlier["7"]
    assert first["7"]["start"] == datetime(2026, 11, 20, 9)  # noqa: DTZ001
    assert list(first) == ["7", "7.0"]
    again = Slurm(from_string=str(slurm))
    assert (dict(again), again.earlier) == (dict(slurm), slurm.earlier)
    assert str(slurm).count("\n") == 4


def test_fields_that_not_all_tasks_have_are_empty_when_printed() -> None:
    slurm = Slurm(from_string='{"7": {"jobidraw": "7", "state": "FAILED"}, "8": {"jobidraw": "8", "n": 3}}')
    assert str(slurm) == "jobidraw|state|n\n7|FAILED|\n8||3"


@pytest.mark.usefixtures("_table")
def test_the_recast_table_can_be_extended() -> None:
    def read(text: str) -> timedelta:
        hours, minutes, seconds = map(int, text.split(":"))
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def write(value: timedelta) -> str:
        return f"{value.seconds // 3600:02d}:{value.seconds % 3600 // 60:02d}:{value.seconds % 60:02d}"

    connector._RECAST_KEY_MAP["elapsed"] = (read, write)
    slurm = Slurm(from_string="JobIDRaw|Elapsed\n7|01:02:03\n8|\n")
    assert slurm["7"]["elapsed"] == timedelta(seconds=3723)
    assert slurm["8"]["elapsed"] == ""
    assert str(slurm) == "jobidraw|elapsed\n7|01:02:03\n8|"
    assert Slurm(from_string=slurm.to_json()) == slurm


def test_the_table_has_the_original_name_and_keys() -> None:
    assert connector._RECAST_KEY_MAP is RECAST
    assert set(RECAST) == {"start", "end", "nodelist"}
    assert RECAST["nodelist"][0]("n[1-2]") == {"n1", "n2"}
    assert RECAST["nodelist"][1]({"n1", "n2"}) == "n[1-2]"
    assert RECAST["start"][1](RECAST["start"][0]("2026-11-20T10:00:00")) == "2026-11-20T10:00:00"


def test_recast_can_be_told_which_keys() -> None:
    slurm = Slurm(from_string="")
    slurm["7"] = {"start": "2026-11-20T10:00:00", "end": "2026-11-20T10:00:00"}
    slurm._recast_keys("end")
    assert isinstance(slurm["7"]["end"], datetime)
    assert isinstance(slurm["7"]["start"], str)


def test_the_encoder_writes_sets_and_times_and_refuses_the_rest() -> None:
    moment = datetime(2026, 11, 20, 10, 0, 0, 5)  # noqa: DTZ001
    assert (
        json.dumps({"a": {"y", "x"}, "b": moment}, cls=SlurmEncoder)
        == '{"a": ["x", "y"], "b": "2026-11-20T10:00:00"}'
    )
    assert json.dumps(moment.replace(tzinfo=UTC), cls=SlurmEncoder) == '"2026-11-20T10:00:00+00:00"'
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(object(), cls=SlurmEncoder)


def test_dataframe_has_sacct_columns_and_types_to_reckon_with() -> None:
    pandas = pytest.importorskip("pandas")
    text = (
        "JobIDRaw|JobName|NNodes|Start|End|NodeList\n"
        '7|"NA|2|2026-11-20T10:00:00|2026-11-20T10:05:00|n[1-3]\n'
        "8|007||2026-11-20T10:00:01|Unknown|None assigned\n"
    )
    frame = Slurm(from_string=text).to_dataframe()
    assert list(frame.columns) == ["jobidraw", "jobname", "nnodes", "start", "end", "nodelist"]
    assert list(frame["jobidraw"]) == ["7", "8"]
    assert list(frame["jobname"]) == ['"NA', "007"]
    assert frame["nnodes"][0] == 2
    assert pandas.isna(frame["nnodes"][1])
    assert list(frame["nodelist"]) == ["n[1-3]", "None assigned"]
    assert frame["start"].dt.minute.tolist() == [0, 0]
    assert (frame["end"] - frame["start"])[0] == timedelta(minutes=5)
    assert pandas.isna(frame["end"][1])
    assert len(Slurm(from_string="").to_dataframe()) == 0
    aware = Slurm(from_string=text, tz=UTC).to_dataframe()
    assert str(aware["start"].dt.tz) == "UTC"


def test_a_byte_order_mark_is_no_part_of_json_nor_of_a_header() -> None:
    text = '{"7": {"jobidraw": "7", "state": "FAILED"}}'
    assert Slurm(from_string=f"\ufeff{text}") == Slurm(from_string=text)
    assert list(Slurm(from_string="\ufeffJobIDRaw|State\n7|FAILED\n")["7"]) == ["jobidraw", "state"]


def test_ids_and_names_are_text_in_a_dataframe_and_only_what_is_counted_are_numbers() -> None:
    pytest.importorskip("pandas")
    texts = {
        "JobID": ("4711.1", "4711.10"), "JobIDRaw": ("4711.1", "4711.10"), "DBIndex": ("7203094317895823360",) * 2,
        "User": ("007", "1e5"), "Account": ("0042", "42"), "Partition": ("1", "01"), "NodeList": ("001", "inf"),
        "QOS": ("2", "NaN"), "Cluster": ("1", "null"), "Group": ("10", "0x1"), "WCKey": ("1", "*"),
        "ReservationId": ("007", ""), "Reservation": ("1", ""), "AllocTRES": ("cpu=1", "billing=1"),
        "ReqTRES": ("1", "2"), "ExitCode": ("0:0", "1:0"), "FailedNode": ("003", "4"), "MaxRSSNode": ("003", "4"),
        "Layout": ("1", "2"), "McsLabel": ("1", "2"), "Timelimit": ("60", "UNLIMITED"), "State": ("1", "2"),
        "Odd": ("01", "2"),
    }  # fmt: skip
    numbers = {"NCPUS": (4, 8), "ElapsedRaw": (60, 0), "UID": (1000, 0), "Priority": (1, 4294967295)}
    columns = {**texts, **{name: tuple(map(str, values)) for name, values in numbers.items()}}
    rows = ["|".join(column[place] for column in columns.values()) for place in (0, 1)]
    frame = Slurm(from_string="\n".join(["|".join(columns), *rows])).to_dataframe()
    for name, values in texts.items():
        if name != "NodeList":
            found = ["" if value != value else value for value in frame[name.lower()]]  # noqa: PLR0124 - NaN
            assert found == list(values), name
    assert sorted(frame["nodelist"]) == ["001", "inf"]
    assert {name: tuple(frame[name.lower()]) for name in numbers} == numbers
    assert all(frame[name.lower()].dtype.kind == "i" for name in numbers)


def test_a_ragged_text_is_refused_by_its_line() -> None:
    with pytest.raises(SacctOutputError, match="line 3"):
        Slurm(from_string="JobIDRaw|Start|End\n7|Unknown|Unknown\n8|Unknown\n")
