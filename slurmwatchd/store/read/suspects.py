"""Which nodes of a store have failures that chance does not explain; `model/suspects.py` says how it is judged."""

from collections.abc import Iterator
from functools import lru_cache

import orjson

from slurmwatchd.model.outcomes import FAILURES, Outcome
from slurmwatchd.model.suspects import QUICK_SECONDS, Counted, Suspect, ranked
from slurmwatchd.store.json_array import IN_ARRAY, json_array
from slurmwatchd.store.read.query import OUTCOME, Question
from slurmwatchd.store.read.reader import StoreReader

_NODE_FAILURE = Outcome.NODE_FAILURE.value

# The number of the array that a task is of; an empty text for plain jobs.
_ARRAY = "substr(jobs.job_id, 1, instr(jobs.job_id, '_') - 1)"
_RAN = (
    'FROM jobs JOIN nodelists ON nodelists.id = jobs.nodelist WHERE jobs.cluster = ? AND jobs."end" >= ? '
    f"AND jobs.\"end\" <= ? AND jobs.start IS NOT NULL AND {OUTCOME} != '{_NODE_FAILURE}' "
    "AND nodelists.nodes IS NOT NULL"
)
_FAILED_ARRAYS = f"SELECT DISTINCT {_ARRAY} {_RAN} AND {OUTCOME} {IN_ARRAY} AND instr(jobs.job_id, '_')"
# An array of which no task failed says no more than its user: a busy day has hundreds of thousands of tasks.
_COUNTED = (
    "SELECT nodelists.nodes, coalesce(jobs.\"partition\", ''), coalesce(jobs.\"user\", ''), "
    f"iif({_ARRAY} {IN_ARRAY}, {_ARRAY}, ''), count(*), total({OUTCOME} {IN_ARRAY}), "
    f'total({OUTCOME} {IN_ARRAY} AND jobs."end" - jobs.start < {QUICK_SECONDS}) '
    f"{_RAN} GROUP BY jobs.nodelist, 2, 3, 4"
)


def suspects(store: StoreReader, cluster: str, since: int, until: int) -> list[Suspect]:
    """Return the nodes of a cluster whose failures chance does not explain, the worst first.

    Args:
        store: The store.
        cluster: Its name.
        since: Attempts count that ended then or later, epoch seconds.
        until: And then or earlier.

    Raises:
        StoreBusyError: The store cannot be read now.
    """
    return [suspect for suspect in ranked(_counted(store, cluster, since, until)) if suspect.is_suspect]


@lru_cache(maxsize=20_000)
def _names(nodes: str) -> tuple[str, ...]:
    return tuple(orjson.loads(nodes))


def _counted(store: StoreReader, cluster: str, since: int, until: int) -> Iterator[Counted]:
    failures = json_array(outcome for outcome in FAILURES if outcome != _NODE_FAILURE)
    ran = (cluster, since, until)
    arrays = json_array(row[0] for row in store.each(_FAILED_ARRAYS, (*ran, failures)))
    for row in store.each(_COUNTED, (arrays, failures, failures, *ran)):
        nodes, partition, user, array, attempts, failed, quick = row
        yield Counted(_names(nodes), partition, user, array, attempts, int(failed), int(quick))
    question = Question(clusters=(cluster,), outcomes=(_NODE_FAILURE,), ended_from=since, ended_until=until)
    for record in store.records(question, nodes=True):
        nodes = record.get("nodes") or ()
        if nodes:
            partition, user = record.get("partition") or "", record.get("user") or ""
            yield Counted(nodes, partition, user, "", 0, 0, 0, 1, record.get("failed_node"))
