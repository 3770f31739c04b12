"""What probes, systemd and people are told of the daemon's state."""

import pytest

from slurmwatchd.telemetry.health import ClusterHealth, Health, SinkHealth


class StillClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def now(self) -> float:
        return 1_795_436_431.0

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds

    async def tick(self, every: float) -> float:
        await self.sleep(every)
        return 0.0


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def health(clock: StillClock) -> Health:
    return Health(clock)


def test_a_loop_that_keeps_its_word_is_not_stalled(health: Health, clock: StillClock) -> None:
    health.tick("watcher tux", within_seconds=10)
    clock.moment += 10
    assert health.stalled() == []


def test_a_loop_that_missed_its_deadline_is_named(health: Health, clock: StillClock) -> None:
    health.tick("watcher tux", within_seconds=10)
    health.tick("sink jobs", within_seconds=60)
    clock.moment += 10.5
    assert health.stalled() == ["watcher tux"]


def test_a_new_sign_of_life_takes_the_old_promise_back(health: Health, clock: StillClock) -> None:
    health.tick("watcher tux", within_seconds=10)
    clock.moment += 11
    health.tick("watcher tux", within_seconds=10)
    assert health.stalled() == []


def test_before_the_first_answer_the_daemon_is_not_ready_and_says_what_it_waits_for(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth()
    assert health.not_ready() == ["tux: the first query is still running"]
    assert not health.started()


def test_a_first_reading_that_failed_has_started_and_is_not_ready(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(error="sacct failed", failures=1, attempted=True)
    assert health.not_ready() == ["tux: sacct failed"]
    assert health.started()


def test_an_outage_after_the_first_answer_does_not_take_readiness_away(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(error="sacct failed", failures=3, last_ok=1_795_436_400, attempted=True)
    assert health.not_ready() == []


def test_one_silent_cluster_of_two_keeps_the_daemon_from_being_ready(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(last_ok=1_795_436_400, attempted=True)
    health.clusters["dux"] = ClusterHealth()
    assert health.not_ready() == ["dux: the first query is still running"]
    assert not health.started()


def test_the_status_line_tells_of_every_cluster_and_of_sinks_in_trouble(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(last_ok=1, attempted=True, new=12, watermark=1_795_162_500)
    health.clusters["dux"] = ClusterHealth(error="sacct failed", failures=3, attempted=True)
    health.clusters["mux"] = ClusterHealth()
    health.sinks["jobs"] = SinkHealth(error="No space left on device")
    health.sinks["prometheus"] = SinkHealth(seq=9)
    assert health.line() == (
        "tux: 12 ended, all before 2026-11-20T08:15:00Z read; dux: 3 failed: sacct failed; mux: first query; "
        "sink jobs: No space left on device"
    )


def test_a_long_error_does_not_fill_the_status_line(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(error="x" * 10_000, failures=1)
    health.sinks["jobs"] = SinkHealth(error="y" * 10_000)
    assert len(health.line()) < 600


def test_cluster_whose_answers_are_not_believed_is_not_ready_and_says_why(health: Health) -> None:
    health.clusters["tux"] = ClusterHealth(last_ok=1, attempted=True, suspicion="nothing is shown")
    assert health.not_ready() == ["tux: nothing is shown"]
    assert health.started()
    assert health.line() == "tux: nothing is shown"


def test_trouble_says_when_only_a_probe_is_sent() -> None:
    entry = ClusterHealth(error="sacct failed")
    assert entry.trouble == "sacct failed"
    entry.probing = True
    assert entry.trouble == "sacct failed (only probing until slurmdbd answers)"
    entry.suspicion = "nothing is shown"
    assert entry.trouble == "nothing is shown (only probing until slurmdbd answers)"
    assert ClusterHealth(probing=True).trouble == ""
