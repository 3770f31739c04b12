"""Labels by choice: the biggest stay visible, sums stay exact, and nothing falls when labels change."""

import gc
import random
import tracemalloc
from collections import Counter, defaultdict
from typing import Any

import orjson
import pytest

from slurmwatchd.model import formats
from slurmwatchd.model.job_metrics import CHOICE, LabelChoice
from slurmwatchd.model.records import Event
from slurmwatchd.sinks.conformance import Deliverer, make_event
from slurmwatchd.sinks.prometheus import PrometheusSink
from tests.unit.attempts import attempt
from tests.unit.subjects import Prometheus, delivery_to

Samples = dict[tuple[str, ...], float]


def choice(*labels: str, families: dict[str, tuple[str, ...]] | None = None, **limits: int) -> LabelChoice:
    return LabelChoice(labels=labels, families=families or {}, limits=limits)


def ended(seq: int, **fields: Any) -> Event:  # noqa: ANN401 - any field
    record = attempt(seq, **fields)
    assert record.end is not None
    return make_event(seq)._replace(
        body=formats.body(formats.wire(record)), time=record.end, observed=record.end + 1
    )


def sink_of(delivery: Deliverer) -> PrometheusSink:
    assert isinstance(delivery.sink, PrometheusSink)
    return delivery.sink


def samples(delivery: Deliverer, name: str, *labels: str) -> Samples:
    """The samples of one name that are not 0, by some labels, or all."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for family in sink_of(delivery).collect():
        for sample in family.samples:
            if sample.name == f"slurmwatchd_{name}" and sample.value:
                key = [sample.labels[label] for label in labels] if labels else list(sample.labels.values())
                found[tuple(key)] += sample.value
    return dict(found)


def zipf(count: int, users: int, seed: int = 7) -> list[str]:
    """Users' names, a few of them far more often than most; they first come in no order of size."""
    dice = random.Random(seed)  # noqa: S311 - the same each time
    names = [f"u{number}" for number in range(users)]
    return dice.choices(names, weights=[1 / (number + 1) for number in range(users)], k=count)


async def test_labels_are_those_that_were_chosen() -> None:
    delivery = await delivery_to(Prometheus(choice=choice("user", "partition", families={"job_nodes": ()})))
    await delivery.deliver([ended(1), ended(2, user="bob", partition="gpu", state="FAILED")])
    assert samples(delivery, "jobs_ended_total") == {
        ("sim", "main", "ann", "COMPLETED"): 1,
        ("sim", "gpu", "bob", "FAILED"): 1,
    }
    assert samples(delivery, "job_nodes_count") == {("sim",): 2}
    assert samples(delivery, "detection_lag_seconds_count") == {("sim",): 2}


@pytest.mark.heavy
async def test_ten_thousand_users_leave_the_biggest_visible_and_every_sum_exact() -> None:
    users = zipf(60_000, 10_000)
    # The first thousand to come are none of the biggest.
    users.sort(key=lambda name: -int(name[1:]) if len(name) > 4 else 1)
    delivery = await delivery_to(Prometheus(max_label_sets=200, choice=choice("user")))
    for first in range(0, len(users), 2000):
        batch = enumerate(users[first : first + 2000], first)
        await delivery.deliver([ended(seq, user=user) for seq, user in batch])
        await delivery.crash() if first == 20_000 else None
    found = samples(delivery, "jobs_ended_total", "user")
    assert sum(found.values()) == 60_000
    assert len(samples(delivery, "jobs_ended_total")) == 201
    assert samples(delivery, "job_elapsed_seconds_sum", "slurm_cluster") == {("sim",): 600_000}
    assert samples(delivery, "ended_cpu_seconds_total", "slurm_cluster") == {("sim",): 600_000}
    biggest = {name for name, _ in Counter(users).most_common(100)}
    assert len(biggest - {user for (user,) in found}) <= 2
    folded = samples(delivery, "label_sets_folded_total")[("slurmwatchd_jobs_ended",)]
    assert 0 < folded <= found[("other",)]
    assert samples(delivery, "label_sets_replaced_total")[("slurmwatchd_jobs_ended",)] > 50


@pytest.mark.heavy
async def test_memory_does_not_grow_with_the_number_of_users() -> None:
    async def grown(users: int) -> int:
        delivery = await delivery_to(Prometheus(max_label_sets=50, choice=choice("user")))
        names = [f"{number % users}-user" for number in range(12_000)]
        tracemalloc.start()
        for first in range(0, len(names), 1000):
            await delivery.deliver([ended(seq, user=names[seq]) for seq in range(first, first + 1000)])
        # What is in cycles goes now or later, whatever is measured.
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(delivery.state) <= 55
        return size

    few, many = await grown(500), await grown(12_000)
    assert many < few * 1.3


async def test_no_family_has_more_label_sets_than_the_limit_whatever_states_there_are() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=10, choice=choice("user")))
    states = ("COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY")
    events = [ended(seq, user=f"u{seq % 9}", state=states[seq % 4]) for seq in range(400)]
    for first in range(0, 400, 20):
        await delivery.deliver(events[first : first + 20])
        named = [key for key in samples(delivery, "jobs_ended_total") if key[1] != "other"]
        assert len(named) <= 10
    assert sum(samples(delivery, "jobs_ended_total").values()) == 400
    by_state = samples(delivery, "jobs_ended_total", "state")
    assert by_state == {(state,): 100 for state in states}


TWO_TYPES = {"cpu": 1, "gres/gpu:a100": 1, "gres/gpu:h100": 1}


async def test_attempt_of_two_gpu_types_puts_no_family_over_its_limit() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=2, choice=choice("user")))
    await delivery.deliver([ended(1, user="ann", alloc_tres={"cpu": 1, "gres/gpu:a100": 1})])
    await delivery.deliver([ended(2, user="bob", alloc_tres=TWO_TYPES)])
    assert samples(delivery, "ended_gpu_seconds_total", "user", "gpu_type") == {
        ("ann", "a100"): 10,
        ("other", "a100"): 10,
        ("other", "h100"): 10,
    }


async def test_attempt_of_more_gpu_types_than_label_sets_may_be_counts_as_other() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=1, choice=choice("user")))
    # None is there whose place it could take, then one that is smaller: it keeps its place.
    await delivery.deliver([ended(1, user="bob", alloc_tres=TWO_TYPES, elapsed_seconds=3600)])
    await delivery.deliver([ended(2, user="ann", elapsed_seconds=1)])
    await delivery.deliver([ended(3, user="bob", alloc_tres=TWO_TYPES, elapsed_seconds=36_000)])
    assert samples(delivery, "jobs_ended_total", "user") == {("ann",): 1, ("other",): 2}
    assert samples(delivery, "ended_gpu_seconds_total", "user", "gpu_type") == {
        ("other", "a100"): 39_600,
        ("other", "h100"): 39_600,
    }


async def test_what_is_folded_stays_in_its_partition_while_those_are_few() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=20, choice=choice("partition", "user")))
    await delivery.deliver([ended(n, partition=f"p{n % 2}", user=f"u{n}") for n in range(100)])
    assert samples(delivery, "jobs_ended_total", "partition") == {("p0",): 50, ("p1",): 50}
    assert samples(delivery, "jobs_ended_total")["sim", "p1", "other", "COMPLETED"] == 40


async def test_a_family_may_have_a_limit_of_its_own() -> None:
    limited = choice("user", jobs_ended=2)
    delivery = await delivery_to(Prometheus(max_label_sets=100, choice=limited))
    await delivery.deliver([ended(n, user=f"u{n}") for n in range(10)])
    assert len(samples(delivery, "jobs_ended_total")) == 3
    assert len(samples(delivery, "job_nodes_count")) == 10


async def test_one_who_uses_much_is_big_with_few_jobs() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=2, choice=choice("user")))
    small = [ended(n, user=f"u{n % 2}") for n in range(20)]
    await delivery.deliver([*small, ended(30, user="big", cpus=1000, elapsed_seconds=3600)])
    assert ("big",) in samples(delivery, "jobs_ended_total", "user")


LABELS: list[tuple[str, ...]] = [
    ("partition",),
    ("partition", "user"),
    (),
    ("account", "qos"),
    CHOICE,
    ("partition",),
]


@pytest.mark.parametrize("restarts", [True, False], ids=["restart", "reload"])
async def test_no_sum_falls_when_labels_change(*, restarts: bool) -> None:
    subject = Prometheus(max_label_sets=6, choice=choice("partition"))
    delivery = await delivery_to(subject)
    totals: defaultdict[str, list[float]] = defaultdict(list)
    seq = 0
    for labels in LABELS:
        subject.choice = choice(*labels)
        if restarts:
            await delivery.crash()
        else:
            subject.metrics.label_choice = subject.choice
        events = [
            ended(seq + n, user=f"u{n % 5}", partition=f"p{n % 3}", account=f"a{n % 2}", qos="high")
            for n in range(30)
        ]
        seq += 30
        await delivery.write(events)
        await delivery.write(events)
        delivery.commit()
        for name in ("jobs_ended_total", "job_elapsed_seconds_sum", "job_nodes_count", "ended_node_seconds_total"):
            totals[name].append(sum(samples(delivery, name).values()))
    assert totals["jobs_ended_total"] == [30, 60, 90, 120, 150, 180]
    assert totals["job_elapsed_seconds_sum"] == [300, 600, 900, 1200, 1500, 1800]
    assert totals["job_nodes_count"] == [30, 60, 90, 120, 150, 180]
    assert totals["ended_node_seconds_total"] == [300, 600, 900, 1200, 1500, 1800]
    # By a label that was there all the time nothing moved.
    await delivery.crash()
    assert sum(samples(delivery, "jobs_ended_total").values()) == 180


async def test_partition_totals_survive_that_users_come_and_go() -> None:
    subject = Prometheus(choice=choice("partition"))
    delivery = await delivery_to(subject)
    await delivery.deliver([ended(n, partition=f"p{n % 2}") for n in range(10)])
    for labels in (("partition", "user"), ("partition",)):
        subject.choice = choice(*labels)
        await delivery.crash()
        assert samples(delivery, "jobs_ended_total", "partition") == {("p0",): 5, ("p1",): 5}


async def test_a_lower_limit_folds_the_smallest() -> None:
    subject = Prometheus(choice=choice("user"))
    delivery = await delivery_to(subject)
    await delivery.deliver([ended(n, user=f"u{min(n % 10, 3)}") for n in range(40)])
    subject.max_label_sets = 2
    await delivery.crash()
    assert samples(delivery, "jobs_ended_total", "user") == {("u3",): 28, ("u2",): 4, ("other",): 8}


async def test_known_partitions_and_states_are_there_before_anything_ended() -> None:
    subject = Prometheus(max_label_sets=30)
    delivery = await delivery_to(subject)
    subject.metrics.known_partitions = {"sim": ("main", "gpu")}

    def shown(name: str) -> Samples:
        return {
            tuple(sample.labels.values()): sample.value
            for family in sink_of(delivery).collect()
            for sample in family.samples
            if sample.name == f"slurmwatchd_{name}"
        }

    assert shown("jobs_ended_total")["sim", "gpu", "NODE_FAIL"] == 0
    assert len(shown("jobs_ended_total")) == 24
    assert shown("job_wait_seconds_count") == {("sim", "main"): 0, ("sim", "gpu"): 0}
    assert shown("detection_lag_seconds_count") == {("sim",): 0}
    await delivery.deliver([ended(1, state="FAILED")])
    assert shown("jobs_ended_total")["sim", "main", "FAILED"] == 1
    assert len(shown("jobs_ended_total")) == 24
    # What is known must not fill the family up.
    subject.metrics.known_partitions = {"sim": ("main", "gpu", "long")}
    assert len(shown("jobs_ended_total")) == 1
    # Of users only those are known who had jobs.
    subject.metrics.label_choice = choice("partition", "user")
    await delivery.deliver([ended(2)])
    assert set(shown("jobs_ended_total")) == {("sim", "main", "", "FAILED"), ("sim", "main", "ann", "COMPLETED")}


async def test_what_was_replaced_leaves_no_row_behind() -> None:
    delivery = await delivery_to(Prometheus(max_label_sets=2, choice=choice("user")))
    await delivery.deliver([ended(1, user="a"), ended(2, user="b")])
    await delivery.deliver([ended(n, user="c") for n in range(3, 9)])
    users = {orjson.loads(key)[2] for key in delivery.state if key.startswith('["by:user"')}
    assert users == {"c", "other", *({"a", "b"} & users)}
    assert len(users) == 3


@pytest.mark.parametrize("size", [1, 7, 40])
@pytest.mark.parametrize("limit", [1, 2])
async def test_one_who_is_really_called_other_counts_with_the_others(limit: int, size: int) -> None:
    dice = random.Random(15)  # noqa: S311 - the same each time
    names = dice.choices(("other", "u1", "u2", "u3"), k=200)
    states = dice.choices(("COMPLETED", "FAILED", "TIMEOUT"), k=200)
    events = [ended(seq, user=names[seq], state=states[seq]) for seq in range(200)]
    delivery = await delivery_to(Prometheus(max_label_sets=limit, choice=choice("user")))
    for first in range(0, 200, size):
        await delivery.deliver(events[first : first + size])
        if first > 100:
            await delivery.crash()
    assert samples(delivery, "jobs_ended_total", "slurm_cluster") == {("sim",): 200}
    assert samples(delivery, "job_elapsed_seconds_sum", "slurm_cluster") == {("sim",): 2000}
    assert len([key for key in samples(delivery, "jobs_ended_total") if key[1] != "other"]) <= limit
    assert samples(delivery, "jobs_ended_total", "user")[("other",)] >= names.count("other")


async def test_a_label_that_is_called_other_beside_names_is_a_label_set_like_any() -> None:
    delivery = await delivery_to(Prometheus(choice=choice("user", "qos")))
    await delivery.deliver([ended(1, user="ann", qos="other"), ended(2, user="bob", qos="other")])
    await delivery.crash()
    await delivery.deliver([ended(3, user="ann", qos="other")])
    assert samples(delivery, "jobs_ended_total", "user", "qos") == {("ann", "other"): 2, ("bob", "other"): 1}
    # Both weigh, so that a bigger one can take their place.
    assert [orjson.loads(value)["weight"] > 0 for key, value in delivery.state.items() if "ann" in key] == [True]
