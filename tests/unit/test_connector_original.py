"""The same texts and cache files through the original and through ours: equal wherever the original is right.

The original is pytokio 0.13.0, `pip install -e '.[differential]'`; no line of it is here. Its node lists need a
scontrol, so a simulated one is on PATH. Each difference is one that docs/connector.md lists.
"""

import gzip
import os
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from simslurm import SimCluster, install_commands
from slurmwatchd import connector
from slurmwatchd.errors import NodelistError, SacctError, SacctOutputError

TEXTS = {
    "one job": "jobidraw|start|end|nodelist\n7|2026-11-20T10:00:00|2026-11-20T10:05:00|n[1-3]\n",
    "steps": (
        "JobIDRaw|Start|End|NodeList|State|User\n"
        "7|2026-11-20T10:00:00|2026-11-20T10:05:00|n[1-3,7]|COMPLETED|ann\n"
        "7.batch|2026-11-20T10:00:01|2026-11-20T10:05:00|n1|COMPLETED|\n"
        "7.extern|2026-11-20T09:59:59|2026-11-20T10:05:01|n[1-3]|COMPLETED|\n"
        "7.0|2026-11-20T10:00:02|2026-11-20T10:06:00|n[2-3]|FAILED|\n"
    ),
    "sacct -p": "JobIDRaw|Start|End|\n7|2026-11-20T10:00:00|2026-11-20T10:05:00|\n",
    "several jobs": (
        "jobidraw|start|end\n7|2026-11-20T10:00:00|2026-11-20T10:05:00\n"
        "8|2026-11-20T11:00:00|2026-11-20T11:05:00\n8.0|2026-11-20T11:00:01|2026-11-20T11:04:00"
    ),
    "raw id second": "JobIDRaw|JobID|State\n8|7_1|COMPLETED\n9|7_2|COMPLETED\n",
    "header alone": "jobidraw|start|end|nodelist\n",
    "nothing": "",
}

HOSTILE = {
    "pipe": "jobidraw|jobname|state\n7|a|b|COMPLETED\n",
    "newline": "jobidraw|jobname|state\n7|a\nb|COMPLETED\n",
}


@pytest.fixture(scope="module")
def original() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip(
            "tokio.connectors.slurm",
            reason="pytokio is not here: pip install -e '.[differential]'",
            exc_type=ImportError,
        )
    return module


@pytest.fixture(scope="module", autouse=True)
def _commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("slurm")
    with SimCluster.create(folder / "slurm.db") as cluster, pytest.MonkeyPatch.context() as patch:
        install_commands(folder / "bin", cluster.path)
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
        yield


def both(original: ModuleType, **given: Any) -> tuple[Any, Any]:  # noqa: ANN401 - the original has no types
    return original.Slurm(**given), connector.Slurm(**given)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_same_text_is_the_same_dictionary(original: ModuleType, text: str) -> None:
    assert connector.parse_sacct(text) == original.parse_sacct(text)
    theirs, ours = both(original, from_string=text)
    assert dict(ours) == dict(theirs)
    assert list(ours) == list(theirs)
    assert ours.get_job_ids() == theirs.get_job_ids()


@pytest.mark.parametrize("text", [TEXTS["one job"], TEXTS["steps"]], ids=["one job", "steps"])
def test_the_same_answers(original: ModuleType, text: str) -> None:
    theirs, ours = both(original, from_string=text)
    assert ours.get_job_nodes() == theirs.get_job_nodes()
    assert ours.get_job_startend() == theirs.get_job_startend()


@pytest.mark.parametrize("text", [text for text in TEXTS.values() if "JobID|" not in text])
def test_each_prints_what_the_other_reads(original: ModuleType, text: str) -> None:
    theirs, ours = both(original, from_string=text)
    assert dict(connector.Slurm(from_string=str(theirs))) == dict(ours)
    assert dict(original.Slurm(from_string=str(ours))) == dict(theirs)
    if "[" not in text:  # The original gives scontrol the nodes in no order, and gets no short list.
        assert str(ours) == (str(theirs) if len(ours) else "")


@pytest.mark.parametrize("text", [TEXTS["one job"], TEXTS["steps"], TEXTS["several jobs"]])
def test_json_of_each_is_read_by_the_other(original: ModuleType, text: str) -> None:
    theirs, ours = both(original, from_string=text)
    assert dict(connector.Slurm(from_string=theirs.to_json())) == dict(ours)
    read = original.Slurm(from_string=ours.to_json(sort_keys=True))
    for row in read.values():
        if "nodelist" in row:
            row["nodelist"] = set(row["nodelist"])  # A list there, a set here.
    assert dict(read) == dict(theirs)


@pytest.mark.parametrize("name", ["c.json", "c.json.gz", "c.txt", "c.txt.gz"])
def test_cache_files_of_either_kind(original: ModuleType, tmp_path: Path, name: str) -> None:
    content = original.Slurm(from_string=TEXTS["steps"])
    written = content.to_json() if "json" in name else str(content)
    data = written.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    ours = connector.Slurm(cache_file=str(tmp_path / name))
    assert dict(ours) == dict(content)
    ours.save_cache(tmp_path / f"ours-{name}")
    theirs = original.Slurm(cache_file=str(tmp_path / f"ours-{name}"))
    assert theirs.get_job_nodes() == content.get_job_nodes()
    assert theirs.get_job_startend() == content.get_job_startend()


@pytest.mark.parametrize("text", [TEXTS["one job"], TEXTS["steps"], TEXTS["several jobs"]])
def test_the_same_dataframe(original: ModuleType, text: str) -> None:
    pandas = pytest.importorskip("pandas")
    theirs, ours = both(original, from_string=text)
    # Ids are text here, and numbers there: 7 and 7.10 are one float then.
    columns = [column for column in theirs.to_dataframe().columns if column not in ("nodelist", "jobidraw")]
    assert list(ours.to_dataframe()["jobidraw"]) == list(theirs)
    pandas.testing.assert_frame_equal(
        ours.to_dataframe()[columns], theirs.to_dataframe()[columns], check_dtype=True
    )


@pytest.mark.parametrize("text", ["n1", "n[1-3]", "n[01-03,7],m2", ""])
def test_the_same_nodes(original: ModuleType, text: str) -> None:
    assert connector.expand_nodelist(text) == original.expand_nodelist(text)


@pytest.mark.parametrize("nodes", ["n1,n2,n3", "n1", ["n1"], "n01,n02"])
def test_the_same_compact_list(original: ModuleType, nodes: Any) -> None:  # noqa: ANN401 - as above
    assert connector.compact_nodelist(nodes) == original.compact_nodelist(nodes)


def test_the_same_recast_table(original: ModuleType) -> None:
    assert connector._RECAST_KEY_MAP.keys() == original._RECAST_KEY_MAP.keys()
    for key, text in {"start": "2026-11-20T10:00:00", "end": "2026-11-20T10:00:00", "nodelist": "n[1-3]"}.items():
        (ours, back), (theirs, _) = connector._RECAST_KEY_MAP[key], original._RECAST_KEY_MAP[key]
        assert ours(text) == theirs(text)
        assert back(ours(text)) == text


class TestDifferences:
    """Where the original misbehaves; each is in docs/connector.md."""

    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    def test_a_name_that_breaks_the_row(self, original: ModuleType, text: str) -> None:
        try:
            theirs = original.parse_sacct(text)
        except IndexError:
            theirs = {}
        name = "a|b" if "a|b" in text else "a\nb"
        assert connector.parse_sacct(text) == {"7": {"jobidraw": "7", "jobname": name, "state": "COMPLETED"}}
        assert theirs != connector.parse_sacct(text)

    def test_a_ragged_row(self, original: ModuleType) -> None:
        text = "jobidraw|start|end\n7|2026-11-20T10:00:00\n"
        with pytest.raises(IndexError):
            original.parse_sacct(text)
        with pytest.raises(SacctOutputError, match="line 2"):
            connector.parse_sacct(text)

    def test_a_line_separator_in_a_name(self, original: ModuleType) -> None:
        text = "jobidraw|jobname\n7|a\u2028b\n"
        with pytest.raises(IndexError):
            original.parse_sacct(text)
        assert connector.parse_sacct(text)["7"]["jobname"] == "a\u2028b"

    @pytest.mark.parametrize("word", ["Unknown", "None"])
    def test_a_time_that_is_none(self, original: ModuleType, word: str) -> None:
        text = f"jobidraw|start|end\n7|2026-11-20T10:00:00|{word}\n"
        with pytest.raises(ValueError, match="does not match format"):
            original.Slurm(from_string=text)
        assert connector.Slurm(from_string=text)["7"]["end"] is None

    def test_indented_json(self, original: ModuleType) -> None:
        ours = connector.Slurm(from_string=TEXTS["one job"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                theirs = dict(original.Slurm(from_string=ours.to_json(indent=4)))
            except IndexError:
                theirs = {}
        assert list(theirs) != ["7"]
        assert connector.Slurm(from_string=ours.to_json(indent=4)) == ours

    def test_no_nodes(self, original: ModuleType) -> None:
        assert original.expand_nodelist("None assigned") == {"None", "assigned"}
        assert connector.expand_nodelist("None assigned") == set()

    def test_a_list_that_is_none(self, original: ModuleType) -> None:
        assert original.expand_nodelist("n[3-1]") == set()
        with pytest.raises(NodelistError):
            connector.expand_nodelist("n[3-1]")

    def test_nodes_in_no_order(self, original: ModuleType) -> None:
        assert original.compact_nodelist(["n3", "n1", "n2"]) == "n[3,1-2]"
        assert connector.compact_nodelist(["n3", "n1", "n2"]) == "n[1-3]"

    def test_attempts_of_a_requeued_job(self, original: ModuleType) -> None:
        text = "jobidraw|submit|state\n7|20|COMPLETED\n7|10|REQUEUED\n7.0|11|CANCELLED\n"
        with pytest.warns(UserWarning, match="Duplicate"):
            theirs = original.Slurm(from_string=text)
        ours = connector.Slurm(from_string=text)
        assert (theirs["7"]["state"], sorted(theirs)) == ("REQUEUED", ["7", "7.0"])
        assert (ours["7"]["state"], sorted(ours)) == ("COMPLETED", ["7"])
        assert sorted(ours.earlier["7"][0]) == ["7", "7.0"]

    def test_a_sacct_that_fails(self, original: ModuleType) -> None:
        with pytest.warns(UserWarning, match="nonzero exit code"):
            assert original.Slurm("nosuch", silent_errors=True) == {}
        with pytest.raises(SacctError, match="Bad job"):
            connector.Slurm("nosuch")

    def test_a_printed_command_line(self, original: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        moment = datetime(2026, 11, 20, 10)  # noqa: DTZ001 - as the original takes it
        original.jobs_running_between(moment, moment)
        assert capsys.readouterr().out.startswith("sacct ")
        with pytest.warns(connector.UnprovedAnswerWarning):
            connector.jobs_running_between(moment, moment)
        assert capsys.readouterr().out == ""

    def test_no_id_among_the_columns(self, original: ModuleType) -> None:
        text = "jobid|state\n7_1|FAILED\n"
        with pytest.raises(KeyError):
            str(original.Slurm(from_string=text))
        assert str(connector.Slurm(from_string=text)) == text.strip()
