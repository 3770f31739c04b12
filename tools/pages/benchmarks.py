"""The table of docs/benchmarks.md, from the results that `make bench` left; the rest is written by hand."""

from collections.abc import Iterator, Sequence

from tests.bench import results
from tests.bench.results import Result
from tests.bench.rows import ROWS
from tools.pages import marks

_HEAD = "| what | N | compared with | then | now | ratio | target | load |\n|---|---|---|---|---|---|---|---|\n"


def render(page: str) -> str:
    """Return the page with its tables as they must be now."""
    found = results.read()
    return marks.replaced(page, {"results": table(found), "peers": table(found, peers=True)})


def table(found: Sequence[Result], *, peers: bool = False) -> str:
    """Return the rows of this tree beside another commit, or beside other programs."""
    return _HEAD + "".join(_rows([one for one in found if one.row.startswith("peer-") == peers]))


def _rows(found: Sequence[Result]) -> Iterator[str]:
    for result in found:
        row = ROWS[result.row]
        against = result.against or ""
        before = _amount(result, result.before) if result.before else ""
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        count = f"{result.count:,}" if result.count else ""
        load = f"{result.load[0]:g} to {result.load[1]:g}"
        what = marks.cell(row.what) + (f", {result.where}" if result.where.startswith("Slurm") else "")
        yield (
            f"| {what} | {count} | {against} | {before} | {_amount(result, result.after)} | {ratio} | "
            f"{_target(result)} | {load} |\n"
        )


def _amount(result: Result, values: Sequence[float]) -> str:
    row = ROWS[result.row]
    value = results.shown(row, values)
    text = f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - three digits
    return f"{text} {row.unit}".strip()


def _target(result: Result) -> str:
    row = ROWS[result.row]
    if row.target is None:
        return ""
    least = "≥ " if row.at_least else "≤ "
    unit = f" {row.unit}" if row.is_limit and row.unit else ""
    return f"{least}{row.target:g}{unit}: {'**missed**' if result.is_missed else 'met'}"
