"""What a file of JSON lines already holds, for a store that does not know: the file, and what it was renamed to.

Lines of any format count that begin with an `id`; where one was cut off, or is somebody else's, it is passed over.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from slurmwatchd.model.clock import epoch
from slurmwatchd.telemetry.log import get_logger

_KINDS: dict[str, Callable[[Path], AbstractContextManager[Iterable[bytes]]]] = {
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
}
_MAX_INTEGER = (1 << 63) - 1
"""SQLite's."""

_UNREADABLE = {".zst", ".lz4", ".lzo", ".Z", ".zip"}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One event in a file.

    Attributes:
        id: Its sixteen bytes.
        seq: Its position in the store that wrote it; 0 where the format does not tell.
        observed: Epoch seconds; None where the format does not tell.
        attempt: Cluster, job_id_raw and submit; None where the format does not tell.
        revision: Which revision of the attempt it tells of.
    """

    id: bytes
    seq: int
    observed: int | None
    attempt: tuple[str, int, int] | None
    revision: int


def files(path: Path, others: Collection[Path]) -> list[Path]:
    """Return a file and what it was renamed to (`jobs.jsonl.1`, `jobs.jsonl-20261123.gz`), oldest first.

    Args:
        path: The file's name while it is written.
        others: Files of other sinks, which may be called alike.
    """
    name = "".join(f"[{c}]" if c in "*?[" else c for c in path.name)
    found = [
        (candidate.stat().st_mtime_ns, candidate)
        for candidate in path.parent.glob(f"{name}[.-][0-9]*")
        if candidate.is_file() and candidate not in others
    ]
    return [candidate for _, candidate in sorted(found)] + ([path] if path.is_file() else [])


def lines(path: Path, others: Collection[Path] = ()) -> Iterator[Line]:
    """Read every event that a file and its renamed predecessors hold; a line's length at a time is in memory.

    Raises:
        OSError: A file cannot be read.
    """
    for file in files(path, others):
        if file.suffix in _UNREADABLE:
            _log.warning("compression not supported, events in the file may be delivered again", path=str(file))
            continue
        try:
            with _KINDS.get(file.suffix, _plain)(file) as text:
                for line in text:
                    event = _parsed(line)
                    if event is not None:
                        yield event
        except (EOFError, lzma.LZMAError, zlib.error) as error:
            _warn_of_damage(file, error)
        except OSError as error:
            # Of gzip and bz2 that is also the error for what they cannot unpack; it has no number then.
            if error.errno is not None:
                error.filename = str(file)
                raise
            _warn_of_damage(file, error)


def _warn_of_damage(file: Path, error: Exception) -> None:
    _log.warning(
        "file damaged or truncated, events after that point may be delivered again",
        path=str(file),
        error=str(error),
    )


def _plain(path: Path) -> AbstractContextManager[Iterable[bytes]]:
    return path.open("rb")


def _parsed(line: bytes) -> Line | None:
    try:
        fields: dict[str, Any] = orjson.loads(line)
        identity = UUID(fields["id"]).bytes
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    observed = fields.get("observed")
    return Line(
        identity,
        _number(fields.get("seq")) or 0,
        epoch(observed) if isinstance(observed, str) else None,
        _attempt(fields),
        _number(fields.get("revision")) or 1,
    )


def _attempt(fields: dict[str, Any]) -> tuple[str, int, int] | None:
    cluster, job_id_raw, submit = fields.get("cluster"), _number(fields.get("job_id_raw")), fields.get("submit")
    if not isinstance(cluster, str) or job_id_raw is None or not isinstance(submit, str):
        return None
    moment = epoch(submit)
    return None if moment is None else (cluster, job_id_raw, moment)


def _number(value: object) -> int | None:
    """Return a number that a store can have; a line may be anybody's."""
    return value if isinstance(value, int) and 0 <= value <= _MAX_INTEGER else None
