"""Jobs as a dictionary: what sacct says of them, from sacct, a text, a cache file or the daemon's store."""

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from slurmwatchd.connector import cache_files, dataframe, from_sacct, from_store, sacct_text
from slurmwatchd.connector.from_sacct import FoundTasks
from slurmwatchd.connector.recast import RECAST, SacctFields, SlurmEncoder, recast, uncast
from slurmwatchd.connector.tasks import ID_COLUMNS, arranged
from slurmwatchd.errors import CommandError

if TYPE_CHECKING:
    import pandas as pd

    from slurmwatchd.connector.store import Store

DEFAULT_KEYS = ("jobidraw", "start", "end")

PathLike = str | os.PathLike[str]


class Slurm(dict[str, SacctFields]):
    """Task ids (`jobid`, `jobid.<step>`, `jobid.batch`) to what sacct says of them.

    It fills itself from the first of these that is given: a text, a cache file, the store, sacct. The keys of a
    task are sacct's fields in lower case; values are text, except those that the recast table knows: `start` and
    `end` are datetimes (None for a time that is not, or not yet), `nodelist` is a set of names.

    Of a job that was requeued it holds the newest attempt; the others are in `earlier`.

    Attributes:
        jobid: The job asked for, as text, or None.
        cache_file: Where it was, or is to be, read from.
        from_string: The text it was read from.
        silent_errors: Whether a sacct that fails is a warning and no error.
        tz: The zone of its times; None: naive ones, in local time.
        earlier: Job id to the attempts before the newest, the oldest first: each a dictionary as this one. A text
            holds them; JSON does not.
    """

    def __init__(
        self,
        jobid: str | int | None = None,
        cache_file: PathLike | None = None,
        from_string: str | None = None,
        silent_errors: bool = False,  # noqa: FBT001, FBT002 - the original's signature
        *,
        tz: tzinfo | None = None,
        store: "Store | PathLike | None" = None,
    ) -> None:
        """Load basic information on a job: start, end and nodes of it and its steps.

        Args:
            jobid: As sacct's `-j` takes it: `12`, `12_3`, `12+1`, or several with commas.
            cache_file: A file that `save_cache` or sacct wrote, as JSON or text, packed by gzip or not.
            from_string: What sacct or `to_json` printed.
            silent_errors: Warn, and stay empty, where sacct fails.
            tz: Make times aware ones of this zone, to the second also when the clocks go back.
            store: Ask the daemon's store and not sacct; see `connector.open`.

        Raises:
            ValueError: Nothing is given to load from, or it is broken JSON.
            OSError: The cache file cannot be read.
            SacctError: sacct failed, or its answer or the text is not whole.
            SacctNotFoundError: There is no sacct.
            StoreError: The store cannot be read.
        """
        super().__init__()
        self.jobid = None if jobid is None else str(jobid)
        self.cache_file = cache_file
        self.from_string = from_string
        self.silent_errors = silent_errors
        self.tz = tz
        self.earlier: dict[str, list[dict[str, SacctFields]]] = {}
        self._store = store
        self.load()

    def load(self, cache_file: PathLike | None = None) -> None:
        """Load from what was given: text, cache file, store or sacct; see `Slurm`."""
        if cache_file is not None:
            self.cache_file = cache_file
        if self.from_string is not None:
            self.load_str(self.from_string)
        elif self.cache_file:
            self.load_cache()
        elif self.jobid is None:
            raise ValueError("jobid, cache_file or from_string must be given")
        else:
            self.load_keys(*DEFAULT_KEYS, "nodelist")

    def load_keys(self, *keys: str) -> Self:
        """Ask sacct, or the store, for some fields and add them to what is here.

        Args:
            *keys: As `sacct --format` takes them.

        Raises:
            ValueError: There is no jobid, or the store does not have such a field.
            SacctError: sacct failed, for instance because it has no such field.
            SacctNotFoundError: There is no sacct.
        """
        if self.jobid is None:
            raise ValueError("no jobid given")
        try:
            if self._store is not None:
                answer = from_store.of_jobs(self._store, self.jobid, keys)
            else:
                answer = from_sacct.of_jobs(self.jobid, keys)
        except CommandError as error:
            if not self.silent_errors:
                raise
            warnings.warn(str(error), stacklevel=2)
            return self
        self._add(answer)
        return self

    def load_cache(self, cache_file: PathLike | None = None) -> None:
        """Load from a file: JSON or sacct's text, packed or not, whatever its name says.

        Raises:
            ValueError: No file is given, or it is broken JSON.
            OSError: It cannot be read.
            SacctOutputError: A row of it does not fit its header.
        """
        if cache_file is not None:
            self.cache_file = cache_file
        if not self.cache_file:
            raise ValueError("no cache_file given")
        self.load_str(cache_files.read(Path(self.cache_file)))

    def load_str(self, input_str: str) -> None:
        """Load from JSON or from sacct's text; a task that is here already is replaced.

        Raises:
            ValueError: It is broken JSON.
            SacctOutputError: A row does not fit the header.
        """
        input_str = input_str.removeprefix("\ufeff")
        if input_str.lstrip().startswith("{"):
            self.from_json(input_str)
            return
        names, rows = sacct_text.read_rows(input_str)
        current, earlier = arranged(names, [dict(row) for row in rows])
        self.update(current)
        self.earlier.update(earlier)
        self._recast_keys()

    def from_json(self, json_string: str) -> None:
        """Load from what `to_json` wrote, however it was indented.

        Raises:
            ValueError: It is no JSON object of objects.
        """
        decoded = json.loads(json_string)
        if not isinstance(decoded, dict) or not all(isinstance(row, dict) for row in decoded.values()):
            raise ValueError("not a JSON object of task ids to objects")
        for row in decoded.values():
            for key in row.keys() & RECAST.keys():
                if isinstance(row[key], list):
                    row[key] = set(row[key])
        self.update(decoded)
        self._recast_keys()

    def get_job_ids(self) -> list[str]:
        """Return the ids of the jobs in here, without those of their steps."""
        return [task for task in self if "." not in task]

    def get_job_nodes(self) -> set[str]:
        """Return the nodes of all tasks in here.

        Raises:
            NodelistError: The list of one is no node list.
        """
        nodes: set[str] = set()
        for row in self.values():
            value = row.get("nodelist") or ()
            nodes |= RECAST["nodelist"][0](value) if isinstance(value, str) else set(value)
        return nodes

    def get_job_startend(self) -> tuple[Any, Any]:
        """Return the earliest start and the latest end of all tasks in here.

        Returns:
            Of the type they are stored in. The start is None where nothing started, the end where anything that
            started has not ended.
        """
        started = [row for row in self.values() if row.get("start") is not None]
        ends = [row.get("end") for row in self.values() if row.get("end") is not None]
        running = any(row.get("end") is None for row in started)
        first = min((row["start"] for row in started), default=None)
        return first, None if running else max(cast("list[Any]", ends), default=None)

    def to_json(self, **kwargs: Any) -> str:  # noqa: ANN401 - the arguments of json.dumps
        """Return the tasks as JSON: sets as lists, times as ISO 8601.

        Args:
            **kwargs: For `json.dumps`.
        """
        rows = {task: {key: _plain(key, value) for key, value in row.items()} for task, row in self.items()}
        return json.dumps(rows, **{"cls": SlurmEncoder, **kwargs})

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a pandas DataFrame: a row a task, sacct's columns, `start` and `end` as dates, nodes compact.

        Raises:
            ImportError: pandas is not there: `pip install slurmwatchd[dataframe]`.
        """
        columns = self._columns(list(self.values()))
        return dataframe.made(columns, {key: [row.get(key) for row in self.values()] for key in ("start", "end")})

    def save_cache(self, output_file: PathLike | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        """Write a file that `load_cache` reads.

        The name decides: `.json` is JSON, anything else sacct's text, and `.gz` behind either packs it. A file is
        replaced as a whole, or not at all.

        Args:
            output_file: Where to; None: JSON to stdout.
            **kwargs: For `json.dumps`.

        Raises:
            OSError: It cannot be written.
        """
        if output_file is None:
            sys.stdout.write(self.to_json(**kwargs))
            return
        path = Path(output_file)
        cache_files.write(path, self.to_json(**kwargs) if cache_files.is_json(path) else str(self))

    def __repr__(self) -> str:
        """Return sacct's own form, which `load_str` reads back.

        That is `sacct -P`; where a value holds a line end or `|` it is `sacct -p` with another delimiter. A
        field that a task does not have is empty.
        """
        rows = [
            row
            for jobid, newest in self._by_job().items()
            for attempt in (*self.earlier.get(jobid, ()), newest)
            for row in attempt.values()
        ]
        columns = self._columns(rows)
        return sacct_text.write_rows(list(columns), zip(*columns.values(), strict=True)) if columns else ""

    __str__ = __repr__

    def _recast_keys(self, *target_keys: str) -> None:
        """Turn texts into values, as the recast table says; what is no text stays as it is.

        Args:
            *target_keys: Only these fields; none: all.
        """
        rows = list(self.values())
        rows += [row for attempts in self.earlier.values() for attempt in attempts for row in attempt.values()]
        recast(rows, target_keys, zone=self.tz)

    def _add(self, answer: FoundTasks) -> None:
        """Take an answer in: fields that are here already are replaced, others stay."""
        # Tasks that are here already are met again under the same ids.
        by = next((ID_COLUMNS[0] for row in self.values() if ID_COLUMNS[0] in row), None)
        current, earlier = from_sacct.tasks(answer, by=by, zone=self.tz)
        _merge(self, current)
        for jobid, attempts in earlier.items():
            known = self.earlier.setdefault(jobid, [])
            known += [{} for _ in attempts[len(known) :]]
            for have, attempt in zip(known, attempts, strict=False):
                _merge(have, attempt)
        self._recast_keys()

    def _by_job(self) -> dict[str, dict[str, SacctFields]]:
        jobs: dict[str, dict[str, SacctFields]] = {}
        for task, row in self.items():
            jobs.setdefault(task.partition(".")[0], {})[task] = row
        return jobs

    def _columns(self, rows: Sequence[SacctFields]) -> dict[str, list[str]]:
        """Return each field's values as text, the task id first."""
        keys = dict.fromkeys(key for row in rows for key in row)
        first = [key for key in ID_COLUMNS if key in keys][:1]
        return {key: uncast(rows, key) for key in dict.fromkeys([*first, *keys])}


def _merge(into: dict[str, SacctFields], rows: Mapping[str, SacctFields]) -> None:
    for task, row in rows.items():
        into.setdefault(task, {}).update(row)


def _plain(key: str, value: Any) -> Any:  # noqa: ANN401 - any value
    """Return what JSON can hold: values of the caller's own types go through the recast table."""
    if key in RECAST and not isinstance(value, str | int | float | list | set | frozenset | datetime | None):
        return RECAST[key][1](value)
    return value
