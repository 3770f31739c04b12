"""Two real clusters on one slurmdbd, one daemon: each in the file as slurmdbd's own tables have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real_slurm import jobs, truth
from tests.real_slurm.second import second_cluster

if TYPE_CHECKING:
    from tests.acceptance.watch import Watch
    from tests.real_slurm.cluster import RealCluster

pytestmark = [pytest.mark.real_slurm, pytest.mark.one_release, pytest.mark.timeout(900)]


def submit(cluster: RealCluster) -> None:
    for name in jobs.NAMES[::3]:
        jobs.batch(cluster, f"--job-name={name}")
    jobs.batch(cluster, "--array=0-4", "--job-name=array", script="exit $SLURM_ARRAY_TASK_ID")
    held = jobs.batch(cluster, "--hold", "--job-name=held")
    cluster.run("scancel", held)


def test_two_clusters_of_one_slurmdbd_are_in_the_file_as_each_ones_tables_have_them(
    cluster: RealCluster, watch: Watch
) -> None:
    with second_cluster(cluster) as second:
        both = (cluster, second)
        text = watch.config.read_text(encoding="utf-8")
        names = ", ".join(f'"{each.name}"' for each in both)
        watch.config.write_text(text.replace("[slurm]\n", f"[slurm]\nclusters = [{names}]\n"), encoding="utf-8")
        watch.start()
        started = jobs.new_second(cluster)
        for each in both:
            submit(each)
        for each in both:
            jobs.settle(each, started)
        ended = {each.name: truth.ended(each, started) for each in both}
        assert {name: len(attempts) for name, attempts in ended.items()} == {cluster.name: 14, second.name: 14}

        def difference(each: RealCluster) -> truth.Difference:
            mine = [record for record in watch.records() if record["cluster"] == each.name]
            return truth.compare(ended[each.name], mine, truth.ended(each))

        for each in both:
            watch.wait_until(lambda: not difference(each), f"{each.name} to be right: {difference(each)}")  # noqa: B023 - at once
        assert {record["cluster"] for record in watch.records()} == {each.name for each in both}
        assert watch.stop() == 0
        assert not any(difference(each) for each in both)
