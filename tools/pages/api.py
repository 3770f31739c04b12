"""The reference of docs/api.md, and docs/openapi.json, from the API's own description."""

from collections.abc import Iterator
from typing import Any

from slurmwatchd.daemon.web.api import openapi
from slurmwatchd.daemon.web.api.endpoints import ENDPOINTS, PREFIX, Endpoint
from tools.pages import marks


def render(page: str) -> str:
    """Return the page with its reference as it must be now."""
    parts = ["\n".join(_endpoint(endpoint)) for endpoint in ENDPOINTS]
    return marks.replaced(page, {"reference": "\n".join(parts)})


def description() -> str:
    """Return docs/openapi.json."""
    return openapi.description().decode()


def _endpoint(endpoint: Endpoint) -> Iterator[str]:
    yield f"### `GET {PREFIX}{endpoint.path}`\n"
    yield f"{endpoint.summary} {endpoint.text}".strip() + "\n"
    parameters = openapi.parameters_of(endpoint)
    if parameters:
        yield "| parameter | takes | what |\n|---|---|---|"
        yield from map(_row, parameters)
        yield ""


def _row(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    takes = _takes(schema)
    if parameter["required"]:
        takes += "; required"
    elif "default" in schema:
        takes += f"; default `{schema['default']}`"
    return f"| `{parameter['name']}` | {marks.cell(takes)} | {marks.cell(parameter['description'])} |"


def _takes(schema: dict[str, Any]) -> str:
    if schema.get("type") == "array":
        return "list of fields" if "$ref" in schema["items"] else "list"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "integer":
        return f"{schema['minimum']} to {schema['maximum']:,}"
    words = {"moment": "time", "cursor": "cursor", "place": "cursor", "duration-60s": "duration"}
    return words.get(schema.get("format", ""), "text")
