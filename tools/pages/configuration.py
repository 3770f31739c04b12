"""docs/configuration.md, from the models that check the configuration.

What the page says of a key (its default, what it takes, its text) is what the program says of it; only the
paragraphs below are written by hand.
"""

import ast
import inspect
import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slurmwatchd.config.paths import CONFIG_VARIABLE, DEFAULT_CONFIG
from slurmwatchd.config.settings import DEFAULT_SINKS, PREFIX, Config
from slurmwatchd.config.units import format_duration, parse_duration, parse_size, parse_whole_duration
from slurmwatchd.sinks.base import SinkOptions
from slurmwatchd.sinks.registry import sink_kinds

_INTRODUCTION = f"""\
# Configuration

Every key has a default, so the file is optional. It is a TOML file: `{DEFAULT_CONFIG}`, or the one named by
`--config` or the variable `{CONFIG_VARIABLE}`.

The daemon reads each key from the file, then from the environment, then from the command line; the last one wins.
Each key's variable is listed below; in a variable, separate the items of a list with commas
(`{PREFIX}POLL__REREAD=5m,15m`). `slurmwatchd run --help` lists the flags.

A duration is one or more numbers, each with a unit: `"250ms"`, `"30s"`, `"1.5h"`, `"1d12h"`, `"2w"`. The command
line takes the same. The units are ms, s, m, h, d and w, or their words (`"2 hours"`). Upper case is fine, but for
`M`, which could mean months.

An unknown key, a wrong type or a combination that cannot work is an error that names the key and where it was set;
then nothing is started, and the exit status is 78. `slurmwatchd check` finds this without starting anything.
`systemctl reload slurmwatchd` (SIGHUP) reads the configuration again.

`make docs` writes this page.
"""

_SINKS = f"""\
## Sinks

Each table `[sinks.NAME]` configures one sink, and `type` sets its kind. Choose any name. The sink's place in the
stream of events belongs to the name, so a renamed sink starts as a new one. A variable has the name in capitals:
`{PREFIX}SINKS__JOBS__PATH` is the `path` of `[sinks.jobs]`.

If you configure no sink, the daemon uses this one:

```toml
[sinks.{next(iter(DEFAULT_SINKS))}]
{{default}}
```

If the web server is on and you configure no `prometheus` sink, the daemon adds one. Two sinks cannot write to the
same file, and there can be only one `prometheus` sink.
"""

_LIMITS = {Ge: "at least", Gt: "more than", Le: "at most", Lt: "less than"}
_TABLES = {tuple: "lists", str: "texts"}
_PLAIN = {
    "str": "Text",
    "int": "Whole number",
    "float": "Number",
    "bool": "`true` or `false`",
    "Path": "File path",
}


def render() -> str:
    """Return the whole page."""
    default = "\n".join(f"{key} = {_toml(value)}" for key, value in next(iter(DEFAULT_SINKS.values())).items())
    parts = [_INTRODUCTION]
    for name, info in Config.model_fields.items():
        if name != "sinks" and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            parts += [f"## `[{name}]`\n", f"{inspect.getdoc(info.annotation)}\n", *_keys(info.annotation, name)]
    parts.append(_SINKS.replace("{default}", default))
    for name, kind in sorted(_kinds().items()):
        parts += [f"## Sinks of type `{name}`\n", f"{inspect.getdoc(kind)}\n", *_keys(kind, "sinks", "NAME")]
    return "\n".join(parts)


def _kinds() -> dict[str, type[SinkOptions]]:
    """Return the sinks that come with the program, not those of packages that happen to be installed."""
    ours = SinkOptions.__module__.rpartition(".")[0]
    kinds = {name: kind.options for name, kind in sink_kinds().items()}
    return {name: options for name, options in kinds.items() if options.__module__.startswith(f"{ours}.")}


def _keys(model: type[BaseModel], *path: str) -> Iterator[str]:
    defaults, texts = _defaults(model), _texts(model)
    for name, info in model.model_fields.items():
        value = defaults[name]
        given = "" if value is PydanticUndefined else f" = {_toml(value)}"
        variable = PREFIX + "__".join((*path, name)).upper()
        yield f"### `{name}{given}`\n"
        yield f"{texts[name]}\n"
        required = "; required" if info.is_required() else ""
        yield f"{_takes(info)}{required}. Variable: `{variable}`.\n"


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands below each key of a model, and of those it inherits from.

    Pydantic would read it for every class at every start of the program, which took longer than all else it does.
    """
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            (definition,) = ast.parse(inspect.getsource(base)).body
            for key, below in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
                match key, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        texts[name] = inspect.cleandoc(text)
    return texts


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the default of each key as it would stand in the file."""
    given = {name: info.get_default() for name, info in model.model_fields.items() if not info.is_required()}
    written = model.model_construct(**given).model_dump(mode="json", warnings=False)
    defaults = {name: written.get(name, PydanticUndefined) for name in model.model_fields}
    if issubclass(model, SinkOptions):
        defaults["backfill"] = model.default_backfill
        defaults["type"] = get_args(model.model_fields["type"].annotation)[0]
    return defaults


def _takes(info: FieldInfo) -> str:
    """Say in words what a key takes."""
    limits = []
    readers = {item.func for item in info.metadata if isinstance(item, BeforeValidator)}
    is_duration = not readers.isdisjoint({parse_duration, parse_whole_duration})
    for item in info.metadata:
        for kind, words in _LIMITS.items():
            if isinstance(item, kind):
                limit = getattr(item, kind.__name__.lower())
                limits.append(f"{words} {_toml(format_duration(limit)) if is_duration else f'{limit:,}'}")
    return ", ".join([_type(info.annotation, readers), *limits])


def _type(annotation: Any, readers: set[Any]) -> str:  # noqa: ANN401 - any annotation
    if parse_whole_duration in readers or parse_duration in readers:
        return "Duration in whole seconds" if parse_whole_duration in readers else "Duration"
    if parse_size in readers:
        return 'Size, such as `"100MB"`'
    is_enum = isinstance(annotation, type) and issubclass(annotation, StrEnum)
    if is_enum or get_origin(annotation) is Literal:
        words = annotation if is_enum else get_args(annotation)
        return " or ".join(f"`{_toml(word)}`" for word in words)
    if get_origin(annotation) is dict:
        values = get_args(annotation)[1]
        return f"Table of {_TABLES.get(get_origin(values) or values, 'numbers')}"
    if get_origin(annotation) is tuple:
        item = FieldInfo.from_annotation(get_args(annotation)[0])
        return f"List of: {_takes(item).lower()}"
    names = [kind.__name__ for kind in (*get_args(annotation), annotation) if isinstance(kind, type)]
    return next(_PLAIN[name] for name in names if name in _PLAIN)


def _toml(value: object) -> str:
    """Write a value as it stands in TOML: a JSON text, number, truth or list is one."""
    return json.dumps(value, ensure_ascii=False)
