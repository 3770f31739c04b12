"""The schema of a line in the words of the tools that read it: what they would have to guess from the first lines.

Left to guess, one tool leaves out a TRES it meets late, another stops there, a third makes numbers of names. Each
text is taken by its tool as it is. Everything comes from the table of fields in `event_fields.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from slurmwatchd.model.event_fields import HEAD, RECORD, REQUIRED, STEP, TAIL, USAGE
from slurmwatchd.model.fields import Field
from slurmwatchd.model.records import REVISABLE

FIELDS = (*HEAD, *RECORD, *TAIL)

_INDENT = "    "
_COMMON_TRES = ("cpu", "mem_bytes", "node", "billing", "gres/gpu")
"""What a reader without maps shall have a column for, whatever stands in its file."""
_TEXTS = ("string", "digits", "uuid", "event", "found by", "outcome")


class Tool(StrEnum):
    """Who a schema is for."""

    DUCKDB = "duckdb"
    POLARS = "polars"
    CLICKHOUSE = "clickhouse"
    SPARK = "spark"
    PYARROW = "pyarrow"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """How a tool writes types.

    Attributes:
        kinds: The kinds of a `Field` to the tool's type. What is not among them, `usage` or `steps`, is an object.
        member: Writes (name, type) as a member of an object.
        struct: An object of such members, separated by commas.
        array: A list of a type.
        column: Writes (field, type) as a line of the schema.
        whole: The schema, with `{}` for its lines.
    """

    kinds: Mapping[str, str]
    member: Callable[[str, str], str]
    struct: str
    array: str
    column: Callable[[Field, str], str]
    whole: str

    def type_of(self, field: Field) -> str:
        """Return the type of a field."""
        if field.kind in self.kinds:
            return self.kinds[field.kind]
        return self.array.format(self._struct(STEP)) if field.kind == "steps" else self._struct(USAGE)

    def render(self, fields: Iterable[Field]) -> str:
        """Return the schema as text, without a line end."""
        return self.whole.format(",\n".join(_INDENT + self.column(field, self.type_of(field)) for field in fields))

    def _struct(self, fields: Iterable[Field]) -> str:
        return self.struct.format(", ".join(self.member(field.name, self.type_of(field)) for field in fields))


def schema_for(tool: Tool) -> str:
    """Return the schema of a line as text that a tool takes as it is."""
    return _DIALECTS[tool].render(FIELDS)


def _kinds(
    *, text: str, integer: str, number: str, truth: str, time: str, more: Mapping[str, str]
) -> dict[str, str]:
    """Return the types of the plain kinds, and some more."""
    return {
        **dict.fromkeys(_TEXTS, text),
        **dict.fromkeys(("int", "schema"), integer),
        "number": number,
        "bool": truth,
        **dict.fromkeys(("time", "time or null"), time),
        **more,
    }


def _spaced(name: str, kind: str) -> str:
    return f'"{name}" {kind}'


_DUCKDB = _Dialect(
    kinds=_kinds(
        text="VARCHAR", integer="BIGINT", number="DOUBLE", truth="BOOLEAN", time="TIMESTAMPTZ",
        more={
            "[string]": "VARCHAR[]",
            "tres": "MAP(VARCHAR, BIGINT)",
            "counts": "MAP(VARCHAR, BIGINT)",
            "texts": "MAP(VARCHAR, VARCHAR)",
            "changes": "MAP(VARCHAR, JSON[])",
        },
    ),
    member=_spaced,
    struct="STRUCT({})",
    array="{}[]",
    column=lambda field, kind: f"\"{field.name}\": '{kind}'",
    whole="{{\n{}\n}}",
)  # fmt: skip


def _click(field: Field, kind: str) -> str:
    """Let a column of ClickHouse be null, unless it is in every line or of a kind that cannot be."""
    is_plain = "(" not in kind or kind.startswith("DateTime")
    always = field.name in REQUIRED and field.kind != "time or null"
    return f"`{field.name}` {f'Nullable({kind})' if is_plain and not always else kind}"


_CLICKHOUSE = _Dialect(
    kinds=_kinds(
        text="String", integer="Int64", number="Float64", truth="Bool", time="DateTime('UTC')",
        more={
            "[string]": "Array(String)",
            "tres": "Map(String, Int64)",
            "counts": "Map(String, Int64)",
            "texts": "Map(String, String)",
            "changes": "Map(String, Array(Nullable(String)))",
        },
    ),
    member=lambda name, kind: _click(Field(name, "time or null"), kind),
    struct="Tuple({})",
    array="Array({})",
    column=_click,
    whole="{}",
)  # fmt: skip

_SPARK = _Dialect(
    kinds=_kinds(
        text="STRING", integer="BIGINT", number="DOUBLE", truth="BOOLEAN", time="TIMESTAMP",
        more={
            "[string]": "ARRAY<STRING>",
            "tres": "MAP<STRING, BIGINT>",
            "counts": "MAP<STRING, BIGINT>",
            "texts": "MAP<STRING, STRING>",
            "changes": "MAP<STRING, ARRAY<STRING>>",
        },
    ),
    member=lambda name, kind: f"`{name}`: {kind}",
    struct="STRUCT<{}>",
    array="ARRAY<{}>",
    column=lambda field, kind: f"`{field.name}` {kind}",
    whole="{}",
)  # fmt: skip

_POSTGRESQL = _Dialect(
    kinds=_kinds(
        text="text", integer="bigint", number="double precision", truth="boolean", time="timestamptz",
        more={
            "uuid": "uuid",
            "[string]": "text[]",
            **dict.fromkeys(("tres", "counts", "texts", "changes", "usage", "steps"), "jsonb"),
        },
    ),
    member=_spaced,
    struct="",
    array="",
    column=lambda field, kind: f'"{field.name}" {kind}{" PRIMARY KEY" if field.kind == "uuid" else ""}',
    whole="CREATE TABLE slurm_events (\n{}\n);",
)  # fmt: skip


_POLARS = _Dialect(
    kinds=_kinds(
        text="pl.String", integer="pl.Int64", number="pl.Float64", truth="pl.Boolean",
        time='pl.Datetime("us", "UTC")',
        more={
            "[string]": "pl.List(pl.String)",
            "tres": "pl.Map(pl.String, pl.Int64)",
            "counts": "pl.Map(pl.String, pl.Int64)",
            "texts": "pl.Map(pl.String, pl.String)",
            "changes": "pl.Map(pl.String, pl.List(pl.String))",
        },
    ),
    member=lambda name, kind: f'"{name}": {kind}',
    struct="pl.Struct({{{}}})",
    array="pl.List({})",
    column=lambda field, kind: f'"{field.name}": {kind}',
    whole="{{\n{}\n}}",
)  # fmt: skip


def _arrow_struct(members: Iterable[tuple[str, str]]) -> str:
    pairs = ", ".join(f'("{name}", {kind})' for name, kind in members)
    return f"pa.struct([{pairs}])"


def _arrow_kinds() -> dict[str, str]:
    """Return pyarrow's types. Its reader knows no maps: keys not named here are added as it meets them."""
    kinds = _kinds(
        text="pa.string()", integer="pa.int64()", number="pa.float64()", truth="pa.bool_()",
        time='pa.timestamp("us", "UTC")',
        more={
            "[string]": "pa.list_(pa.string())",
            "tres": _arrow_struct((name, "pa.int64()") for name in _COMMON_TRES),
            "counts": _arrow_struct(()),
            "texts": _arrow_struct(()),
        },
    )  # fmt: skip
    # Declared to the last: left to guess, the reader of pyarrow 26 spoils a list that begins with null.
    revised = (field for field in RECORD if field.name in REVISABLE)
    pairs = ((field.name, f"pa.list_({kinds[field.kind]})") for field in revised)
    return {**kinds, "changes": _arrow_struct(pairs)}


_PYARROW = _Dialect(
    kinds=_arrow_kinds(),
    member=lambda name, kind: f'("{name}", {kind})',
    struct="pa.struct([{}])",
    array="pa.list_({})",
    column=lambda field, kind: f'("{field.name}", {kind})',
    whole="pa.schema([\n{}\n])",
)

_DIALECTS = {
    Tool.DUCKDB: _DUCKDB,
    Tool.POLARS: _POLARS,
    Tool.CLICKHOUSE: _CLICKHOUSE,
    Tool.SPARK: _SPARK,
    Tool.PYARROW: _PYARROW,
    Tool.POSTGRESQL: _POSTGRESQL,
}
