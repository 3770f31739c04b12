"""The judge is judged: each kind of difference between files and truth is found, and nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest

from simslurm import JobKey, SimCluster
from tests.torture.verdict import Verdict, files_of, judge

T0 = 1795436431


@pytest.fixture
def cluster(tmp_path: Path) -> SimCluster:
    made = SimCluster.create(tmp_path / "sim.db")
    made.set_now(T0)
    return made


@pytest.fixture
def key(cluster: SimCluster) -> JobKey:
    return cluster.add_job(
        id_job=7, time_submit=T0 - 9, time_start=T0 - 5, time_end=T0, user="ann", id_user=1000, job_name="a|b\n"
    )


def line(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - a field's value
    return {
        "id": "one",
        "event": "job_ended",
        "revision": 1,
        "cluster": "sim",
        "job_id_raw": 7,
        "submit": "2026-11-23T12:20:22Z",
        "start": "2026-11-23T12:20:26Z",
        "end": "2026-11-23T12:20:31Z",
        "state": "COMPLETED",
        "name": "a|b\n",
        "user": "ann",
        "account": "root",
        "partition": "main",
        "node_list": "n1",
        "work_dir": "/home",
        **changed,
    }


def judged(
    cluster: SimCluster, *lines: dict[str, Any], rest: str = "", changes: int = 0, visible_at: float | None = None
) -> Verdict:
    file = cluster.path.parent / "jobs.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in lines) + rest, encoding="utf-8")
    amended = {("sim", 7, T0 - 9): changes}
    return judge(cluster, file, amended=amended, whole=True, visible_at=visible_at)


def test_what_agrees_is_no_difference(cluster: SimCluster, key: JobKey) -> None:
    verdict = judged(cluster, line())
    assert (bool(verdict), str(verdict)) == (False, "1 attempts: missing 0, twice 0, wrong 0")


def test_absent_line_is_missing_unless_nobody_could_have_seen_it(cluster: SimCluster, key: JobKey) -> None:
    assert judged(cluster).missing == [f"{tuple(key)}: COMPLETED, ended 2026-11-23T12:20:31Z, 'a|b\\n'"]
    cluster.update_job(key, end_visible_at=T0 + 5)
    assert not judged(cluster, visible_at=T0 + 4)
    assert judged(cluster, visible_at=T0 + 5).missing


def test_second_line_of_an_id_or_of_an_end_is_twice(cluster: SimCluster, key: JobKey) -> None:
    assert judged(cluster, line(), line()).twice == [
        "id one, 2 times",
        f"{tuple(key)}: 2 times job_ended",
    ]
    assert judged(cluster, line(), line(id="two")).twice == [f"{tuple(key)}: 2 times job_ended"]


def test_newest_line_of_an_attempt_must_be_the_truth(cluster: SimCluster, key: JobKey) -> None:
    cluster.update_job(key, admin_comment="checked")
    stale = f"{tuple(key)}: admin_comment is None, in truth 'checked' (ended 2026-11-23T12:20:31Z)"
    assert judged(cluster, line(), changes=1).wrong == [stale]
    revised = line(id="two", event="job_revised", revision=2, admin_comment="checked")
    assert not judged(cluster, line(), revised, changes=1)


def test_revision_of_what_nobody_changed_is_wrong(cluster: SimCluster, key: JobKey) -> None:
    revised = line(id="two", event="job_revised", revision=2, changed={"name": ["a", "b"]})
    assert judged(cluster, line(), revised).wrong == [
        f"{tuple(key)}: 1 revisions for 0 changes: [{{'name': ['a', 'b']}}]"
    ]


def test_revision_that_was_left_out_is_wrong(cluster: SimCluster, key: JobKey) -> None:
    revised = line(id="three", event="job_revised", revision=3)
    assert judged(cluster, line(), revised, changes=2).wrong == [f"{tuple(key)}: revisions [1, 3]"]


def test_line_of_no_attempt_is_wrong(cluster: SimCluster, key: JobKey) -> None:
    assert judged(cluster, line(), line(id="two", job_id_raw=999999)).wrong == [
        "('sim', 999999, 1795436422): in the file, never in the database"
    ]


def test_line_that_is_no_json_or_has_no_end_is_wrong(cluster: SimCluster, key: JobKey) -> None:
    assert judged(cluster, line(), rest='{"id":\n').wrong == ["jobs.jsonl:2 is not JSON: b'{\"id\":'"]
    assert judged(cluster, line(), rest="{").wrong == ["jobs.jsonl: ends in the middle of a line: b'{'"]


def test_rotated_files_are_read_oldest_first(tmp_path: Path) -> None:
    for name in ("jobs.jsonl", "jobs.jsonl.1", "jobs.jsonl.10", "jobs.jsonl.2", "jobs.jsonl.bak"):
        (tmp_path / name).touch()
    assert [file.name for file in files_of(tmp_path / "jobs.jsonl")] == [
        "jobs.jsonl.10",
        "jobs.jsonl.2",
        "jobs.jsonl.1",
        "jobs.jsonl",
    ]
