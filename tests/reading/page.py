"""The recipes of docs/reading.md: taken from the page as they stand there, and run."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.reading.programs import ran

PAGE = Path(__file__).parents[2] / "docs" / "reading.md"

_RECIPE = re.compile(
    r"^## (?P<tool>.+?)\n(?P<text>.*?)^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_SCHEMA = re.compile(r"`slurmwatchd schema --for (\w+) > ([\w.]+)`")
_HOURS = re.compile(r"^\W*?(?P<account>[\w]+)\"?\W+?(?P<hours>\d+(?:\.\d+)?)\W*$", re.MULTILINE)


def recipes() -> dict[str, tuple[str, str, str]]:
    """Each tool of the page to the text before its recipe, the recipe's language and the recipe."""
    found = _RECIPE.finditer(PAGE.read_text(encoding="utf-8"))
    return {match["tool"]: (match["text"], match["language"], match["code"]) for match in found}


def run(tool: str, folder: Path, *, files: str = "jobs.jsonl", **environ: str) -> str:
    """Run a tool's recipe in the folder of a `jobs.jsonl`, after what the page says must be run before it.

    The machine's zone is one with summer time: no recipe may depend on it.

    Args:
        tool: Its heading on the page.
        folder: Where the file lies.
        files: Stands in the recipe for `jobs.jsonl`.
        environ: Variables of the environment.
    """
    text, language, code = recipes()[tool]
    for name, file in _SCHEMA.findall(text):
        schema = [sys.executable, "-m", "slurmwatchd", "schema", "--for", name]
        (folder / file).write_bytes(subprocess.run(schema, check=True, capture_output=True).stdout)
    argv = {"python": [sys.executable, "-"], "sh": ["/bin/sh", "-eu"], "r": ["Rscript", "-"]}[language]
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "TZ": "Europe/Berlin", "PATH": f"{scripts}:{os.environ['PATH']}", **environ}
    done = ran(argv, cwd=folder, env=environment, text=code.replace("jobs.jsonl", files))
    assert done.returncode == 0, done.stderr
    return done.stdout


def rotated(text: bytes, folder: Path) -> None:
    """Write a file's lines as logrotate would have left them: the newest, the one before, and a packed one."""
    lines = text.splitlines(keepends=True)
    (folder / "jobs.jsonl.2.gz").write_bytes(gzip.compress(b"".join(lines[:160])))
    (folder / "jobs.jsonl.1").write_bytes(b"".join(lines[160:166]))
    (folder / "jobs.jsonl").write_bytes(b"".join(lines[166:]))


def gpu_hours(printed: str) -> Mapping[str, float]:
    """What a recipe printed, whatever frame its tool draws around it."""
    return {match["account"]: float(match["hours"]) for match in _HOURS.finditer(printed)}
