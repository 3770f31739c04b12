"""Lists of attempts, a page at a time: `jobs`, `running`, `nodes/{node}`, `arrays`, `export`; and one job."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from starlette.responses import Response

from slurmwatchd.daemon.web.api.answers import MAX_PAGE_BYTES, BodyStream, takes_gzip
from slurmwatchd.daemon.web.api.calls import CLIENT_GONE, Call
from slurmwatchd.daemon.web.api.parameters import (
    ArraysQuery,
    ExportQuery,
    JobQuery,
    JobsQuery,
    NodeQuery,
    Paged,
    RunningQuery,
    job_id_of,
    node_of,
)
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking, ClientGoneError
from slurmwatchd.daemon.web.api.sight import Sight
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store.read import pages
from slurmwatchd.store.read.arrays import JobArray
from slurmwatchd.store.read.pages import Place
from slurmwatchd.store.read.query import Order, Question
from slurmwatchd.watcher.unread import unread

SHARED_LIMIT = 20
EXPORT_ROWS = 500
ARRAYS_DAYS = 7

_ORDERS = {
    "newest": (Order.END, True),
    "oldest": (Order.END, False),
    "longest": (Order.ELAPSED, True),
    "least-efficient": (Order.EFFICIENCY, False),
}
_KINDS = {Order.END: b"e", Order.ELAPSED: b"l", Order.EFFICIENCY: b"f", Order.START: b"s", Order.SUBMIT: b"u"}
_ARRAYS = b"a"
_BATCH = 100
_DAY = 86_400

Object = dict[str, Any]


async def jobs(call: Call[JobsQuery]) -> Response:
    """Answer `jobs`."""
    order, descending = _ORDERS[call.query.order]
    return await call.answer(partial(_page, call, call.query, call.query.question(order, descending=descending)))


async def running(call: Call[RunningQuery]) -> Response:
    """Answer `running`."""
    query = call.query
    end = int(time.time()) if query.end is None else query.end
    if query.begin > end:
        raise ProblemError(400, "from: the interval ends before it begins", parameter="from")
    question = Question(
        running_from=query.begin,
        running_until=end,
        users=query.user,
        accounts=query.account,
        partitions=query.partition,
        clusters=query.cluster,
        node=query.node,
        order=Order.START,
    )
    return await call.answer(partial(_page, call, query, question))


async def node(call: Call[NodeQuery]) -> Response:
    """Answer `nodes/{node}`."""
    query, name = call.query, node_of(call.path["node"])
    question = Question(
        node=name,
        clusters=query.cluster,
        ended_from=query.since,
        ended_until=query.until,
        running_from=query.at,
        running_until=query.at,
        descending=True,
    )

    def build(sight: Sight, asking: Asking) -> Object:
        # The same answer for a node that is not there and for one on which only others ran.
        if not sight.page(Question(node=name), 1):
            raise ProblemError(404, f"No attempt in the store ran on the node {name!r}.", parameter="node")
        return {"node": name, **_page(call, query, question, sight, asking)}

    return await call.answer(build)


def _page(call: Call[Any], query: Paged, question: Question, sight: Sight, asking: Asking) -> Object:
    """Return a page of attempts, and what of the time asked for was never read."""
    kind = _KINDS[question.order]
    if query.cursor is not None:
        question = replace(question, behind=call.place(kind, query.cursor))
    found = sight.page(question, query.limit + 1)
    places = found[: query.limit]
    records: list[Object] = []
    size = 0
    for begin in range(0, len(places), _BATCH):
        asking.check()
        some = _records(sight, places[begin : begin + _BATCH], query.fields)
        records += some
        is_last = begin + _BATCH >= len(places)
        size += 0 if is_last else len(orjson.dumps(some))
        if size > MAX_PAGE_BYTES:
            places = places[: begin + _BATCH]
            break
    more = len(found) > len(places)
    return {
        "jobs": records,
        "next": call.cursor(kind, places[-1]) if more else None,
        "unread": _unread(sight, question),
    }


def _unread(sight: Sight, question: Question) -> list[dict[str, str | None]]:
    return [stretch.on_wire() for stretch in unread(sight.readings(), question, now=int(time.time()))]


def _records(sight: Sight, places: Sequence[Place], fields: Sequence[str]) -> list[Object]:
    names = frozenset(fields)
    if names and names <= pages.FIELDS and (found := sight.fields(places, names)) is not None:
        return found
    nodes = "nodes" in fields
    usage = not fields or any(name.partition(".")[0] in {"usage", "steps"} for name in fields)
    return _chosen(sight.records(places, nodes=nodes, usage=usage), fields)


def _chosen(records: Sequence[Object], fields: Sequence[str]) -> list[Object]:
    """Return what of some records is asked for, in their own order."""
    if not fields:
        return list(records)
    names = frozenset(fields)
    parts = frozenset(name.removeprefix("usage.") for name in fields if name.startswith("usage."))
    return [_part(record, names, parts) for record in records]


def _part(record: Object, names: AbstractSet[str], parts: AbstractSet[str]) -> Object:
    """Return some members of a record, and of its usage."""
    chosen = {name: value for name, value in record.items() if name in names}
    if parts and "usage" not in chosen and "usage" in record:
        chosen["usage"] = {name: value for name, value in record["usage"].items() if name in parts}
    return chosen


async def job(call: Call[JobQuery]) -> Response:
    """Answer `jobs/{job_id}`: each attempt with its history, its steps and who shared its nodes."""
    query, text = call.query, job_id_of(call.path["job_id"])
    kind = _KINDS[Order.SUBMIT]

    def build(sight: Sight, asking: Asking) -> Object:
        question = Question(job_ids=(text,), clusters=query.cluster, order=Order.SUBMIT)
        found = sight.page(replace(question, behind=call.place(kind, query.cursor)), query.limit + 1)
        if not found and query.cursor is None:
            raise ProblemError(404, f"No ended job {text} is in the store.", parameter="job_id")
        attempts: list[Object] = []
        places = found[: query.limit]
        size = 0
        for number, place in enumerate(places, 1):
            asking.check()
            attempts += _attempt(sight, place, query.fields)
            size += len(orjson.dumps(attempts[-1:]))
            if size > MAX_PAGE_BYTES:
                places = places[:number]
                break
        more = len(found) > len(places)
        return {"job_id": text, "attempts": attempts, "next": call.cursor(kind, places[-1]) if more else None}

    return await call.answer(build)


def _attempt(sight: Sight, place: Place, fields: Sequence[str]) -> list[Object]:
    """Return an attempt with all that is known of it; nothing where it was pruned meanwhile."""
    nodes = not fields or "nodes" in fields
    found: list[Object] = sight.records([place], nodes=nodes, usage=True)
    for record in found:
        if not fields or "history" in fields:
            record["history"] = sight.history(place)
        if not fields or "shared_nodes_with" in fields:
            record["shared_nodes_with"] = sight.shared_nodes_with(place, limit=SHARED_LIMIT)
    return _chosen(found, fields)


async def arrays(call: Call[ArraysQuery]) -> Response:
    """Answer `arrays`: one row an array, of the last week where no time is given."""
    query = call.query
    question = query.question(Order.END, descending=True)
    times = (query.since, query.until, query.begin, query.end)
    if all(moment is None for moment in times):
        question = replace(question, ended_from=int(time.time()) - ARRAYS_DAYS * _DAY)

    def build(sight: Sight, asking: Asking) -> Object:
        behind = call.place(_ARRAYS, query.cursor)
        found = sight.arrays(replace(question, behind=behind), query.limit + 1)
        asking.check()
        shown = found[: query.limit]
        last = (shown[-1].end, shown[-1].newest) if len(found) > len(shown) else None
        return {
            "arrays": [_array(array) for array in shown],
            "next": None if last is None else call.cursor(_ARRAYS, last),
            "unread": _unread(sight, question),
        }

    return await call.answer(build)


def _array(array: JobArray) -> Object:
    return {
        "cluster": array.cluster,
        "array_job_id": array.array_job_id,
        "tasks": array.tasks,
        "attempts": array.attempts,
        "states": array.states,
        "submit": rfc3339(array.submit),
        "start": None if array.start is None else rfc3339(array.start),
        "end": None if array.end is None else rfc3339(array.end),
    }


async def export(call: Call[ExportQuery]) -> Response:
    """Answer `export`: every attempt that is asked for, one JSON object a line, the oldest end first."""
    question = call.query.question(Order.END, descending=False)
    fields = call.query.fields

    def ask(behind: Place | None) -> Callable[[Sight, Asking], tuple[bytes, Place | None]]:
        def build(sight: Sight, asking: Asking) -> tuple[bytes, Place | None]:
            places = sight.page(replace(question, behind=behind), EXPORT_ROWS)
            lines = bytearray()
            for begin in range(0, len(places), _BATCH):
                asking.check()
                some = places[begin : begin + _BATCH]
                for record in _records(sight, some, fields):
                    lines += orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
                if len(lines) > MAX_PAGE_BYTES:
                    return bytes(lines), some[-1]
            return bytes(lines), places[-1] if len(places) == EXPORT_ROWS else None

        return build

    # Asked before anything is sent, so that what is wrong from the beginning is an error and no torn file.
    try:
        first = await call.ask(ask(None), watched=True)
    except ClientGoneError:
        return Response(status_code=CLIENT_GONE)

    async def parts() -> AsyncIterator[bytes]:
        lines, behind = first
        yield lines
        while behind is not None:
            lines, behind = await call.ask(ask(behind))
            yield lines

    return BodyStream(parts(), "application/x-ndjson", gzip=takes_gzip(call.request))
