"""What the simulated jobs look like before they have dates: nothing that no cluster could have done."""

from random import Random

from simslurm.shapes import Shaper


def test_no_job_uses_more_than_it_has() -> None:
    shaper = Shaper(Random(3), nodes=100, runtime=600, late=0)  # noqa: S311 - the same jobs each time
    attempts = [attempt for _ in range(800) for attempt in shaper.plan()]
    assert len([attempt for attempt in attempts if attempt.same_job]) > 30
    assert len([attempt for attempt in attempts if attempt.component]) > 10
    for attempt in attempts:
        cpus = attempt.columns["cpus_req"]
        used = sum(step.get("cpu_milliseconds", 0) for step in attempt.steps.values())
        assert used <= cpus * attempt.run * 1000
        heaviest = max((s["max_rss"] * s.get("task_cnt", 1) for s in attempt.steps.values()), default=0)
        # Half a gigabyte of memory comes with each processor.
        assert heaviest <= cpus << 29
