"""The tables of docs/events.md, from the fields the program knows; the rest of the page is written by hand."""

from collections.abc import Iterable

from simslurm.versions import RELEASES, fields_of
from slurmwatchd.model import event_fields
from slurmwatchd.model.event_fields import type_word
from slurmwatchd.model.fields import Field
from slurmwatchd.model.records import REVISING
from slurmwatchd.sources.sacct.fields import ASKED
from tools.pages import marks


def render(page: str) -> str:
    """Return a page with its tables as they must be now."""
    tables = {
        "head": _table(event_fields.HEAD),
        "record": _record(),
        "tail": _table(event_fields.TAIL),
        "usage": _table(event_fields.USAGE),
        "step": _table(event_fields.STEP),
        "revising": _paragraph(REVISING),
    }
    return marks.replaced(page, tables)


def _table(fields: Iterable[Field]) -> str:
    rows = [f"| `{field.name}` | {type_word(field)} | {marks.cell(field.text)} |\n" for field in fields]
    return "| field | type | what |\n|---|---|---|\n" + "".join(rows)


def _record() -> str:
    rows = [
        f"| `{field.name}` | {type_word(field)} | {_source(field.name)} | {marks.cell(field.text)} |\n"
        for field in event_fields.RECORD
    ]
    return "| field | type | sacct's field | what |\n|---|---|---|---|\n" + "".join(rows)


def _source(name: str) -> str:
    """Say which of sacct's fields a field comes from, and since which release there is one."""
    names = ASKED.get(name, ())
    if not names:
        return ""
    first = min(release for release in RELEASES for field in fields_of(release) if field.name == names[0])
    since = "" if first == RELEASES[0] else f", {first[0]}.{first[1]:02} and newer"
    older = "".join(f"; before that `{other}`" for other in names[1:])
    return f"`{names[0]}`{since}{older}"


def _paragraph(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) + ".\n"
