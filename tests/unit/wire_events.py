"""Events that show what a format has to carry, and the forms of sinks that write them."""

from typing import Any

import orjson

from slurmwatchd.model.event_ids import event_id
from slurmwatchd.model.formats import body, wire
from slurmwatchd.model.records import Event, EventKind, FoundBy
from slurmwatchd.sinks.forms.form import EventForm
from slurmwatchd.sinks.forms.options import FormOptions
from tests.unit.attempts import NOW, attempt

USAGE = {"cpu_seconds": 5.25, "max_rss_bytes": 4096, "steps": 2, "complete": True}


def event(seq: int, kind: EventKind, *, nodes: list[str] | None, revision: int = 1, **more: Any) -> Event:  # noqa: ANN401
    """An event of a job; `usage` and `changed` are its own, the rest is the record's."""
    usage, changed = more.pop("usage", None), more.pop("changed", None)
    number = more.pop("number", 12)
    record = attempt(number, **more)
    fields = wire(record) | ({} if usage is None else {"usage": usage})
    return Event(
        seq=seq,
        id=event_id("sim", number, record.submit, kind, revision),
        kind=kind,
        revision=revision,
        time=record.end,
        observed=NOW + seq,
        found_by=FoundBy.POLL,
        body=body(fields),
        nodes=None if nodes is None else orjson.dumps(nodes),
        changed=None if changed is None else orjson.dumps(changed),
    )


_JOB: dict[str, Any] = {
    "job_id": "10_2",
    "array_job_id": 10,
    "array_task_id": 2,
    "name": 'train "ü"\n',
    "uid": 1000,
    "gid": 100,
    "qos": "normal",
    "wait_seconds": 30,
    "timelimit_seconds": 3600,
    "exit_code": 2,
    "exit_signal": 0,
    "derived_exit_code": 3,
    "derived_exit_signal": 9,
    "state": "FAILED",
    "node_count": 2,
    "cpus": 36,
    "node_list": "n[1-2]",
    "req_tres": {"cpu": 36, "mem_bytes": 4_194_304_000, "node": 2, "gres/gpu:a100_1g.5gb": 4},
    "alloc_tres": {"cpu": 36, "mem_bytes": 4_194_304_001, "node": 2, "billing": 36, "license/matlab": 1},
    "work_dir": "/home/ann",
    "submit_line": "sbatch train.sh",
    "constraints": ("ib", "a100"),
    "comment": "for Bob",
    "raw": {"User": "ann?"},
}

EVENTS = [
    event(1, EventKind.JOB_ENDED, nodes=["n1", "n2"], **_JOB),
    event(2, EventKind.JOB_USAGE, nodes=["n1", "n2"], usage=USAGE, **_JOB),
    event(
        3,
        EventKind.JOB_REVISED,
        nodes=["n1", "n2"],
        revision=2,
        changed={
            "comment": ["for Carl", "for Bob"],
            "alloc_tres": [None, {"cpu": 36}],
            "state": ["TIMEOUT", "FAILED"],
        },
        **_JOB,
    ),
    event(
        4,
        EventKind.JOB_ENDED,
        nodes=None,
        number=13,
        state="CANCELLED",
        cancelled_by_uid=1000,
        uid=1000,
        start=None,
        node_list=None,
        elapsed_seconds=0,
        wait_seconds=40,
        node_count=1,
        cpus=0,
    ),
]
"""An end with much to tell, its usage, a revision, and a job cancelled before it started."""


def form_of(**options: Any) -> EventForm:  # noqa: ANN401 - any option
    form = EventForm("sink", FormOptions.model_validate({"type": "any", **options}))
    form.prepare()
    return form


def written(**options: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any option
    """What these events look like, by some options."""
    return [orjson.loads(line) for line in form_of(**options).lines(EVENTS)]
