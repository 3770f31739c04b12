"""What commands import: what they have a use for, since whoever runs one waits for it."""

import subprocess
import sys

import pytest

_LOADED = """
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
print(*sorted({slow!r} & set(sys.modules)))
"""

_DAEMON = ("slurmwatchd.cli.commands.once", "slurmwatchd.sinks.jsonl")
_QUESTION = ("slurmwatchd.cli.commands.jobs",)


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        (
            _DAEMON,
            {"slurmwatchd.store.archive.days", "slurmwatchd.daemon.web.app", "starlette", "pyarrow", "rich"},
        ),
        (
            _QUESTION,
            {
                "slurmwatchd.model.event_fields",
                "slurmwatchd.model.fields",
                "slurmwatchd.model.records",
                "click.shell_completion",
                "slurmwatchd.model.attempts",
                "slurmwatchd.model.policy",
                "importlib.resources",
                "anyio",
                "asyncio",
                "csv",
                "hashlib",
                "random",
                "tomllib",
                "aiosqlite",
                "pydantic",
                "ctypes",
            },
        ),
    ],
    ids=["once", "jobs"],
)
def test_what_takes_long_to_import_is_left_out_where_it_is_not_used(
    modules: tuple[str, ...], slow: set[str]
) -> None:
    text = _LOADED.format(modules=modules, slow=slow)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
