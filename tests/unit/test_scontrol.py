"""Node lists through scontrol: many to a process, and a bad one costs only itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from simslurm import SimCluster, install_commands
from slurmwatchd.errors import CommandError, NodelistError, ScontrolError, SlurmNotFoundError, SlurmwatchError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import Completed, SystemProcessRunner, TimedOutError
from slurmwatchd.sources.scontrol import BATCH_BYTES, BATCH_LISTS, Scontrol
from tests.unit.runners import FakeRunner, commands, done

INVALID = "n[3-1]"


def expansion(text: str) -> list[str]:
    """What these tests know of node lists: `name[a-b]` and `name`."""
    if "[" not in text:
        return [text]
    name, _, span = text.rstrip("]").partition("[")
    first, _, last = span.partition("-")
    return [f"{name}{number}" for number in range(int(first), int(last) + 1)]


def hostnames(arguments: Sequence[str]) -> Completed:
    """Answer as scontrol does: one invalid list empties the answer, with exit status 0."""
    assert list(arguments[:2]) == ["show", "hostnames"]
    assert arguments[2].startswith("=,")
    assert arguments[2].endswith(",=")
    lists = arguments[2][2:-2].split(",=,")
    if INVALID in lists:
        return done(
            stderr="scontrol: error: _parse_single_range: Invalid range: `3-1'\n"
            f"Invalid hostlist: {arguments[2]}\n"
        )
    return done(("=\n" + "".join("\n".join(expansion(text)) + "\n=\n" for text in lists)).encode())


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner(hostnames)


@pytest.fixture
def scontrol(runner: FakeRunner, tmp_path: Path) -> Scontrol:
    return Scontrol(commands(runner, tmp_path))


def answering(answer: Completed | SlurmwatchError, folder: Path) -> Scontrol:
    return Scontrol(commands(FakeRunner(lambda _: answer), folder))


async def test_many_lists_are_expanded_by_one_process(scontrol: Scontrol, runner: FakeRunner) -> None:
    result = await scontrol.expand(["n[1-3]", "m1", "n[2-2]"])
    assert result == {"n[1-3]": ("n1", "n2", "n3"), "m1": ("m1",), "n[2-2]": ("n2",)}
    assert runner.calls == [("show", "hostnames", "=,n[1-3],=,m1,=,n[2-2],=")]


async def test_nothing_to_expand_starts_no_process(scontrol: Scontrol, runner: FakeRunner) -> None:
    assert await scontrol.expand([]) == {}
    assert runner.calls == []


async def test_order_and_repeats_are_kept(tmp_path: Path) -> None:
    scontrol = answering(done(b"=\nn1\nn2\nn3\nn2\n=\n"), tmp_path)
    assert await scontrol.expand(["n[1-3],n2"]) == {"n[1-3],n2": ("n1", "n2", "n3", "n2")}


async def test_one_bad_list_among_a_thousand_costs_only_itself(scontrol: Scontrol, runner: FakeRunner) -> None:
    lists = [f"r{number}n[1-4]" for number in range(999)]
    lists.insert(617, INVALID)
    result = await scontrol.expand(lists)
    assert len(result) == 1000
    bad = result.pop(INVALID)
    assert isinstance(bad, NodelistError)
    assert "Invalid hostlist" in bad.reason
    assert all(nodes == tuple(f"{text[:-5]}{number}" for number in range(1, 5)) for text, nodes in result.items())
    # One call for all, then two for each of the ten halvings.
    assert len(runner.calls) == 21


async def test_two_bad_lists_cost_only_themselves(scontrol: Scontrol) -> None:
    lists = ["n[1-2]", f"x{INVALID}", INVALID, "n[1-3]"]
    result = await scontrol.expand([lists[0], lists[2], lists[3]])
    assert result[lists[0]] == ("n1", "n2")
    assert result[lists[3]] == ("n1", "n2", "n3")
    assert isinstance(result[INVALID], NodelistError)


@pytest.mark.parametrize(
    "text",
    [
        "None assigned", "(unknown)", "", " ", "n1 n2", "n1\nn2", "n1\tn2", "a=b", "=", "{all}", "n1\x00", "-h",
        "-Mdux", "n[1-", "n[1,2", "n1]", "n[[1]]", "n[]", "n[1-2]n[3-4",
    ],
)  # fmt: skip
async def test_what_scontrol_would_take_for_something_else_never_reaches_it(
    text: str, scontrol: Scontrol, runner: FakeRunner
) -> None:
    """22.05 expands `None assigned` to two hosts and `n[1-` to `n]`, and takes `-h` for an option."""
    result = await scontrol.expand([text, "n[1-2]"])
    assert isinstance(result[text], NodelistError)
    assert result["n[1-2]"] == ("n1", "n2")
    assert runner.calls == [("show", "hostnames", "=,n[1-2],=")]


@pytest.mark.parametrize("stderr", ["scontrol: error: something\n", "loading modules\n"])
async def test_a_message_beside_a_whole_answer_costs_no_list(stderr: str, tmp_path: Path) -> None:
    runner = FakeRunner(
        lambda arguments: replace(hostnames(arguments), stderr=stderr, complaints=(stderr.strip(),))
    )
    lists = [f"n[1-{number}]" for number in range(2, 42)]
    result = await Scontrol(commands(runner, tmp_path)).expand(lists)
    assert result["n[1-2]"] == ("n1", "n2")
    assert result == {text: tuple(expansion(text)) for text in lists}
    assert len(runner.calls) == 1


async def test_what_is_printed_before_the_first_separator_is_no_node(tmp_path: Path) -> None:
    assert await answering(done(b"welcome\n=\nn1\n=\n"), tmp_path).expand(["n[1-1]"]) == {"n[1-1]": ("n1",)}


async def test_a_list_that_names_no_node_costs_only_itself(tmp_path: Path) -> None:
    result = await answering(done(b"=\nn1\n=\n=\nn2\n=\n"), tmp_path).expand(["n[1-1]", ",", "n[2-2]"])
    assert (result["n[1-1]"], result["n[2-2]"]) == (("n1",), ("n2",))
    assert str(result[","]) == "node list ',': names no node"


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        (b"", "2 lists came back as 0 parts"),
        (b"\n", "2 lists came back as 0 parts"),
        (b"n1\nn2\n", "2 lists came back as 0 parts and a rest"),
        (b"=\nn1\n=\n", "2 lists came back as 1 parts"),
        (b"=\nn1\n=\nn2\n", "2 lists came back as 1 parts and a rest"),
        (b"=\nn1\n=\nn2\n=\nn3\n", "2 lists came back as 2 parts and a rest"),
        (b"=\nn1\n=\nn2\n=\nn3\n=\n", "2 lists came back as 3 parts"),
    ],
)
async def test_an_answer_that_is_not_whole_tells_nothing_and_blames_no_list(
    stdout: bytes, reason: str, tmp_path: Path
) -> None:
    runner = FakeRunner(lambda _: done(stdout, stderr="scontrol: error: something\n"))
    with pytest.raises(ScontrolError, match=f"^{reason} .exit status 0.: scontrol: error: something$"):
        await Scontrol(commands(runner, tmp_path)).expand(["n[1-1]", "n[2-2]"])
    assert len(runner.calls) == 1


async def test_a_strange_line_break_in_a_name_is_part_of_the_name(tmp_path: Path) -> None:
    result = await answering(done(b"=\nn1\x0b\x85x\nn2\n=\n"), tmp_path).expand(["n[1-2]"])
    assert result == {"n[1-2]": ("n1\x0b\\x85x", "n2")}


async def test_a_scontrol_that_hangs_tells_nothing_of_the_lists(tmp_path: Path) -> None:
    scontrol = answering(TimedOutError("scontrol gave no complete answer in 60 s and was killed"), tmp_path)
    with pytest.raises(ScontrolError, match="in 60 s and was killed"):
        await scontrol.expand(["n[1-2]"])


async def test_a_scontrol_that_cannot_be_started_tells_nothing_of_the_lists(tmp_path: Path) -> None:
    scontrol = answering(CommandError("cannot start scontrol: Cannot allocate memory"), tmp_path)
    with pytest.raises(ScontrolError, match="Cannot allocate memory"):
        await scontrol.expand(["n[1-2]"])


@pytest.mark.parametrize(
    ("returncode", "stderr"),
    [
        (1, "scontrol: fatal: Could not establish a configuration source\n"),
        (127, "scontrol: error while loading shared libraries: libslurmfull.so: cannot open shared object file\n"),
        (1, ""),
        (-11, ""),
    ],
)
async def test_a_scontrol_that_does_not_work_is_asked_once_and_not_for_every_list(
    returncode: int, stderr: str, tmp_path: Path
) -> None:
    runner = FakeRunner(lambda _: done(stderr=stderr, returncode=returncode))
    with pytest.raises(ScontrolError):
        await Scontrol(commands(runner, tmp_path)).expand([f"n[1-{number}]" for number in range(2, 1002)])
    assert len(runner.calls) == 1


async def test_an_exit_status_that_blames_the_list_is_a_refusal_of_the_list(tmp_path: Path) -> None:
    result = await answering(done(stderr="Invalid hostlist: n[3-1]\n", returncode=1), tmp_path).expand([INVALID])
    assert isinstance(result[INVALID], NodelistError)


async def test_a_missing_scontrol_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SlurmNotFoundError, match="scontrol is not in"):
        await Scontrol(Commands.of(FakeRunner(hostnames), bin_dir=str(tmp_path))).expand(["n[1-2]"])


def test_batches_hold_every_list_once_in_order_and_within_the_limits(scontrol: Scontrol) -> None:
    lists = [f"rack{number:05d}n[1-4]" for number in range(9000)]
    batches = scontrol.batches(lists)
    assert [text for batch in batches for text in batch] == lists
    assert all(len(batch) <= BATCH_LISTS for batch in batches)
    assert all(len(",=,".join(batch).encode()) <= BATCH_BYTES for batch in batches)
    assert len(batches) == 5


def test_a_list_longer_than_a_batch_is_alone_in_its_own(scontrol: Scontrol) -> None:
    long = "n[" + ",".join(str(number) for number in range(0, 60_000, 2)) + "]"
    assert len(long) > BATCH_BYTES
    assert scontrol.batches(["a[1-2]", long, "b[1-2]"]) == [["a[1-2]"], [long], ["b[1-2]"]]
    assert scontrol.batches([]) == []


async def test_nodes_are_compacted_through_scontrol(tmp_path: Path) -> None:
    runner = FakeRunner(lambda _: done(b"n[1-2,5]\n"))
    assert await Scontrol(commands(runner, tmp_path)).compact(["n1", "n2", "n5"]) == "n[1-2,5]"
    assert runner.calls == [("show", "hostlist", "n1,n2,n5")]


async def test_a_message_beside_a_compact_list_costs_nothing(tmp_path: Path) -> None:
    answer = done(b"n[1-2]\n", stderr="scontrol: error: something\nloading modules\n")
    assert await answering(answer, tmp_path).compact(["n1", "n2"]) == "n[1-2]"


async def test_nodes_that_scontrol_does_not_take_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScontrolError, match="Invalid hostlist"):
        await answering(done(stderr="Invalid hostlist: n[\n"), tmp_path).compact(["n["])


CONFIG = b"Configuration data as of 2026-11-23T12:20:31\nClusterName             = tux\nSlurmctldPort = 6817\n"


async def test_the_cluster_is_named_by_its_configuration(tmp_path: Path) -> None:
    assert await answering(done(CONFIG), tmp_path).cluster_name() == "tux"


@pytest.mark.parametrize(
    "answer",
    [
        done(
            stderr="slurm_load_ctl_conf error: Unable to contact slurm controller (connect failure)\n",
            returncode=1,
        ),
        done(b"SlurmctldPort = 6817\n"),
        done(CONFIG, returncode=1),
        TimedOutError("scontrol gave no complete answer in 15 s and was killed"),
        CommandError("cannot start scontrol: Cannot allocate memory"),
    ],
)
async def test_a_cluster_that_nobody_names_now_has_no_name(
    answer: Completed | SlurmwatchError, tmp_path: Path
) -> None:
    assert await answering(answer, tmp_path).cluster_name() is None


PARTITIONS = b"""PartitionName=debug AllowGroups=ALL AllowAccounts=ALL State=UP TotalCPUs=8 TotalNodes=2
PartitionName=high-mem AllowGroups=ALL AllowAccounts=a,PartitionName=x Default=NO Hidden=YES State=DOWN
"""


async def test_partitions_are_those_that_slurmctld_names(tmp_path: Path) -> None:
    assert await answering(done(PARTITIONS), tmp_path).partitions() == ["debug", "high-mem"]
    assert await answering(done(b"No partitions in the system\n"), tmp_path).partitions() == []
    assert await answering(done(PARTITIONS, returncode=1), tmp_path).partitions() is None
    assert await answering(TimedOutError("too slow"), tmp_path).partitions() is None


async def test_without_scontrol_the_cluster_has_no_name(tmp_path: Path) -> None:
    assert await Scontrol(Commands.of(FakeRunner(hostnames), bin_dir=str(tmp_path))).cluster_name() is None


async def test_a_whole_scontrol_as_a_child_process_expands_a_batch_with_a_bad_list(tmp_path: Path) -> None:
    with SimCluster.create(tmp_path / "sim.db", version="22.05.8"):
        install_commands(tmp_path / "bin", tmp_path / "sim.db")
    scontrol = Scontrol(Commands.of(SystemProcessRunner(), bin_dir=str(tmp_path / "bin")))
    result = await scontrol.expand(["tux[1-3]", "r[1-2]n[08-09]", "n[3-1]", "n[1-2]-ib0"])
    assert result["tux[1-3]"] == ("tux1", "tux2", "tux3")
    assert result["r[1-2]n[08-09]"] == ("r1n08", "r1n09", "r2n08", "r2n09")
    assert isinstance(result["n[3-1]"], NodelistError)
    assert isinstance(result["n[1-2]-ib0"], NodelistError)  # expanded by 23.11 and newer only
    assert await scontrol.cluster_name() == "sim"
