"""`expand` and `compact`: with a scontrol and without one, from arguments and from standard input."""

from pathlib import Path

import pytest

from tests.integration.asked import Ran, run
from tests.integration.rig import Rig


@pytest.fixture(params=["scontrol", "ClusterShell"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration whose bin_dir has a scontrol, or an empty one."""
    bin_dir = tmp_path / "empty"
    bin_dir.mkdir()
    if request.param == "scontrol":
        with Rig(tmp_path):
            bin_dir = tmp_path / "bin"
    file = tmp_path / "slurmwatchd.toml"
    file.write_text(f'[slurm]\nbin_dir = "{bin_dir}"\n')
    return file


def ask(config: Path, *arguments: str, stdin: str = "") -> Ran:
    return run(*arguments, "--config", config, stdin=stdin)


def test_lists_become_nodes_in_their_order(config: Path) -> None:
    assert ask(config, "expand", "n[08-10],x1").out.split() == ["n08", "n09", "n10", "x1"]
    assert ask(config, "expand", "n[1-2]", "n2").out.split() == ["n1", "n2", "n2"]
    assert ask(config, "expand", "--unique", "n[1-2]", "n2").out.split() == ["n1", "n2"]
    assert ask(config, "expand", "--count", "n[1-2000]").out == "2000\n"
    assert ask(config, "expand", "--separator", ",", "n[1-3]").out == "n1,n2,n3\n"
    assert ask(config, "expand", stdin="n[1-2]\n\n  n7\n").out.split() == ["n1", "n2", "n7"]
    assert ask(config, "expand", stdin="").out == ""


def test_nodes_become_a_list(config: Path) -> None:
    assert ask(config, "compact", "n1", "n2", "n3", "n5").out == "n[1-3,5]\n"
    assert ask(config, "compact", "n[1-2]", "n3", "n3").out == "n[1-3]\n"
    assert ask(config, "compact", stdin="n08 n09\nn10\n").out == "n[08-10]\n"
    assert ask(config, "compact", stdin="").out == ""
    many = "\n".join(f"node-of-a-large-cluster-{number}" for number in range(1, 8001))
    assert ask(config, "compact", stdin=many).out == "node-of-a-large-cluster-[1-8000]\n"


@pytest.mark.parametrize("command", ["expand", "compact"])
@pytest.mark.parametrize("text", ["n[1-", "n[1-2", "-n1]", "n{1,2}"])
def test_what_is_no_list_is_one_line_and_exit_1(config: Path, command: str, text: str) -> None:
    ran = ask(config, command, stdin=text)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"slurmwatchd: node list {text!r}: ")
    assert ran.err.count("\n") == 1
