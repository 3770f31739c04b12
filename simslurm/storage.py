"""The writing end of the simulated database: transactions, counters, and values as the tables hold them."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .jobids import task_mask
from .rows import stored
from .schema import JOB_BYTES, JOB_COLUMNS, STATES, STEP_BYTES, STEP_COLUMNS, connect
from .versions import release_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Self

_KEY_COUNTER = ("", "key")
_JOB_NAMES = frozenset(JOB_COLUMNS)
_STEP_NAMES = frozenset((*STEP_COLUMNS, "max_rss", "disk_read", "disk_write", "cpu_milliseconds"))
_TRES_NAMES = frozenset(("tres_req", "tres_alloc"))


class Storage:
    """One SQLite file that many processes share.

    Every method is a transaction of its own, or part of the one `batch()` holds open. Threads may
    share one object.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open an existing database; `create` makes one.

        Raises:
            sqlite3.OperationalError: There is no such file.
        """
        self.path = Path(path)
        self._db = connect(str(self.path))
        self._lock = threading.RLock()
        self._depth = 0
        # Within one batch no one else writes, so what was read once stays true until its end.
        self._settings: dict[str, str] = {}
        self._counters: dict[tuple[str, str], int] = {}
        self._seen_users: set[bytes] = set()
        self._qos: dict[bytes, int] = {}
        self._first_key = 0
        self._cluster_ids: dict[str, int] = {}
        self._tres = {f"{kind}/{name}" if name else kind: number for number, kind, name in self._tres_rows()}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        """Give the cluster itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make one transaction of everything inside: faster, and seen all at once or not at all."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if outermost:
                    self._write_counters()
                    self._db.execute("COMMIT")
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1
                if outermost:
                    self._settings.clear()
                    self._counters.clear()
                    self._seen_users.clear()
                    self._qos.clear()

    def config(self, name: str) -> str:
        """Read one setting."""
        if name in self._settings:
            return self._settings[name]
        row = self._execute("SELECT value FROM config WHERE name = ?", (name,)).fetchone()
        value = "" if row is None else str(row[0].decode())
        if self._depth:
            self._settings[name] = value
        return value

    def now(self) -> int:
        """Return the cluster's time: the real one, or what `set_now` said."""
        return int(float(self.config("now") or time.time()))

    def take_number(self, counter: str) -> int:
        """Take the next number of the local cluster's counter."""
        return self._next(self.config("cluster"), counter)

    def take_db_index(self, submit: int) -> str:
        """Take the next DBIndex of the local cluster."""
        return self._db_index(self.config("cluster"), submit)

    def take_key(self) -> int:
        """Take the next key of the job table."""
        if _KEY_COUNTER not in self._counters:
            row = self._db.execute("SELECT coalesce(max(key), 0) + 1 FROM jobs").fetchone()
            self._counters[_KEY_COUNTER] = row[0]
            self._first_key = row[0]
        self._counters[_KEY_COUNTER] += 1
        return self._counters[_KEY_COUNTER] - 1

    def insert_rows(self, jobs: Iterable[tuple[Any, ...]], steps: Iterable[tuple[Any, ...]]) -> None:
        """Write whole rows, in the order of the columns; the keys are the ones just taken."""
        keyed = ((self._first_key + number, *job) for number, job in enumerate(jobs))
        marks = ", ".join("?" * (len(JOB_COLUMNS) + 1))
        names = quoted(("key", *JOB_COLUMNS))
        self._db.executemany(f"INSERT INTO jobs ({names}) VALUES ({marks})", keyed)  # noqa: S608
        marks = ", ".join("?" * len(STEP_COLUMNS))
        names = quoted(STEP_COLUMNS)
        self._db.executemany(f"INSERT INTO steps ({names}) VALUES ({marks})", steps)  # noqa: S608

    def _set(self, name: str, value: object) -> None:
        self._settings.pop(name, None)
        self._execute("INSERT OR REPLACE INTO config VALUES (?, ?)", (name, str(value)))

    def _execute(self, sql: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        with self._lock:
            return self._db.execute(sql, tuple(values))

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO {table} ({quoted(row)}) VALUES ({marks})"  # noqa: S608 - names are checked
        return int(self._db.execute(sql, list(row.values())).lastrowid or 0)

    def _write_counters(self) -> None:
        self._counters.pop(_KEY_COUNTER, None)
        for (cluster, column), value in self._counters.items():
            self._db.execute(f"UPDATE clusters SET {column} = ? WHERE name = ?", (value, cluster))  # noqa: S608

    def _tres_rows(self) -> list[tuple[int, str, str]]:
        rows = self._db.execute("SELECT id, type, name FROM tres")
        return [(number, kind.decode(), name.decode()) for number, kind, name in rows]

    def _next(self, cluster: str, column: str) -> int:
        """Take the next number of a cluster's counter, inside a batch."""
        if (cluster, column) not in self._counters:
            sql = f"SELECT {column} FROM clusters WHERE name = ?"  # noqa: S608 - our own names
            row = self._db.execute(sql, (cluster,)).fetchone()
            if row is None:
                raise KeyError(cluster)
            self._counters[cluster, column] = row[0]
        number = self._counters[cluster, column]
        self._counters[cluster, column] += 1
        return number

    def _db_index(self, cluster: str, submit: int) -> str:
        """Number a row: 1, 2, 3 ... until 24.05, a SLUID since 24.11."""
        number = self._next(cluster, "next_db_inx")
        if release_of(self.config("version")) < (24, 11):
            return str(number)
        cluster_id = self._cluster_ids.get(cluster)
        if cluster_id is None:
            row = self._db.execute("SELECT cluster_id FROM clusters WHERE name = ?", (cluster,)).fetchone()
            cluster_id = self._cluster_ids[cluster] = int(row[0])
        return str(cluster_id << 52 | (submit * 1000 + number // 1024 % 1000) << 10 | number % 1024)

    def _tres_ids(self, text: str) -> str:
        """Write TRES by id, whichever way they were given; new names get ids."""
        if not text or text.replace("=", "").replace(",", "").isdigit():
            return text
        entries = []
        for entry in filter(None, text.split(",")):
            name, _, count = entry.partition("=")
            if not name.isdigit():
                if name not in self._tres:
                    kind, _, rest = name.partition("/")
                    number = max(self._tres.values()) + 1
                    self._db.execute("INSERT INTO tres VALUES (?, ?, ?)", (number, kind, rest))
                    self._tres[name] = number
                name = str(self._tres[name])
            entries.append(f"{name}={count}")
        return ",".join(entries)

    def _qos_id(self, name: bytes) -> int:
        if name not in self._qos:
            self._db.execute("INSERT OR IGNORE INTO qos (name) VALUES (?)", (name,))
            self._qos[name] = self._db.execute("SELECT id FROM qos WHERE name = ?", (name,)).fetchone()[0]
        return self._qos[name]

    def _job_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        row = dict(given)
        if "qos" in row:
            row["id_qos"] = self._qos_id(stored(row.pop("qos")) or b"")
        if "array_tasks" in row:
            row["array_task_str"] = task_mask(row.pop("array_tasks"))
        return self._values(row, _JOB_NAMES, JOB_BYTES)

    def _step_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return self._values(dict(given), _STEP_NAMES, STEP_BYTES)

    def _values(self, row: dict[str, Any], known: frozenset[str], blobs: frozenset[str]) -> dict[str, Any]:
        """Check names and turn values into what the table holds."""
        for name, value in row.items():
            if name not in known:
                raise TypeError(f"no such column: {name}")
            if name in blobs:
                row[name] = stored(value)
            elif name in _TRES_NAMES:
                row[name] = self._tres_ids(value)
            elif name == "state" and isinstance(value, str):
                row[name] = STATES[value]
            elif name in {"job_db_inx", "mem_req", "original_sluid"} and value is not None:
                row[name] = str(value)
        return row

    def _remember_user(self, row: Mapping[str, Any]) -> None:
        user: bytes | None = row.get("user")
        if user and user not in self._seen_users:
            self._seen_users.add(user)
            uid = row.get("id_user", 0)
            self._db.execute("INSERT OR IGNORE INTO users VALUES (?, ?, 'None')", (os.fsdecode(user), uid))


def quoted(names: Iterable[str]) -> str:
    """Write column names for SQL."""
    return ", ".join(f'"{name}"' for name in names)
