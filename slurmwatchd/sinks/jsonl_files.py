"""What a file of JSON lines already holds, for a store that does not know: the file, and what it was renamed to.

Lines of any format count; where one was cut off, or is someone else's, it is passed over.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from slurmwatchd.config.file_stamps import FileIdentity, file_identity
from slurmwatchd.model.clock import epoch
from slurmwatchd.sinks.forms.reading import head_of
from slurmwatchd.sinks.rotated_files import DAMAGES, UnknownPackingError, is_damage, opened, rotated_names
from slurmwatchd.telemetry.log import get_logger

_MAX_INTEGER = (1 << 63) - 1
"""SQLite's."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event in a file.

    Attributes:
        id: Its sixteen bytes.
        seq: Its position in the store that wrote it; 0 where the format does not have it.
        observed: Epoch seconds; None where the format does not have it.
        attempt: Cluster, job_id_raw and submit; None where the format does not have it.
        revision: Which revision of the attempt it reports.
    """

    id: bytes
    seq: int
    observed: int | None
    attempt: tuple[str, int, int] | None
    revision: int


def lines(path: Path, others: Collection[Path] = ()) -> Iterator[EventLine]:
    """Read every event that a file and its renamed predecessors hold; a line's length at a time is in memory.

    They may be renamed meanwhile: each is read, and only once, under whatever name. What is packed meanwhile may
    be read twice.

    Raises:
        OSError: A file cannot be read.
    """
    read: set[FileIdentity] = set()
    while files := [file for file in _files(path, others) if file_identity(file) not in {*read, None}]:
        for file in files:
            yield from _events(file, read)


def _files(path: Path, others: Collection[Path]) -> list[Path]:
    """Return the names that the files have now, the oldest first."""
    return [*(file for _, file in rotated_names(path, others)), *([path] if path.is_file() else [])]


def _events(file: Path, read: set[FileIdentity]) -> Iterator[EventLine]:
    """Read one file unless it was read under another name; note that it was.

    Raises:
        OSError: It cannot be read.
    """
    named = file_identity(file)
    try:
        with opened(file) as text:
            named = file_identity(text.fileno())
            if named in read:
                return
            for line in text:
                event = line_of(line)
                if event is not None:
                    yield event
    except FileNotFoundError:
        # It has another name now, and is found under that.
        return
    except UnknownPackingError:
        _log.warning("compression not supported, events in the file may be delivered again", path=str(file))
    except DAMAGES as error:
        if not is_damage(error):
            error.filename = str(file)  # type: ignore[union-attr]
            raise
        _log.warning(
            "file damaged or truncated, events after that point may be delivered again",
            path=str(file),
            error=str(error),
        )
    if named is not None:
        read.add(named)


def line_of(line: bytes) -> EventLine | None:
    """Read what identifies the event of a line, or of a message's body; None where it is none of ours."""
    try:
        fields = head_of(orjson.loads(line))
        identity = UUID(fields["id"]).bytes
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    observed = fields.get("observed")
    return EventLine(
        identity,
        _number(fields.get("seq")) or 0,
        epoch(observed) if isinstance(observed, str) else None,
        _attempt(fields),
        _number(fields.get("revision")) or 1,
    )


def _attempt(fields: Mapping[str, Any]) -> tuple[str, int, int] | None:
    cluster, job_id_raw, submit = fields.get("cluster"), _number(fields.get("job_id_raw")), fields.get("submit")
    if not isinstance(cluster, str) or job_id_raw is None or not isinstance(submit, str):
        return None
    moment = epoch(submit)
    return None if moment is None else (cluster, job_id_raw, moment)


def _number(value: object) -> int | None:
    """Return a number that a store can have; a line may be anybody's."""
    return value if isinstance(value, int) and 0 <= value <= _MAX_INTEGER else None
