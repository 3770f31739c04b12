"""Events as a sink writes them: shaped, hidden and formatted as its options say, and never longer than they say.

The bytes of an event are the same each time as long as options and key are: all they are made of comes from the
store. A file's last line that a crash cut off can therefore be completed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import orjson

from slurmwatchd.model import formats
from slurmwatchd.model.records import Event
from slurmwatchd.model.shortening import shortened
from slurmwatchd.model.tuples import maker
from slurmwatchd.sinks.credentials import read_credential
from slurmwatchd.sinks.forms import cloudevents, ecs, jobcomp
from slurmwatchd.sinks.forms.glance import glance
from slurmwatchd.sinks.forms.options import KEPT, FormOptions
from slurmwatchd.sinks.forms.pseudonyms import KEY_BYTES, Pseudonyms
from slurmwatchd.sinks.forms.tres import listed
from slurmwatchd.telemetry.log import get_logger

_UNLIMITED = 1 << 62
_LEAST = 4096
"""No line is cut to less, whatever a receiver takes."""

_TELLING = ("user", "uid", "work_dir", "submit_line", "std_in", "std_out", "std_err")
"""Fields that name a job's user."""

_RENDER: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "flat": lambda fields: fields,
    "cloudevents": cloudevents.rendered,
    "ecs": ecs.rendered,
    "jobcomp": jobcomp.rendered,
}

_log = get_logger(__name__)


class WrittenEvent(NamedTuple):
    """An event as it is written.

    Attributes:
        id: The event's.
        line: The bytes, a line end behind them.
        shaped: Its flat fields, as far as they are for the receiver; None where the line has them as they are.
    """

    id: str
    line: bytes
    shaped: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its flat fields; read each time they are asked for, which few do."""
        if self.shaped is not None:
            return self.shaped
        fields: dict[str, Any] = orjson.loads(self.line)
        return fields

    def tokens(self, names: Iterable[str]) -> tuple[bytes, ...]:
        """Return some of its flat fields as JSON, empty for what it has not: cheaper than `fields`.

        Args:
            names: Some of `glance.GLANCED`.
        """
        line, fields = self.line, self.shaped
        if fields is None:
            return tuple([glance(name)(line) for name in names])
        return tuple([orjson.dumps(fields[name]) if fields.get(name) is not None else b"" for name in names])


_WRITTEN = maker(WrittenEvent)


class EventForm:
    """How the events of one sink look."""

    def __init__(self, sink: str, options: FormOptions) -> None:
        """Take the options; nothing is read yet."""
        self._sink = sink
        self._options = options
        self._render = _RENDER[options.format]
        self._is_list = options.tres == "list" and options.format != "jobcomp"
        self._kept = frozenset(options.fields) | KEPT if options.fields else None
        self._dropped = frozenset(options.drop_fields)
        if options.format == "jobcomp":
            self._kept = jobcomp.USES if self._kept is None else jobcomp.USES & self._kept
        if self._dropped or options.pseudonymise:
            self._dropped |= {"raw"}
        self._hidden: Mapping[str, Callable[[object], object]] = {}

    @property
    def _is_plain(self) -> bool:
        is_whole = self._kept is None and not self._dropped
        return self._options.format == "flat" and is_whole and not self._is_list

    def prepare(self) -> None:
        """Read the key of the pseudonyms; runs in a worker thread, at the first write if not before.

        Raises:
            SinkError: It cannot be read, or is too short.
        """
        names = self._options.pseudonymise
        if not names:
            return
        pseudonyms = Pseudonyms(
            read_credential("pseudonym_key_file", self._options.pseudonym_key_file, least_bytes=KEY_BYTES)
        )
        self._hidden = {name: pseudonyms.of(name) for name in names}
        telling = [name for name in _TELLING if name not in names and self._keeps(name)]
        if telling and not {"user", "uid"}.isdisjoint(names):
            fields = ", ".join(telling)
            _log.warning("other fields may still show whose job it is", sink=self._sink, fields=fields)

    def lines(self, events: Sequence[Event]) -> list[bytes]:
        """Write events, each with a line end."""
        if self._is_plain:
            return formats.flat_lines(events, max_line_bytes=self._options.max_line_bytes)
        return [written.line for written in self.written(events)]

    def written(self, events: Sequence[Event], *, max_bytes: int = _UNLIMITED) -> list[WrittenEvent]:
        """Write events, and give the fields besides, for subjects and keys.

        Args:
            events: What to write.
            max_bytes: What the receiver takes, the line end included; less than `max_line_bytes` counts.
        """
        limit = min(self._options.max_line_bytes, max(max_bytes, _LEAST))
        if self._is_plain:
            lines = formats.flat_lines(events, max_line_bytes=limit)
            return list(map(_WRITTEN, zip([event.id for event in events], lines, repeat(None), strict=False)))
        if self._options.pseudonymise and not self._hidden:
            # A sink need not have prepared: what is to be hidden is never written as it is.
            self.prepare()
        lines = formats.flat_lines(events, max_line_bytes=_UNLIMITED)
        return [self._written(event.id, line, limit) for event, line in zip(events, lines, strict=True)]

    def _written(self, identity: str, flat: bytes, limit: int) -> WrittenEvent:
        fields = self._shaped(orjson.loads(flat))
        line = self._line(fields)
        room = limit
        while len(line) > limit:
            # The flat line is cut until what is made of it fits.
            whole = orjson.dumps(fields) + b"\n"
            room = min(room, len(whole) - (len(line) - limit))
            cut = shortened(whole, room) if room >= 1 else whole
            if len(cut) >= len(whole):
                break
            fields = orjson.loads(cut)
            line = self._line(fields)
        return WrittenEvent(identity, line, fields)

    def _line(self, fields: Mapping[str, Any]) -> bytes:
        return orjson.dumps(self._render(listed(fields) if self._is_list else fields)) + b"\n"

    def _shaped(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Leave out and hide what is not for the receiver, what it was before a change included."""
        if self._kept is None and not self._dropped:
            return fields
        shaped: dict[str, Any] = {
            name: self._hidden[name](value) if name in self._hidden else value
            for name, value in fields.items()
            if self._keeps(name)
        }
        if "changed" in shaped:
            shaped["changed"] = {
                name: list(map(self._hidden[name], pair)) if name in self._hidden else pair
                for name, pair in shaped["changed"].items()
                if self._keeps(name)
            }
        return shaped

    def _keeps(self, name: str) -> bool:
        return name not in self._dropped and (self._kept is None or name in self._kept)
