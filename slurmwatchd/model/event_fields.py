"""Every field of an event, its type and its meaning: for docs/events.md and `slurmwatchd schema`.

Tests hold this table against the records that are written, so it is not a second truth beside them.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from slurmwatchd.model.records import SCHEMA, EventKind, FoundBy

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = f"urn:slurmwatchd:event:{SCHEMA}"

_STRING = {"type": "string"}
_TIME = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
_TEXTS = {"type": "array", "items": _STRING}

_TYPES: dict[str, dict[str, Any]] = {
    "string": _STRING,
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "time": _TIME,
    "time or null": {"anyOf": [_TIME, {"type": "null"}]},
    "[string]": _TEXTS,
    "digits": {"type": "string", "pattern": "^[0-9]+$"},
    "uuid": {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"},
    "event": {"enum": [kind.value for kind in EventKind]},
    "schema": {"const": SCHEMA},
    "found by": {"enum": [found_by.value for found_by in FoundBy]},
    "tres": {"type": "object", "additionalProperties": {"type": ["integer", "number", "string"]}},
    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    "texts": {"type": "object", "additionalProperties": _STRING},
    "changes": {"type": "object", "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}},
}
_WORDS = {
    "digits": "string", "uuid": "string", "event": "string", "schema": "int", "found by": "string",
    "tres": "object", "counts": "object", "texts": "object", "changes": "object",
    "time": "string", "time or null": "string or null",
}  # fmt: skip


class Field(NamedTuple):
    """One field of a line, or of an object in it.

    Attributes:
        kind: One of the types above, or the name of an object that is described apart.
        text: What it says, for people.
    """

    name: str
    kind: str
    text: str = ""

    @property
    def type_word(self) -> str:
        """The type as people read it."""
        return {"usage": "object", "steps": "[object]"}.get(self.kind, _WORDS.get(self.kind, self.kind))


HEAD = (
    Field("id", "uuid", "the dedupe key"),
    Field("event", "event", "`job_ended`, `job_usage`, `job_revised`"),
    Field("schema", "schema", str(SCHEMA)),
    Field("seq", "int", "position in this daemon's store; only grows, gaps do not mean a loss, see above"),
    Field("revision", "int", "1 for `job_ended` and `job_usage`; 2, 3 ... for `job_revised`"),
    Field("time", "time", "the attempt's end; absent if Slurm never recorded one"),
    Field("observed", "time", "when the daemon first saw this"),
    Field(
        "found_by",
        "found by",
        "`poll`; `reread`: a later query of the same time; `open_set`: a query for a job that vanished from the "
        "list of open jobs; `backfill`",
    ),
)

RECORD = (
    Field("cluster", "string"),
    Field("job_id", "string", "as sacct prints it: `12`, `12_3`, `12+1`, `12_[0-9%2]`"),
    Field("job_id_raw", "int", "slurmdbd's `id_job`"),
    Field("array_job_id", "int", "for an array, or a task of one"),
    Field("array_task_id", "int", "for a task of an array"),
    Field("array_tasks", "string", "for an array cancelled while pending: the tasks that this row represents"),
    Field(
        "array_task_count", "int", "the number of those tasks; absent if Slurm truncated the expression (`...`)"
    ),
    Field("het_job_id", "int", "for a component of a heterogeneous job"),
    Field("het_job_offset", "int", "for a component of a heterogeneous job"),
    Field("db_index", "digits", "a string, because from 24.11 on it can exceed 2^63"),
    Field("sluid", "string"),
    Field("restarts", "int", "how many times the job was requeued before this attempt"),
    Field("name", "string"),
    Field("user", "string"),
    Field("uid", "int"),
    Field("gid", "int"),
    Field("account", "string"),
    Field("partition", "string"),
    Field("qos", "string", "the one it ran under"),
    Field("reservation", "string", "the one it ran in"),
    Field("wckey", "string"),
    Field("state", "string", "one word: `CANCELLED`, never `CANCELLED by 0`"),
    Field("cancelled_by_uid", "int", "the user who cancelled it, if Slurm knows"),
    Field("exit_code", "int", "see below"),
    Field("exit_signal", "int", "the signal that ended the batch script; 0 for none"),
    Field("derived_exit_code", "int", "the highest of the steps' exit codes, or the one a user set"),
    Field("derived_exit_signal", "int"),
    Field("submit", "time"),
    Field("eligible", "time", "absent if it was held until it ended"),
    Field("start", "time or null", "null if it never started"),
    Field("end", "time"),
    Field("wait_seconds", "int", "from eligible to start, or to the end of an attempt that never started"),
    Field("elapsed_seconds", "int", "from start to end, without suspended time"),
    Field("suspended_seconds", "int"),
    Field("timelimit_seconds", "int", "absent if it had no limit of its own (`UNLIMITED`, `Partition_Limit`)"),
    Field("node_count", "int", "allocated nodes; requested nodes if the attempt never started"),
    Field("cpus", "int", "allocated CPUs; before 23.02 requested CPUs if the attempt never started"),
    Field("node_list", "string", "compact, as Slurm wrote it; absent if no node was assigned"),
    Field("req_tres", "tres", "requested; see below"),
    Field("alloc_tres", "tres", "allocated; absent if it never started"),
    Field("work_dir", "string"),
    Field("submit_line", "string", "the command with its arguments"),
    Field("comment", "string"),
    Field("admin_comment", "string"),
    Field("system_comment", "string"),
    Field(
        "constraints",
        "[string]",
        "requested node features, all of them required; one with alternatives stays whole",
    ),
    Field("reason", "string", "why it last waited"),
    Field("extra", "string"),
    Field("failed_node", "string", "the node whose failure ended it"),
    Field("licenses", "counts", 'license to count: `{"matlab@flex": 2}`'),
    Field("flags", "[string]", "how it was scheduled: `SchedBackfill`, `StartReceived` ..."),
    Field("priority", "int", "its last priority"),
    Field("container", "string"),
    Field("mcs_label", "string"),
    Field("reservation_id", "int", "reservation names are reused, ids are not"),
    Field("std_in", "string", "as the user gave it, patterns such as `%j` unexpanded"),
    Field("std_out", "string"),
    Field("std_err", "string", "absent if it is the same as std_out"),
    Field("qos_req", "string", "every requested QOS"),
    Field("req_reservation", "string", "every requested reservation"),
    Field("segment_size", "int", "for a job placed in blocks"),
    Field("original_sluid", "string", "stays the same across resizes"),
    Field("exclusive", "string", "`NO`, `NODE`, `USER` ..."),
    Field("oversubscribe", "string", "`NO`, `YES` ..."),
    Field("incomplete", "bool", "true if slurmdbd filled in values it never received; see below"),
    Field("raw", "texts", "Slurm's field name to the text that could not be parsed, or cannot be a measurement"),
)

TAIL = (
    Field("usage", "usage", "`job_usage` only; see below"),
    Field("steps", "steps", '`job_usage` only, with `[steps] mode = "full"`: the first 1,000; see below'),
    Field("changed", "changes", "`job_revised` only: field to [old, new]; `null` for absent"),
    Field("nodes", "[string]", "every node of `node_list`, in Slurm's order"),
    Field(
        "nodes_omitted",
        "bool",
        "true if `nodes` was left out because the line would still have been longer than `max_line_bytes`",
    ),
    Field(
        "truncated",
        "[string]",
        "texts that were cut (`changed.comment`: the texts of a change), and lists or `usage.raw` that were left "
        "out, because the line was too long; see below",
    ),
)

_MEASURED = (
    Field("cpu_seconds", "number", "TotalCPU: to the millisecond below an hour, whole seconds above"),
    Field("user_cpu_seconds", "number", "UserCPU"),
    Field("system_cpu_seconds", "number", "SystemCPU"),
    Field("max_rss_bytes", "int", "MaxRSS: the peak of one task; for an attempt, the largest of its steps"),
    Field("ave_rss_bytes", "int", "AveRSS; for an attempt, from the step that `memory_bytes` is from"),
    Field(
        "memory_bytes",
        "int",
        "the sum of the peaks of all tasks of a step; for an attempt, the largest of its steps",
    ),
    Field("max_vmsize_bytes", "int", "MaxVMSize; for an attempt, the largest of its steps"),
    Field("disk_read_bytes", "int", "by all tasks; for an attempt, by all steps"),
    Field("disk_write_bytes", "int", "by all tasks; for an attempt, by all steps"),
    Field("energy_joules", "int", "ConsumedEnergyRaw; 0 if Slurm gathers no energy"),
    Field("gpu_max_utilization_percent", "int", "`gres/gpuutil`, if Slurm gathers it: the maximum of one task"),
    Field("gpu_ave_utilization_percent", "int", "the average; for an attempt, from the step where it is highest"),
    Field("gpu_max_memory_bytes", "int", "`gres/gpumem`, if Slurm gathers it: the maximum of one task"),
)

USAGE = (
    *_MEASURED,
    Field("cpu_efficiency", "number", "`cpu_seconds` divided by `cpus` times `elapsed_seconds`; 1 is full use"),
    Field(
        "memory_efficiency", "number", "`memory_bytes` divided by the allocated, otherwise the requested memory"
    ),
    Field("steps", "int", "the number of steps, batch and extern included"),
    Field("complete", "bool", "false if steps were still missing a quarter of an hour after the first query"),
    Field(
        "raw",
        "texts",
        "step and field to the text that could not be parsed, or cannot be a measurement: the first 1,000",
    ),
)

STEP = (
    Field("id", "string", "`batch`, `extern`, `interactive`, `0`, `0+1`"),
    Field("name", "string"),
    Field("state", "string"),
    Field("exit_code", "int"),
    Field("exit_signal", "int"),
    Field("start", "time"),
    Field("end", "time"),
    Field("elapsed_seconds", "int"),
    Field("node_count", "int"),
    Field("tasks", "int"),
    Field("cpus", "int"),
    Field("node_list", "string"),
    *_MEASURED,
    Field("complete", "bool", "false if slurmdbd does not have its end"),
)

REQUIRED = (
    "id", "event", "schema", "seq", "revision", "observed", "found_by", "cluster", "job_id", "job_id_raw", "state",
    "submit", "start",
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a line. It allows fields it does not know: within a schema some may be added."""
    objects = {
        "usage": _object(USAGE, required=("steps", "complete")),
        "steps": {"type": "array", "items": _object(STEP, required=("id", "state", "complete"))},
    }
    schema = {
        "$schema": DIALECT,
        "$id": IDENTIFIER,
        "title": "An event of slurmwatchd",
        "description": "One line of a JSON-lines file in the format flat.",
        **_object((*HEAD, *RECORD, *TAIL), required=REQUIRED),
    }
    schema["properties"] |= {
        name: {**found, "description": schema["properties"][name]["description"]}
        for name, found in objects.items()
    }
    schema["allOf"] = [
        {
            "if": {"properties": {"event": {"const": kind.value}}},
            "then": {"required": [name]},
            "else": {"not": {"required": [name]}},
        }
        for kind, name in ((EventKind.JOB_USAGE, "usage"), (EventKind.JOB_REVISED, "changed"))
    ]
    return schema


def _object(fields: Iterable[Field], *, required: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            field.name: {**_TYPES.get(field.kind, {}), **({"description": field.text} if field.text else {})}
            for field in fields
        },
    }
