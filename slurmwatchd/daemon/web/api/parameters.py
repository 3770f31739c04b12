"""The parameters of each endpoint: what they take, and what is said of one that is wrong."""

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC
from functools import cache
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_plus

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from slurmwatchd.config.moments import parse_moment
from slurmwatchd.config.units import format_duration, parse_duration
from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.model import event_fields
from slurmwatchd.model.job_ids import NO_JOB_ID, is_job_id
from slurmwatchd.model.job_states import STATES, state_of
from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.store.read.query import Order, Question

MAX_LIMIT = 1000
MAX_ARRAYS = 200
MAX_ATTEMPTS = 100
MAX_WORDS = 100
MAX_WORD = 255
MAX_WAIT_SECONDS = 60.0

_MAX_STARS = 8
_MAX_MOMENT = 64
_BLANK_BEFORE_ZONE = re.compile(r"(?<=:\d\d) (?=\d\d:\d\d$)")
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)
_OUTCOMES = tuple(outcome.value for outcome in Outcome)

RECORD_FIELDS = (*(field.name for field in event_fields.RECORD), "nodes", "usage", "steps")
JOB_FIELDS = (*RECORD_FIELDS, "history", "shared_nodes_with")
_USAGE_FIELDS = tuple(f"usage.{field.name}" for field in event_fields.USAGE)

P = TypeVar("P", bound="Parameters")


def _words(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    """Read `a,b` as a list."""
    words = [word.strip() for word in str(value).split(",")]
    if not all(words):
        raise ValueError("a value is empty")
    if len(words) > MAX_WORDS:
        raise ValueError(f"more than {MAX_WORDS} values")
    for word in words:
        _word(word)
    return tuple(dict.fromkeys(words))


def _word(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    if not value or len(value) > MAX_WORD:
        raise ValueError(f"must have 1 to {MAX_WORD} characters")
    return value


def _states(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    return tuple(dict.fromkeys(state_of(word) for word in _words(value)))


def _outcomes(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    words = _words(value)
    if unknown := [word for word in words if word not in _OUTCOMES]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(_OUTCOMES)}")
    return words


def _known(names: Iterable[str]) -> BeforeValidator:
    known = frozenset(names)

    def check(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
        words = _words(value)
        if unknown := [word for word in words if word not in known]:
            raise ValueError(f"{', '.join(unknown)}: there is no such field")
        return words

    return BeforeValidator(check)


def _moment(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    if len(str(value)) > _MAX_MOMENT:
        raise ValueError(f"is longer than {_MAX_MOMENT} characters")
    # A plus stands for a blank in an address; before a zone nobody means one, nor at the beginning.
    text = _BLANK_BEFORE_ZONE.sub("+", str(value))
    return parse_moment(f"+{text[1:]}" if text.startswith(" ") else text, now=time.time(), zone=UTC)


def _wait(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    seconds = parse_duration(value)
    if seconds > MAX_WAIT_SECONDS:
        raise ValueError(f"must be at most {format_duration(MAX_WAIT_SECONDS)}")
    return seconds


def _glob(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
    if str(value).count("*") > _MAX_STARS:
        raise ValueError(f"has more than {_MAX_STARS} stars")
    return _word(value)


_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_WORD}


def _list_of(items: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": dict(items), "minItems": 1, "maxItems": MAX_WORDS})


Words = Annotated[tuple[str, ...], BeforeValidator(_words), _list_of({**_TEXT, "pattern": "^[^, ]+$"})]
States = Annotated[tuple[str, ...], BeforeValidator(_states), _list_of({"enum": list(STATES)})]
Outcomes = Annotated[tuple[str, ...], BeforeValidator(_outcomes), _list_of({"enum": list(_OUTCOMES)})]
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema(_TEXT)]
Glob = Annotated[str, BeforeValidator(_glob), WithJsonSchema(_TEXT)]
Moment = Annotated[int, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "moment"})]
Cursor = Annotated[str, WithJsonSchema({"type": "string", "format": "cursor"})]
FIELDS = {
    "RecordField": (*RECORD_FIELDS, *_USAGE_FIELDS),
    "JobField": (*JOB_FIELDS, *_USAGE_FIELDS),
}
"""What `fields` takes, by the name that the description has for it."""

RecordFields = Annotated[tuple[str, ...], _known(FIELDS["RecordField"]), _list_of({"title": "RecordField"})]
JobFields = Annotated[tuple[str, ...], _known(FIELDS["JobField"]), _list_of({"title": "JobField"})]


def _limit(most: int) -> tuple[BeforeValidator, WithJsonSchema]:
    def check(value: Any) -> Any:  # noqa: ANN401 - what stands in the address
        if not _NUMBER.fullmatch(str(value)) or not 1 <= int(value) <= most:
            raise ValueError(f"must be a whole number from 1 to {most}")
        return int(value)

    return BeforeValidator(check), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": most})


class Parameters(BaseModel):
    """What stands in an address behind the question mark."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class NoParameters(Parameters):
    """Nothing."""


class Filters(Parameters):
    """Which attempts; an attempt must meet all that is given, and any of several values."""

    user: Words = Field((), description="Only these users.")
    account: Words = Field((), description="Only these accounts.")
    partition: Words = Field((), description="Only these partitions.")
    state: States = Field((), description="Only these states; `F` and `failed` are taken for FAILED.")
    outcome: Outcomes = Field((), description="Only these outcomes.")
    qos: Words = Field((), description="Only these QOS.")
    cluster: Words = Field((), description="Only these clusters.")
    node: Word | None = Field(None, description="Only on this node.")
    name: Glob | None = Field(None, description="Only names that match: `train-*`, `run-?[0-9]`.")
    since: Moment | None = Field(None, description="Ended at or after this time.")
    until: Moment | None = Field(None, description="Ended at or before this time.")
    begin: Moment | None = Field(None, alias="from", description="Running at this time, or started later.")
    end: Moment | None = Field(None, alias="to", description="Started at or before this time.")

    @model_validator(mode="after")
    def _in_order(self) -> "Filters":
        for first, last, name in ((self.since, self.until, "until"), (self.begin, self.end, "to")):
            if first is not None and last is not None and first > last:
                raise ValueError(f"{name}: the stretch ends before it begins")
        return self

    def question(self, order: Order, *, descending: bool) -> Question:
        """Return what is asked for."""
        return Question(
            users=self.user,
            accounts=self.account,
            partitions=self.partition,
            states=self.state,
            outcomes=self.outcome,
            qos=self.qos,
            clusters=self.cluster,
            node=self.node,
            name=self.name,
            ended_from=self.since,
            ended_until=self.until,
            running_from=self.begin,
            running_until=self.end,
            order=order,
            descending=descending,
        )


class Paged(Parameters):
    """How much of an answer."""

    limit: Annotated[int, *_limit(MAX_LIMIT)] = Field(
        100,
        description="At most this many; a page may have fewer, `next` is null on the last one.",
    )
    cursor: Cursor | None = Field(None, description="`next` of the page before.")
    fields: RecordFields = Field((), description="Only these fields, such as `job_id,state,usage.cpu_efficiency`.")


class JobsQuery(Filters, Paged):
    """`jobs`."""

    order: Literal["newest", "oldest", "longest", "least-efficient"] = Field(
        "newest", description="Which come first."
    )


class RunningQuery(Paged):
    """`running`."""

    begin: Moment = Field(alias="from", description="The interval's first moment.")
    end: Moment | None = Field(None, alias="to", description="Its last moment; now by default.")
    user: Words = Field((), description="Only these users.")
    account: Words = Field((), description="Only these accounts.")
    partition: Words = Field((), description="Only these partitions.")
    cluster: Words = Field((), description="Only these clusters.")
    node: Word | None = Field(None, description="Only on this node.")


class NodeQuery(Paged):
    """`nodes/{node}`."""

    at: Moment | None = Field(None, description="Running there at this moment.")
    since: Moment | None = Field(None, description="Ended at or after this time.")
    until: Moment | None = Field(None, description="Ended at or before this time.")
    cluster: Words = Field((), description="Only these clusters.")

    @model_validator(mode="after")
    def _in_order(self) -> "NodeQuery":
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("until: the stretch ends before it begins")
        return self


class SuspectsQuery(Parameters):
    """`nodes/suspect`."""

    since: Moment | None = Field(None, description="Ended at or after this time; 24 hours ago by default.")
    until: Moment | None = Field(None, description="Ended at or before this time; now by default.")
    cluster: Words = Field((), description="Only these clusters.")
    limit: Annotated[int, *_limit(MAX_LIMIT)] = Field(100, description="At most this many.")


class HoursQuery(Parameters):
    """`coverage/hours`."""

    since: Moment | None = Field(
        None, description="From the full hour of this time on; 14 days before `until` by default."
    )
    until: Moment | None = Field(None, description="Up to this time, to the full hour; now by default.")
    cluster: Words = Field((), description="Only these clusters.")


class ArraysQuery(Filters):
    """`arrays`."""

    limit: Annotated[int, *_limit(MAX_ARRAYS)] = Field(50, description="At most this many arrays.")
    cursor: Cursor | None = Field(None, description="`next` of the page before.")


class ReportQuery(Parameters):
    """`report`."""

    by: Literal["account", "user", "partition", "qos", "outcome", "cluster", "hour", "day", "month"] = Field(
        "account", description="What the lines are grouped by; hours, days and months are of UTC."
    )
    since: Moment | None = Field(None, description="From the full hour of this time on; 30 days ago by default.")
    until: Moment | None = Field(None, description="Up to this time, to the full hour; now by default.")
    top: Annotated[int, *_limit(MAX_LIMIT)] | None = Field(
        None, description="Only this many lines, those with the most CPU hours; the rest in one."
    )
    user: Words = Field((), description="Only these users.")
    account: Words = Field((), description="Only these accounts.")
    partition: Words = Field((), description="Only these partitions.")
    qos: Words = Field((), description="Only these QOS.")
    cluster: Words = Field((), description="Only these clusters.")


class JobQuery(Parameters):
    """`jobs/{job_id}`."""

    cluster: Words = Field((), description="Only these clusters.")
    limit: Annotated[int, *_limit(MAX_ATTEMPTS)] = Field(20, description="At most this many attempts.")
    cursor: Cursor | None = Field(None, description="`next` of the page before.")
    fields: JobFields = Field((), description="Only these fields.")


class ExportQuery(Filters):
    """`export`."""

    fields: RecordFields = Field((), description="Only these fields.")


class EventsQuery(Parameters):
    """`events`."""

    after: Annotated[str, WithJsonSchema({"type": "string", "format": "place"})] = Field(
        "now", description="`next` of the answer before; `now`, `oldest`, or, with a token for all, a `seq`."
    )
    wait: Annotated[
        float, BeforeValidator(_wait), WithJsonSchema({"type": "string", "format": "duration-60s"})
    ] = Field(0.0, description="Wait up to this long for an event if there is none, such as `30s`.")
    limit: Annotated[int, *_limit(MAX_LIMIT)] = Field(100, description="At most this many.")


def pairs(query: bytes) -> list[tuple[str, str]]:
    """Return what stands behind the question mark of an address, names and values, as `parse_qsl` does.

    That unquotes all of it twice over; of most questions a word or two is quoted.
    """
    parts = (part.partition("=") for part in query.decode("latin-1").split("&") if part)
    return [(_unquoted(name), _unquoted(value)) for name, _, value in parts]


def _unquoted(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


@cache
def _lists(model: type[Parameters]) -> frozenset[str]:
    """Return the names of the parameters that take several values."""
    return frozenset(info.alias or name for name, info in model.model_fields.items() if info.default == ())


def read(model: type[P], pairs: Iterable[tuple[str, str]]) -> P:
    """Check what stands in an address.

    Raises:
        ProblemError: A parameter is unknown, given twice or wrong; it is named.
    """
    values: dict[str, str] = {}
    lists = _lists(model)
    for name, value in pairs:
        if name in values and name not in lists:
            raise ProblemError(400, f"{_short(name)}: is given twice", parameter=_short(name))
        values[name] = f"{values[name]},{value}" if name in values else value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        message = fault["msg"].removeprefix("Value error, ")
        name = str(fault["loc"][0]) if fault["loc"] else message.partition(":")[0]
        if not fault["loc"]:
            message = message.partition(": ")[2]
        elif fault["type"] == "extra_forbidden":
            message = "there is no such parameter here"
        elif fault["type"] == "missing":
            message = "must be given"
        raise ProblemError(400, f"{_short(name)}: {_short(message, 300)}", parameter=_short(name)) from None


def job_id_of(text: str) -> str:
    """Check a job id in a path.

    Raises:
        ProblemError: It is none.
    """
    if not is_job_id(text):
        raise ProblemError(400, f"job_id: {NO_JOB_ID}", parameter="job_id")
    return text


def node_of(text: str) -> str:
    """Check a node's name in a path.

    Raises:
        ProblemError: It is none.
    """
    if len(text) > MAX_WORD:
        raise ProblemError(400, f"node: must have 1 to {MAX_WORD} characters", parameter="node")
    return text


def _short(text: str, most: int = 64) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
