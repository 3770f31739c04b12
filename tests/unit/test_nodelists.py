"""Which nodes a list names: scontrol's word first, ClusterShell's where there is none."""

from collections.abc import Sequence

import anyio
import pytest

from slurmwatchd.errors import NodelistError, ScontrolError, SlurmNotFoundError
from slurmwatchd.sources.nodelists import MAX_PROCESSES, Expander, Nodes

Answer = dict[str, Nodes | NodelistError]


class FakeScontrol:
    """Expands from a table, `size` lists at a time; without a table it fails."""

    def __init__(self, table: Answer | None = None, *, error: Exception | None = None, size: int = 2) -> None:
        self._table = table or {}
        self._error = error
        self._size = size
        self.asked: list[list[str]] = []
        self.busy = 0
        self.busiest = 0

    def batches(self, nodelists: Sequence[str]) -> list[list[str]]:
        return [list(nodelists[begin : begin + self._size]) for begin in range(0, len(nodelists), self._size)]

    async def expand(self, nodelists: Sequence[str]) -> Answer:
        self.asked.append(list(nodelists))
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        self.busy -= 1
        if self._error is not None:
            raise self._error
        return {text: self._table[text] for text in nodelists}


async def test_lists_are_expanded_in_batches_and_put_together() -> None:
    scontrol = FakeScontrol({"n[1-2]": ("n1", "n2"), "m[1-1]": ("m1",), "k[5-6]": ("k5", "k6")})
    expanded = await Expander(scontrol).expand(["n[1-2]", "m[1-1]", "k[5-6]"])
    assert expanded.nodes == {"n[1-2]": ("n1", "n2"), "m[1-1]": ("m1",), "k[5-6]": ("k5", "k6")}
    assert expanded.failed == {}
    assert expanded.fallbacks == 0
    assert sorted(scontrol.asked) == [["k[5-6]"], ["n[1-2]", "m[1-1]"]]


class HangingScontrol(FakeScontrol):
    """Fails after a minute, by a clock of its own."""

    def __init__(self, seconds: float) -> None:
        super().__init__(error=ScontrolError("killed"), size=1)
        self.now = 1000.0
        self._seconds = seconds

    async def expand(self, nodelists: Sequence[str]) -> Answer:
        self.now += self._seconds
        return await super().expand(nodelists)


async def test_a_scontrol_that_hangs_is_waited_for_once_in_five_minutes() -> None:
    scontrol = HangingScontrol(60)
    expander = Expander(scontrol, max_processes=1, monotonic=lambda: scontrol.now)
    expanded = await expander.expand(["n[1-2]", "n[3-4]", "n[5-6]"])
    assert expanded.nodes == {"n[1-2]": ("n1", "n2"), "n[3-4]": ("n3", "n4"), "n[5-6]": ("n5", "n6")}
    assert (expanded.fallbacks, scontrol.asked, scontrol.now) == (3, [["n[1-2]"]], 1060)
    scontrol.now += 299
    await expander.expand(["n[7-8]"])
    assert len(scontrol.asked) == 1
    scontrol.now += 1
    await expander.expand(["n[7-8]"])
    assert len(scontrol.asked) == 2


async def test_a_scontrol_that_fails_at_once_is_asked_again_for_each_batch() -> None:
    scontrol = HangingScontrol(0.1)
    expander = Expander(scontrol, max_processes=1, monotonic=lambda: scontrol.now)
    await expander.expand(["n[1-2]", "n[3-4]"])
    assert scontrol.asked == [["n[1-2]"], ["n[3-4]"]]


async def test_a_single_host_names_itself_and_nobody_is_asked() -> None:
    scontrol = FakeScontrol()
    expanded = await Expander(scontrol).expand(["tux1", "node-07.cluster_a"])
    assert expanded.nodes == {"tux1": ("tux1",), "node-07.cluster_a": ("node-07.cluster_a",)}
    assert scontrol.asked == []


@pytest.mark.parametrize("text", ["n1,n2", "n[1-2]", "-h", "@all", "n1\n", "(unknown)", "None assigned"])
async def test_anything_more_than_a_host_is_not_guessed_at(text: str) -> None:
    scontrol = FakeScontrol({text: NodelistError(text, "is not a node list")})
    expanded = await Expander(scontrol).expand([text])
    assert expanded.nodes == {}
    assert scontrol.asked == [[text]]


async def test_a_list_that_is_none_fails_alone() -> None:
    error = NodelistError("n[3-1]", "Invalid range")
    expanded = await Expander(FakeScontrol({"n[1-2]": ("n1", "n2"), "n[3-1]": error})).expand(["n[1-2]", "n[3-1]"])
    assert expanded.nodes == {"n[1-2]": ("n1", "n2")}
    assert expanded.failed == {"n[3-1]": error}


async def test_no_more_processes_run_at_once_than_are_allowed() -> None:
    lists = [f"n[1-{last}]" for last in range(2, 42)]
    scontrol = FakeScontrol(dict.fromkeys(lists, ("n1",)), size=1)
    await Expander(scontrol).expand(lists)
    assert len(scontrol.asked) == 40
    assert scontrol.busiest == MAX_PROCESSES == 4


@pytest.mark.parametrize(
    "error",
    [
        SlurmNotFoundError("scontrol is not on PATH"),
        ScontrolError("scontrol gave no complete answer in 60 s and was killed"),
    ],
)
async def test_where_scontrol_is_missing_or_hangs_clustershell_expands(error: Exception) -> None:
    expanded = await Expander(FakeScontrol(error=error)).expand(["n[08-11]", "r[1-2]n[1-2]", "a1,b[2-3]"])
    assert expanded.nodes == {
        "n[08-11]": ("n08", "n09", "n10", "n11"),
        "r[1-2]n[1-2]": ("r1n1", "r1n2", "r2n1", "r2n2"),
        "a1,b[2-3]": ("a1", "b2", "b3"),
    }
    assert expanded.fallbacks == 2


async def test_clustershell_too_loses_only_the_list_that_is_none() -> None:
    scontrol = FakeScontrol(error=SlurmNotFoundError("scontrol is not on PATH"))
    expanded = await Expander(scontrol).expand(["n[1-2]", "n[1-", "n[3-1]"])
    assert expanded.nodes == {"n[1-2]": ("n1", "n2")}
    assert set(expanded.failed) == {"n[1-", "n[3-1]"}


@pytest.mark.parametrize("text", ["@compute", "@*", "@source:all", "n[1-2]!n1", "n1&n2", "n1^n2", "n1 n2"])
async def test_clustershells_own_grammar_is_not_slurms(text: str) -> None:
    """A group would be looked up in ClusterShell's configuration, which may run programs."""
    scontrol = FakeScontrol(error=SlurmNotFoundError("scontrol is not on PATH"))
    expanded = await Expander(scontrol).expand([text])
    assert expanded.nodes == {}
    assert set(expanded.failed) == {text}


async def test_a_huge_range_is_refused_as_slurm_refuses_it() -> None:
    scontrol = FakeScontrol(error=SlurmNotFoundError("scontrol is not on PATH"))
    lists = ["n[1-70000]", "n[1-999999999]", "a[1-9999]b[1-9999]", "n[9-1]m[1-999999999]", "n[1-65000],m[1-65000]"]
    expanded = await Expander(scontrol).expand(lists)
    assert expanded.nodes == {}


async def test_another_error_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await Expander(FakeScontrol(error=ZeroDivisionError("a bug"))).expand(["n[1-2]"])
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)


async def test_wrong_number_of_nodes_has_clustershell_read_the_list_which_is_taken_where_it_counts_right() -> None:
    scontrol = FakeScontrol({"n[1-3]": ("n1", "n2"), "m[1-2]": ("m1", "m2"), "k[1-2]": ("kx", "ky")}, size=3)
    # The job on k[1-2] shrank: its list has more nodes than it had at its end, whoever counts.
    counts = {"n[1-3]": 3, "m[1-2]": 2, "k[1-2]": 1}
    expanded = await Expander(scontrol).expand(list(counts), counts)
    assert expanded.nodes == {"n[1-3]": ("n1", "n2", "n3"), "m[1-2]": ("m1", "m2"), "k[1-2]": ("kx", "ky")}
    assert (expanded.failed, expanded.fallbacks) == ({}, 1)


@pytest.mark.parametrize("counts", [{}, {"n[1-3]": None}])
async def test_without_a_number_scontrols_word_stands(counts: dict[str, int | None]) -> None:
    expanded = await Expander(FakeScontrol({"n[1-3]": ("n1", "n2")})).expand(["n[1-3]"], counts)
    assert (expanded.nodes, expanded.fallbacks) == ({"n[1-3]": ("n1", "n2")}, 0)


async def test_what_scontrol_refuses_is_not_expanded_though_clustershell_would_count_right() -> None:
    error = NodelistError("n[1-2]-ib0", "Invalid hostlist: n[1-2]-ib0")
    expanded = await Expander(FakeScontrol({"n[1-2]-ib0": error})).expand(["n[1-2]-ib0"], {"n[1-2]-ib0": 2})
    assert (expanded.nodes, expanded.failed) == ({}, {"n[1-2]-ib0": error})
