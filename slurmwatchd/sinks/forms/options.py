"""How events look: the options of every sink that writes them."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from slurmwatchd.config.settings import Texts
from slurmwatchd.model.event_fields import HEAD, RECORD, REQUIRED, TAIL
from slurmwatchd.sinks.base import EVENTS, EventName, SinkOptions
from slurmwatchd.sinks.forms.pseudonyms import HIDEABLE

EventFormat = Literal["flat", "cloudevents", "ecs", "jobcomp"]

KEPT = frozenset({*REQUIRED, "time", "usage", "changed", "nodes_omitted", "truncated"})
"""What every event keeps: which one it is, and of what kind."""

_FIELDS = frozenset(field.name for field in (*HEAD, *RECORD, *TAIL))


class FormOptions(SinkOptions):
    """A sink's own options are added by a subclass."""

    format: EventFormat = "flat"
    """How an event is written, see [events](events.md): as fields side by side, as a CloudEvent around those, in
    the fields of the Elastic Common Schema, or as Slurm's own jobcomp/kafka and jobcomp/elasticsearch write an
    ended job (`job_ended` only)."""
    max_line_bytes: int = Field(30_000, ge=4096, le=16_777_216)
    """If a line is longer, the daemon cuts its longest texts (`truncated`) and, if that is not enough, omits its
    node names (`nodes_omitted`)."""
    fields: Texts = ()
    """Only these fields of the flat format, and those that every event keeps; none: all."""
    drop_fields: Texts = ()
    """All fields but these. `raw`, which may hold the text of any of them, goes too."""
    tres: Literal["object", "list"] = "object"
    """How `req_tres` and `alloc_tres` stand: as an object, or as a list of `{"type", "name", "count"}` for index
    engines that take the dots and slashes of a key for a path."""
    pseudonymise: Texts = ()
    """Fields whose values are hidden: the same value is the same pseudonym, in every event and on every machine
    with the same key. `raw` is left out. A user's name may also stand in `work_dir`, `submit_line` and other
    texts, and `uid` is as good as a name: name or drop those too."""
    pseudonym_key_file: str = ""
    """A file with the secret that pseudonyms are made with, at least 16 bytes; a name that is no absolute path is
    that of a credential of the unit (`LoadCredential=`)."""

    @field_validator("fields", "drop_fields")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in _FIELDS]:
            raise ValueError(f"{', '.join(unknown)}: there is no such field; docs/events.md lists them")
        return value

    @field_validator("drop_fields")
    @classmethod
    def _droppable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if kept := [name for name in value if name in KEPT]:
            raise ValueError(f"{', '.join(kept)}: every event keeps it")
        return value

    @field_validator("pseudonymise")
    @classmethod
    def _hideable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in HIDEABLE]:
            raise ValueError(f"{', '.join(unknown)}: can be hidden are {', '.join(sorted(HIDEABLE))}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "FormOptions":
        if self.fields and self.drop_fields:
            raise ValueError("fields and drop_fields cannot both be given")
        if self.pseudonymise and not self.pseudonym_key_file:
            raise ValueError("pseudonymise needs a key: name its file in pseudonym_key_file")
        if self.format == "jobcomp" and self.events not in {EVENTS, ("job_ended",)}:
            raise ValueError('format = "jobcomp" knows ended jobs only: events must be ["job_ended"]')
        return self

    def wanted_events(self) -> tuple[EventName, ...]:
        """Return which events are for this sink: of jobcomp there is one a job."""
        return ("job_ended",) if self.format == "jobcomp" else self.events
