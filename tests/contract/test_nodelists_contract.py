"""What scontrol makes of node lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slurmwatchd.errors import NodelistError
from slurmwatchd.sources.scontrol import Scontrol

if TYPE_CHECKING:
    from tests.contract.sites import Site


def shown(site: Site, text: str) -> tuple[int, list[str], bool]:
    done = site.run("scontrol", "show", "hostnames", text)
    return done.returncode, done.stdout.decode().split(), bool(done.stderr)


@pytest.mark.contract("hostnames")
def test_order_repeats_padding_and_several_brackets(site: Site) -> None:
    numbered = ["n1", "n2", "n3", "n2", "=", "n1", "n2", "n098", "n099", "n100", "n101"]
    hosts = [*numbered, "r1n08", "r1n09", "r2n08", "r2n09"]
    assert shown(site, "n[1-3],n2,=,n[1-2],n[098-101],r[1-2]n[08-09]") == (0, hosts, False)
    assert shown(site, "") == (0, [], False)


@pytest.mark.contract("hostnames")
async def test_the_daemon_expands_many_lists_at_once(site: Site) -> None:
    lists = ["n[1-2]", "n2", "x,n1", "r[1-2]n[08-09]"]
    assert await Scontrol(site.commands).expand(lists) == {
        "n[1-2]": ("n1", "n2"),
        "n2": ("n2",),
        "x,n1": ("x", "n1"),
        "r[1-2]n[08-09]": ("r1n08", "r1n09", "r2n08", "r2n09"),
    }


@pytest.mark.contract("one-bad-list")
@pytest.mark.parametrize("bad", ["n[2-1]", "n[1-10:2]", "n[1-65537]"])
def test_one_bad_list_empties_the_whole_answer(site: Site, bad: str) -> None:
    assert shown(site, f"n[1-2],=,{bad}") == (0, [], True)


@pytest.mark.contract("one-bad-list")
async def test_the_daemon_finds_the_bad_list_among_the_good(site: Site) -> None:
    expanded = await Scontrol(site.commands).expand(["n[1-2]", "n[2-1]"])
    assert isinstance(expanded.pop("n[2-1]"), NodelistError)
    assert expanded == {"n[1-2]": ("n1", "n2")}


@pytest.mark.contract("suffix")
def test_text_behind_the_last_bracket(site: Site) -> None:
    status, hosts, complained = shown(site, "n[1-2]-ib0")
    expected = ([], True) if site.release < (23, 11) else (["n1-ib0", "n2-ib0"], False)
    assert (status, hosts, complained) == (0, *expected)


@pytest.mark.contract("unclosed")
async def test_a_list_that_was_cut_off_is_refused(site: Site) -> None:
    cut = ["n[1-", "n[1-3,5", "n[1-2],m[4"]
    expanded = await Scontrol(site.commands).expand([*cut, "n1"])
    assert all(isinstance(expanded[text], NodelistError) for text in cut)
    assert expanded["n1"] == ("n1",)


@pytest.mark.contract("unclosed")
def test_22_05_would_have_taken_it_for_hosts(site: Site) -> None:
    status, hosts, _ = shown(site, "n[1-")
    assert status == 0
    assert hosts == (["n]"] if site.release < (23, 11) else [])


@pytest.mark.contract("range-limit")
def test_a_range_may_have_65536_hosts(site: Site) -> None:
    status, hosts, complained = shown(site, "n[1-65536]")
    assert (status, len(hosts), hosts[-1], complained) == (0, 65_536, "n65536", False)


@pytest.mark.contract("none-assigned")
async def test_words_that_are_no_list_are_not_asked_for(site: Site) -> None:
    assert shown(site, "None assigned") == (0, ["None", "assigned"], False)
    expanded = await Scontrol(site.commands).expand(["None assigned", "(unknown)"])
    assert all(isinstance(answer, NodelistError) for answer in expanded.values())


@pytest.mark.contract("compact")
async def test_a_compact_list_expands_to_the_same_hosts(site: Site) -> None:
    scontrol = Scontrol(site.commands)
    assert await scontrol.compact(["n1", "n2", "n3"]) == "n[1-3]"
    hosts = ["n08", "n09", "n10", "x", "a1-ib0", "a2-ib0", "n3", "n1"]
    text = await scontrol.compact(hosts)
    assert (await scontrol.expand([text]))[text] == tuple(hosts)


@pytest.mark.contract("cluster-name")
async def test_scontrol_knows_the_clusters_name(site: Site) -> None:
    assert await Scontrol(site.commands).cluster_name() == site.cluster
