"""What label sets count, against a count of each event by itself: whatever is folded, however many at once."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmwatchd.model import formats
from slurmwatchd.model.job_metrics import CHOICE, LabelChoice
from slurmwatchd.model.records import EventKind
from slurmwatchd.sinks.conformance import Deliverer, make_event
from slurmwatchd.sinks.prometheus import PrometheusSink
from tests.draws import draws
from tests.unit.attempts import NOW, attempt
from tests.unit.subjects import Prometheus, delivery_to

if TYPE_CHECKING:
    from slurmwatchd.model.records import Event

SEEDS = st.integers(min_value=0, max_value=1 << 32)
LABELS = ((), ("partition",), ("user",), ("partition", "user"), CHOICE)
STATES = ("COMPLETED", "COMPLETED", "FAILED", "TIMEOUT", "REQUEUED")


def drawn(chance: Random, count: int, users: int) -> list[Event]:
    """Ends and usages of attempts, a few users' far more often than those of most."""
    weights = [1 / (number + 1) for number in range(users)]
    found = []
    for seq in range(1, count + 1):
        user = f"u{chance.choices(range(users), weights)[0]}"
        started, gpus = chance.random() < 0.9, chance.choice((0, 0, 1, 3))
        tres = {"cpu": 4, "node": 1} | ({"gres/gpu": 3, "gres/gpu:a100": gpus} if gpus else {})
        record = attempt(
            seq,
            user=user,
            account=chance.choice((f"a{len(user)}", None)),
            partition=chance.choice(("main", "gpu", "gpu,main")),
            qos=chance.choice(("normal", "high")),
            state=chance.choice(STATES),
            start=NOW - 70 if started else None,
            elapsed_seconds=chance.choice((0, 1, 7, 61)) if started else 0,
            timelimit_seconds=chance.choice((None, 70, 900)),
            alloc_tres=tres if started else None,
        )
        event = make_event(seq)._replace(body=formats.body(formats.wire(record)), time=record.end)
        if chance.random() < 0.3:
            usage = {"complete": True, "steps": 1, "cpu_seconds": chance.random()}
            body = event.body[:-1] + b',"usage":' + orjson.dumps(usage) + b"}"
            event = event._replace(kind=EventKind.JOB_USAGE, body=body)
        found.append(event)
    return found


def counted(events: list[Event]) -> dict[str, float]:
    """Count events by the words of docs/metrics.md, without regard to labels other than a family's own."""
    found: defaultdict[str, float] = defaultdict(float)
    for event in events:
        record = orjson.loads(event.body)
        elapsed = record["elapsed_seconds"] if record.get("start") else 0
        if event.kind is EventKind.JOB_USAGE:
            if record.get("start"):
                found["job_cpu_seconds_total"] += record["usage"]["cpu_seconds"]
            continue
        found[f"jobs_ended_total {record['state']}"] += 1
        found["detection_lag_seconds_count"] += 1
        if not record.get("start"):
            continue
        found["ended_cpu_seconds_total"] += 4 * elapsed
        gpus = record["alloc_tres"].get("gres/gpu:a100", 0)
        found["ended_gpu_seconds_total a100"] += gpus * elapsed
        found["ended_gpu_seconds_total (untyped)"] += (record["alloc_tres"].get("gres/gpu", 0) - gpus) * elapsed
        for bound in (1, 10, 60, 300):
            found[f"job_elapsed_seconds_bucket {float(bound)}"] += elapsed <= bound
        found["job_elapsed_seconds_sum"] += elapsed
        if limit := record.get("timelimit_seconds"):
            found["job_timelimit_used_ratio_sum"] += elapsed / limit
    return {name: amount for name, amount in found.items() if amount}


def shown(delivery: Deliverer, names: set[str]) -> dict[str, float]:
    """Return the same of what a scrape sees, summed over the labels that were chosen."""
    assert isinstance(delivery.sink, PrometheusSink)
    found: defaultdict[str, float] = defaultdict(float)
    for family in delivery.sink.collect():
        for name, labels, amount, *_ in family.samples:
            own = [value for label, value in labels.items() if label in {"state", "gpu_type", "le"}]
            key = " ".join([name.removeprefix("slurmwatchd_"), *own])
            if key in names or key.startswith(("jobs_ended_total", "ended_gpu_seconds_total")):
                found[key] += amount
    return {name: amount for name, amount in found.items() if amount}


async def delivered(events: list[Event], choice: LabelChoice, limit: int, chance: Random) -> Deliverer:
    """Deliver events; some are written again, since the daemon died before the cursor was over them."""
    delivery = await delivery_to(Prometheus(max_label_sets=limit, choice=choice))
    first = 0
    while first < len(events):
        some = events[first : first + chance.choice((1, 5, 40, 200))]
        happens = chance.choice(("delivered", "delivered", "failed", "died"))
        if happens == "delivered":
            await delivery.deliver(some)
            first += len(some)
        elif happens == "failed":
            await delivery.write(some)
        else:
            await delivery.write(some)
            await delivery.crash()
    return delivery


def label_sets(delivery: Deliverer) -> tuple[Counter[str], int]:
    """Return how many series each family with labels by choice has, and how many label sets are of others."""
    series: Counter[str] = Counter()
    others = 0
    for text, value in delivery.state.items():
        key, totals = orjson.loads(text), orjson.loads(value)
        if key[0].startswith("by:") and len(key) > 2:
            if key[-1] == "other":
                others += 1
                continue
            for name in totals.keys() - {"weight"}:
                series[name] += len(totals[name]) if isinstance(totals[name], dict) else 1
    return series, others


@settings(max_examples=draws(200), deadline=None)
@given(SEEDS)
def test_every_sum_is_that_of_the_events(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - drawn by hypothesis
    limit = chance.choice((1, 2, 10, 1000))
    choice = LabelChoice(labels=chance.choice(LABELS), families={}, limits={})
    events = drawn(chance, chance.choice((3, 60, 300)), chance.choice((1, 5, 60)))
    delivery = anyio.run(delivered, events, choice, limit, chance)
    wanted = counted(events)
    found = shown(delivery, {*wanted})
    assert found.keys() == wanted.keys()
    for name, amount in wanted.items():
        assert math.isclose(found[name], amount, rel_tol=1e-9), name
    series, others = label_sets(delivery)
    assert all(count <= limit for count in series.values()), series
    assert others <= max(1, limit // 10) + 1


@settings(max_examples=draws(100), deadline=None)
@given(SEEDS)
def test_events_at_once_count_as_one_by_one(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - drawn by hypothesis
    choice = LabelChoice(labels=chance.choice(LABELS), families={}, limits={})
    events = drawn(chance, chance.choice((3, 60, 150)), chance.choice((1, 5, 60)))

    async def kept(size: int) -> dict[str, Any]:
        delivery = await delivery_to(Prometheus(choice=choice))
        for first in range(0, len(events), size):
            await delivery.deliver(events[first : first + size])
        return {key: orjson.loads(value) for key, value in delivery.state.items()}

    # To the last bit, so that no total depends on how busy the daemon was.
    assert anyio.run(kept, len(events)) == anyio.run(kept, 1)
