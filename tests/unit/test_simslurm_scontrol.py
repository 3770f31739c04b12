"""The simulated scontrol and sdiag against what a real Slurm 22.05.8 printed."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from simslurm import SimCluster, install_commands
from simslurm.hostlists import HostlistError, compact, expand
from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = (22, 5)
NEW = (24, 11)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n[1-3],n2,=,n[1-2]", "n1 n2 n3 n2 = n1 n2"),
        ("None assigned", "None assigned"),
        ("(unknown)", "(unknown)"),
        ("", ""),
        (",,n1,,", "n1"),
        ("r[1-2]n[08-11]", "r1n08 r1n09 r1n10 r1n11 r2n08 r2n09 r2n10 r2n11"),
        ("a[1-2]b[3-4]c[5-6]", "a1b3c5 a1b3c6 a2b3c5 a2b3c6 a1b4c5 a1b4c6 a2b4c5 a2b4c6"),
        ("n[01-03,7,9-10],x", "n01 n02 n03 n7 n9 n10 x"),
        ("n[098-101]", "n098 n099 n100 n101"),
        ("n[3-]", "n3"),
        ("n1]", "n1]"),
        ("n[1-", "n]"),
        ("n[1,2", "n] 2"),
        ("n[1-2]n[3-4", "n[1-2]n]"),
        ("n[1-2],", "n1 n2"),
    ],
)
def test_lists_expand_as_the_real_scontrol_expanded_them(text: str, hosts: str) -> None:
    assert " ".join(expand(text, OLD)) == hosts


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("n1,n[2-1]", "_parse_single_range: Invalid range: `2-1'"),
        ("n[1-10:2]", "_parse_single_range: Invalid range: `1-10:2'"),
        ("n[]", "_parse_single_range: Invalid range: `'"),
        ("n[a-b]", "_parse_single_range: Invalid range: `a-b'"),
        ("n[0-70000]", "_parse_single_range: Too many hosts in range `0-70000'"),
        ("n[1-3]-ib0", ""),
        ("n[[1]]", ""),
    ],
)
def test_one_invalid_part_spoils_the_whole_list(text: str, complaint: str) -> None:
    with pytest.raises(HostlistError) as caught:
        expand(f"good,{text}", OLD)
    assert caught.value.complaint == complaint


def test_a_suffix_behind_the_last_bracket_is_a_name_since_23_11() -> None:
    assert expand("r[1-2]c[1]n[08-09]-ib0", NEW) == ["r1c1n08-ib0", "r1c1n09-ib0", "r2c1n08-ib0", "r2c1n09-ib0"]


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ("a1 a2 a3 b5 a4 a2", "a[1-3],b5,a[4,2]"),
        ("n08 n09 n10 n11", "n[08-11]"),
        ("n9 n10", "n[9-10]"),
        ("a1-ib0 a2-ib0", "a1-ib0,a2-ib0"),
        ("r1n1 r1n2 r2n1", "r1n[1-2],r2n1"),
        ("n1 n3 n2", "n[1,3,2]"),
        ("x y x", "x,y,x"),
    ],
)
def test_hosts_are_written_as_the_real_scontrol_wrote_them(hosts: str, text: str) -> None:
    assert compact(hosts.split()) == text


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SimCluster]:
    with SimCluster.create(tmp_path / "sim.db") as made:
        install_commands(tmp_path / "bin", tmp_path / "sim.db")
        yield made


def run(cluster: SimCluster, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = cluster.path.parent / "bin" / command
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        env={"TZ": "UTC"},
        check=False,
        timeout=HANGS_SECONDS,
    )


def test_partitions_are_those_that_jobs_ran_in(cluster: SimCluster) -> None:
    assert run(cluster, "scontrol", "-ao", "show", "partition").stdout == "No partitions in the system\n"
    for name in ("main", "gpu", "main", "gpu,main"):
        cluster.add_job(partition=name)
    shown = run(cluster, "scontrol", "--all", "--oneliner", "show", "partition")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["PartitionName=gpu", "PartitionName=main"]


def test_show_hostnames_exits_0_whatever_it_says(cluster: SimCluster) -> None:
    good = run(cluster, "scontrol", "show", "hostnames", "n[1-2],=,n3")
    assert (good.returncode, good.stdout, good.stderr) == (0, "n1\nn2\n=\nn3\n", "")
    bad = run(cluster, "scontrol", "show", "hostnames", "n[1-2],m[2-1]")
    assert (bad.returncode, bad.stdout) == (0, "")
    assert bad.stderr == (
        "scontrol: error: _parse_single_range: Invalid range: `2-1'\nInvalid hostlist: n[1-2],m[2-1]\n"
    )
    assert run(cluster, "scontrol", "show", "hostnames=n[1-2]").stdout == "n1\nn2\n"
    assert (
        run(cluster, "scontrol", "show", "hostnames", "a", "b").stderr == "too many arguments for keyword:show\n"
    )
    assert run(cluster, "scontrol", "show", "hostlist", "n1,n2").stdout == "n[1-2]\n"


def test_sdiag_tells_how_many_records_slurmctld_still_holds(cluster: SimCluster) -> None:
    cluster.set_dbd_agent_queue(15)
    assert "DBD Agent queue size: 15\n" in run(cluster, "sdiag").stdout
    old = run(cluster, "sdiag", "--json")
    assert old.returncode == 1
    assert old.stderr.endswith("unrecognized option '--json'\nTry \"sdiag --help\" for more information\n")
    cluster.set_version("24.11.5")
    assert json.loads(run(cluster, "sdiag", "--json").stdout)["statistics"]["dbd_agent_queue_size"] == 15


def test_sacctmgr_shows_rights_and_settings(cluster: SimCluster) -> None:
    cluster.add_user("monitor", 4242, admin_level="Operator")
    cluster.set_private_data("jobs")
    cluster.set_purge_job_after("12 months")
    cluster.set_max_query_time_range(86400)
    show = ("-nP", "show")
    assert (
        run(cluster, "sacctmgr", *show, "user", "monitor", "format=user,adminlevel").stdout == "monitor|Operator\n"
    )
    assert run(cluster, "sacctmgr", *show, "user", "nosuch", "format=user,adminlevel").stdout == ""
    assert run(cluster, "sacctmgr", *show, "cluster", "format=cluster").stdout == "sim\n"
    settings = run(cluster, "sacctmgr", *show, "configuration").stdout.splitlines()
    assert "PrivateData            = jobs" in settings
    assert "PurgeJobAfter          = 12 months" in settings
    assert "MaxQueryTimeRange      = 1-00:00:00" in settings
    assert "SLURMDBD_VERSION       = 22.05.8" in settings


def test_sacctmgr_changes_the_comments_of_every_task_of_an_array(cluster: SimCluster) -> None:
    keys = [
        cluster.add_job(id_job=number, id_array_job=44, id_array_task=task, time_submit=1795436431)
        for number, task in ((45, 0), (44, 1))
    ]
    done = run(cluster, "sacctmgr", "-i", "modify", "job", "where", "jobid=44", "set", "admincomment=x y")
    assert (done.returncode, done.stdout) == (
        0,
        " Modified jobs...\n  44 submitted at 2026-11-23T12:20:31\n  45 submitted at 2026-11-23T12:20:31\n",
    )
    assert [cluster.job(key)["admin_comment"] for key in keys] == [b"x y", b"x y"]
    nothing = run(cluster, "sacctmgr", "-i", "modify", "job", "where", "jobid=999", "set", "comment=x")
    assert (nothing.returncode, nothing.stdout) == (1, " Nothing modified\n")
