"""What is said of a field where it stands in a record: its meaning, its kind on the wire, its source in sacct.

`JobRecord`, `JobUsage` and `StepRecord` annotate each field with this. The layout of sacct's answers, the JSON
Schema, the schemas of other tools, the tables of docs/events.md, the columns of exported files and the connector's
texts all come from there.
"""

import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

Reading = Literal[
    "constraints", "count", "digits", "duration", "epoch", "exit code", "flags", "integer", "job id", "licenses",
    "minutes", "moment", "natural", "node list", "reason", "seconds", "sluid", "state", "text", "tres",
]  # fmt: skip
"""How sacct spells a value; `sources/sacct/fields.py` has what reads each."""


class SacctField(NamedTuple):
    """Which of sacct's fields a field comes from.

    Fields that stand beside one another and name the same field of sacct are filled by one reading of it.

    Attributes:
        names: What sacct calls it; where that has changed, the newest name first, with `|` between.
        reading: How it is spelled.
    """

    names: str
    reading: Reading = "text"

    @property
    def all_names(self) -> tuple[str, ...]:
        """What sacct calls it, or called it, the newest name first."""
        return tuple(self.names.split("|"))


class Wire(NamedTuple):
    """What a field is on the wire, where its type does not say so: one of the kinds of `event_fields.py`."""

    kind: str


Moment = Annotated[int, Wire("time")]
"""Epoch seconds; RFC 3339 on the wire."""


class Field(NamedTuple):
    """One field of a line, or of an object in it.

    Attributes:
        kind: What it is on the wire, see `event_fields.py`.
        text: What it says, for people.
        sacct: Which of sacct's fields it comes from.
    """

    name: str
    kind: str
    text: str = ""
    sacct: SacctField | None = None


@cache
def fields_of(record: type) -> tuple[Field, ...]:
    """Return the fields of a record, in order, with what their annotations say.

    Raises:
        TypeError: There is no such value on the wire.
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(_field(name, hint) for name, hint in hints.items())


def _field(name: str, hint: Any) -> Field:  # noqa: ANN401 - any annotation
    notes: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *notes_found = get_args(hint)
        notes = tuple(notes_found)
    kind = next((note.kind for note in notes if isinstance(note, Wire)), None) or _kind(hint)
    if kind is None:
        raise TypeError(f"{name}: nothing on the wire is a {hint}")
    return Field(
        name,
        kind,
        next((note for note in notes if isinstance(note, str)), ""),
        next((note for note in notes if isinstance(note, SacctField)), None),
    )


def _kind(hint: Any) -> str | None:  # noqa: ANN401 - any annotation
    """Return what a value of a type is on the wire, if it can be there; whether it may be absent says nothing."""
    if get_origin(hint) is types.UnionType or types.NoneType in get_args(hint):
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    if get_origin(hint) is Annotated:
        return str(next(note.kind for note in get_args(hint) if isinstance(note, Wire)))
    plain = {str: "string", bool: "bool", int: "int", float: "number", Sequence[str]: "[string]"}
    if get_origin(hint) is Mapping:
        return {str: "texts", int: "counts"}.get(get_args(hint)[1], "tres")
    return plain.get(hint)
