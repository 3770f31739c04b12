"""The filters that `jobs` and `export` share, the forms of output, and the question they make."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import click

from slurmwatchd.cli import tables
from slurmwatchd.cli.store_access import MOMENT
from slurmwatchd.cli.tables import TableColumn, TableFormat
from slurmwatchd.cli.unread import note_unread, unread
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.job_states import state_of
from slurmwatchd.model.outcomes import Outcome
from slurmwatchd.store.read.query import Question
from slurmwatchd.store.read.reader import Record, StoreReader
from slurmwatchd.watcher.unread import Unread

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_COLUMNS = "job_id,user,account,partition,state,start,end,elapsed_seconds,node_list,name"
ARRAY_COLUMNS = "job_id,user,account,partition,attempts,outcomes,start,end,name"
DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000_000_000
"""More rows than a store has, and less than an integer of SQLite."""


class Words(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """Words with commas between them, at least one: a script's empty variable must not mean everything."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ANN401 - click's signature
        """Return the words."""
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in str(value).split(",") if word.strip())
        if not words:
            self.fail(f"{value!r} has no value", param, ctx)
        return words


WORDS = Words()


class AnswerShape(NamedTuple):
    """How an answer is to look.

    Attributes:
        columns: What of each record.
        chosen: Whether someone chose them.
        limit: The most rows; None: all.
    """

    form: TableFormat
    columns: tuple[TableColumn, ...]
    chosen: bool
    limit: int | None

    @property
    def with_nodes(self) -> bool:
        """Whether node names are wanted: a record has thousands, a table of them no one reads."""
        return any(column.name == "nodes" for column in self.columns) or (
            self.form is TableFormat.JSON and not self.chosen
        )


def filter_options(function: F) -> F:
    """Add the options that say which attempts."""
    options = (
        click.option("-u", "--user", "users", type=WORDS, default=(), help="Only these users."),
        click.option("-A", "--account", "accounts", type=WORDS, default=(), help="Only these accounts."),
        click.option("-p", "--partition", "partitions", type=WORDS, default=(), help="Only these partitions."),
        click.option(
            "-s", "--state", "states", type=WORDS, default=(), help="Only these states: FAILED,TIMEOUT or F,TO."
        ),
        click.option(
            "--outcome", "outcomes", type=WORDS, default=(), help="Only these outcomes: node_failure,failed."
        ),
        click.option("-q", "--qos", "qos", type=WORDS, default=(), help="Only these QOS."),
        click.option("-N", "--node", "node", help="Only on this node."),
        click.option("-M", "--cluster", "clusters", type=WORDS, default=(), help="Only these clusters."),
        click.option("-n", "--name", "name", metavar="GLOB", help="Only names that match, such as 'train-*'."),
        click.option(
            "-S", "--since", "since", type=MOMENT, help="Ended at or after this time: -7d, yesterday, a date."
        ),
        click.option("-E", "--until", "until", type=MOMENT, help="Ended at or before this time."),
        click.option("--from", "running_from", type=MOMENT, help="Running at this time, or started later."),
        click.option("--to", "running_until", type=MOMENT, help="Started at or before this time."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def shape_options(function: F) -> F:
    """Add the options that say how the answer looks."""
    options = (
        click.option("-o", "--columns", "columns", help=f"Fields of the record [default: {DEFAULT_COLUMNS}]."),
        click.option(
            "-l", "--limit", "limit", type=click.IntRange(0, MAX_LIMIT), default=DEFAULT_LIMIT, show_default=True,
            help="The maximum number of rows; 0: all.",
        ),
        click.option(
            "--json", "as_json", is_flag=True,
            help="A JSON object: jobs (whole records, or the columns), truncated, unread.",
        ),
        click.option("--csv", "as_csv", is_flag=True, help="CSV with a header."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def question_of(options: Mapping[str, Any]) -> Question:
    """Make the question that the filter options ask.

    Raises:
        click.UsageError: Nothing can be in such a stretch, or a state or an outcome is none.
    """
    since, until = options["since"], options["until"]
    begin, end = options["running_from"], options["running_until"]
    for first, last, names in ((since, until, "--since and --until"), (begin, end, "--from and --to")):
        if first is not None and last is not None and first > last:
            raise click.UsageError(f"{names}: the stretch ends before it begins", click.get_current_context())
    return Question(
        users=options["users"],
        accounts=options["accounts"],
        partitions=options["partitions"],
        states=tuple(state_named(word) for word in options["states"]),
        outcomes=tuple(map(outcome_named, options["outcomes"])),
        qos=options["qos"],
        node=options["node"],
        clusters=options["clusters"],
        name=options["name"],
        ended_from=since,
        ended_until=until,
        running_from=begin,
        running_until=end,
    )


def shape_of(
    options: Mapping[str, Any], default: str = DEFAULT_COLUMNS, known: Sequence[str] | None = None
) -> AnswerShape:
    """Read the options about form and columns.

    Args:
        options: What the command was given.
        default: The columns, where none were chosen.
        known: What `--columns` may name; None: what a record may have.

    Raises:
        click.UsageError: Both forms are asked for, or a column is no field.
    """
    if options["as_json"] and options["as_csv"]:
        raise click.UsageError("--json and --csv: choose one", click.get_current_context())
    form = TableFormat.JSON if options["as_json"] else TableFormat.CSV if options["as_csv"] else TableFormat.TABLE
    chosen = options["columns"]
    if chosen is None:
        columns = tuple(map(TableColumn, default.split(",")))
    else:
        columns = tuple(tables.fields(chosen, known_fields() if known is None else known))
    return AnswerShape(form, columns, chosen is not None, options["limit"] or None)


def known_fields() -> tuple[str, ...]:
    """Return what a record may have."""
    # Its many fields take a while to make, and what is asked for by default is known to be there.
    from slurmwatchd.model.records import JobRecord  # noqa: PLC0415

    return (*JobRecord._fields, "nodes", "usage", "steps")


def answer(store: StoreReader, question: Question, shape: AnswerShape) -> None:
    """Write what answers a question, and say on stderr what was left out or is not known."""
    limit = shape.limit
    ids = store.ids(question if limit is None else replace(question, limit=limit + 1))
    rows = store.fetched(ids if limit is None else ids[:limit], nodes=shape.with_nodes, usage=True)
    _write(rows, shape, question, unread(store, question), found=len(ids), kind="jobs")


def answer_arrays(store: StoreReader, question: Question, shape: AnswerShape) -> None:
    """Write the arrays whose attempts answer a question, and say on stderr what was left out or is not known."""
    found = store.arrays(question)
    shown = found[: shape.limit]
    rows = [
        {
            **{name: record.get(name) for name in ("cluster", "user", "account", "partition", "name")},
            "job_id": array.job_id,
            "attempts": sum(array.outcomes.values()),
            "outcomes": array.outcomes,
            "start": None if array.start is None else rfc3339(array.start),
            "end": None if array.end is None else rfc3339(array.end),
        }
        for array, record in zip(shown, store.fetched([array.newest for array in shown]), strict=True)
    ]
    _write(rows, shape, question, unread(store, question), found=len(found), kind="arrays")


def _write(
    rows: Iterable[Record],
    shape: AnswerShape,
    question: Question,
    stretches: Sequence[Unread],
    *,
    found: int,
    kind: str,
) -> None:
    """Write rows, and say on stderr what was left out or is not known.

    Args:
        rows: At most as many as `shape` allows.
        shape: How they are to look.
        question: What they answer.
        stretches: What of it the store cannot know.
        found: How many rows there are, at least one more than are written where some are left out.
        kind: What they are, for people.
    """
    is_cut = shape.limit is not None and found > shape.limit
    if shape.form is TableFormat.JSON:
        tables.write_jobs(rows, shape.columns, besides_jobs(stretches, truncated=is_cut), chosen=shape.chosen)
    else:
        tables.write(rows, shape.columns, shape.form, chosen=shape.chosen)
    if is_cut:
        click.echo(f"slurmwatchd: first {shape.limit} rows shown; --limit 0 shows all", err=True)
    elif not found and shape.form is TableFormat.TABLE:
        click.echo(f"slurmwatchd: no matching {kind}", err=True)
    note_unread(stretches, question, empty=not found)


def besides_jobs(stretches: Sequence[Unread], *, truncated: bool) -> dict[str, object]:
    """Return what `--json` has besides the jobs.

    Args:
        stretches: What of the answer the store cannot know.
        truncated: Whether a limit left jobs out.
    """
    return {"truncated": truncated, "unread": [stretch.on_wire() for stretch in stretches]}


def state_named(word: str) -> str:
    """Return the state that a value of `--state` means, in full.

    Raises:
        click.BadParameter: It means none.
    """
    try:
        return state_of(word)
    except ValueError as error:
        raise click.BadParameter(str(error), click.get_current_context(), param_hint="--state") from None


def outcome_named(word: str) -> str:
    """Return the outcome that a value of `--outcome` means.

    Raises:
        click.BadParameter: It means none.
    """
    lower = word.lower()
    if lower not in {outcome.value for outcome in Outcome}:
        known = ", ".join(outcome.value for outcome in Outcome)
        raise click.BadParameter(
            f"{word!r} is not one of {known}", click.get_current_context(), param_hint="--outcome"
        )
    return lower
