"""Node lists for scripts: sets from lists and back, with scontrol and without, many to a process."""

import os
from pathlib import Path

import pytest

from simslurm import SimCluster, install_commands
from slurmwatchd.connector import Slurm, compact_nodelist, expand_nodelist, nodelists
from slurmwatchd.errors import NodelistError


@pytest.fixture(params=["scontrol", "ClusterShell", "scontrol that fails"])
def _expander(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything that may expand a list here."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    if request.param == "scontrol":
        with SimCluster.create(tmp_path / "slurm.db") as cluster:
            install_commands(tmp_path, cluster.path)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    if request.param == "scontrol that fails":
        script = tmp_path / "scontrol"
        script.write_text("#!/bin/sh\necho 'scontrol: fatal: no configuration' >&2\nexit 1\n")
        script.chmod(0o755)


@pytest.mark.usefixtures("_expander")
class TestEveryExpander:
    @pytest.mark.parametrize(
        ("text", "nodes"),
        [
            ("n1", {"n1"}),
            ("nid0[5032-5034]", {"nid05032", "nid05033", "nid05034"}),
            ("n[1-2,9],m3", {"n1", "n2", "n9", "m3"}),
            ("n[1-2],n[2-3]", {"n1", "n2", "n3"}),
            ("r[1-2]n[08-09]", {"r1n08", "r1n09", "r2n08", "r2n09"}),
            ("None assigned", set()),
            ("(unknown)", set()),
            ("", set()),
            (" ", set()),
        ],
    )
    def test_a_list_is_the_set_of_its_names(self, text: str, nodes: set[str]) -> None:
        assert expand_nodelist(text) == nodes

    @pytest.mark.parametrize("text", ["n[1-", "n[3-1]", "n1 n2", "--help", "n[1-2", "n{1,2}"])
    def test_what_is_no_list_is_an_error_that_names_it(self, text: str) -> None:
        with pytest.raises(NodelistError) as caught:
            expand_nodelist(text)
        assert repr(text) in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "compact"),
        [
            ("n1,n2,n3", "n[1-3]"),
            ("n3,n1,n2,n1", "n[1-3]"),
            ("n[1-3],n5", "n[1-3,5]"),
            ({"n10", "n9", "n8"}, "n[8-10]"),
            (["n01", "n02"], "n[01-02]"),
            (("n1",), "n1"),
            ({"n2 ": 1, "n[3-4]": 2}, "n[2-4]"),
            ("None assigned", ""),
            ([], ""),
        ],
    )
    def test_names_become_the_shortest_list_in_whatever_order_they_come(
        self, given: str | list[str], compact: str
    ) -> None:
        assert compact_nodelist(given) == compact

    def test_one_bad_list_of_many_costs_only_itself(self) -> None:
        lists = ["n[1-2]", "n[1-", "m[7-8]", "n1"]
        found = nodelists.expand_all(lists)
        assert isinstance(found.pop("n[1-"), NodelistError)
        assert found == {"n[1-2]": {"n1", "n2"}, "m[7-8]": {"m7", "m8"}, "n1": {"n1"}}

    def test_many_sets_are_compacted_each_for_itself(self) -> None:
        sets = [frozenset({"n1", "n2"}), frozenset({"n2", "n3"}), frozenset({"x"}), frozenset[str]()]
        assert nodelists.compact_all(sets) == ["n[1-2]", "n[2-3]", "x", ""]


def test_many_lists_are_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with SimCluster.create(tmp_path / "slurm.db") as cluster:
        install_commands(tmp_path, cluster.path)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
        lists = [f"n[{number}-{number + 2}]" for number in range(1, 501)]
        found = nodelists.expand_all(lists)
        assert len(found) == 500
        assert found["n[500-502]"] == {"n500", "n501", "n502"}
        sets = [frozenset(nodes) for nodes in found.values() if isinstance(nodes, set)]
        assert nodelists.compact_all(sets) == lists
        assert [call.argv[:2] for call in cluster.calls("scontrol")] == [
            ("show", "hostnames"),
            ("show", "hostlist"),
        ]


def test_the_lists_of_many_records_are_one_process_each_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with SimCluster.create(tmp_path / "slurm.db") as cluster:
        install_commands(tmp_path, cluster.path)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
        lists = "\n".join(f"{number}|n[{number}-{number + 2}]" for number in range(1, 101))
        slurm = Slurm(from_string=f"jobidraw|nodelist\n{lists}")
        assert slurm["100"]["nodelist"] == {"n100", "n101", "n102"}
        assert str(slurm) == f"jobidraw|nodelist\n{lists}"
        assert [call.argv[:2] for call in cluster.calls("scontrol")] == [
            ("show", "hostnames"),
            ("show", "hostlist"),
        ]
