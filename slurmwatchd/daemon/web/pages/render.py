"""Writes pages: templates in which everything is escaped, also what turns the direction of writing.

jinja2 is imported when a page is first asked for: a daemon that only polls pays nothing for it.
"""

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmwatchd._version import __version__
from slurmwatchd.config.units import spoken_duration
from slurmwatchd.daemon.web.pages import charts, paths
from slurmwatchd.model.clock import rfc3339
from slurmwatchd.model.terminal_text import shown

if TYPE_CHECKING:
    from jinja2 import Environment

HEADERS = {
    # Nothing here is script; say so, in case something hostile ever gets past the escaping.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_FOLDER = Path(__file__).parent
_NAV = (
    (paths.OVERVIEW, "Overview"),
    (paths.JOBS, "Jobs"),
    (paths.NODES, "Nodes"),
    (paths.REPORT, "Report"),
    (paths.COVERAGE, "Coverage"),
    (paths.DAEMON, "Daemon"),
)
_KIB = 1024


@cache
def style() -> bytes:
    """Return the style of all pages."""
    return (_FOLDER / "style.css").read_bytes()


def page(template: str, *, place: str = "", who: str = "", own: bool = False, **context: Any) -> bytes:  # noqa: ANN401 - whatever the template shows
    """Return a page as UTF-8.

    Args:
        template: Its file.
        place: The page in the navigation.
        who: Who is logged in.
        own: Whether they see one user's jobs, of which there is no report.
        context: What the template shows.
    """
    made = rfc3339(int(time.time()))
    nav = [(path, name) for path, name in _NAV if not own or path != paths.REPORT]
    context = {"links": (), **context, "place": place, "who": who, "nav": nav, "made": made}
    return _environment().get_template(template).render(context).encode("utf-8", "replace")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": __version__, "paths": paths, "charts": charts}
    made.filters |= {
        "clock": _clock,
        "count": _count,
        "duration": _duration,
        "hours": _hours,
        "percent": _percent,
        "plain": lambda value: {True: "yes", False: "no"}[value] if isinstance(value, bool) else value,
        "label": lambda name: str(name).removesuffix("_seconds").removesuffix("_bytes").replace("_", " "),
        "short": _short,
        "size": _size,
        "words": lambda text: str(text).replace("_", " "),
    }
    return made


def _finalized(value: Any) -> Any:  # noqa: ANN401 - whatever is shown
    """Return what is written: nothing for None, and escapes for what a browser would obey and nobody see."""
    if value is None:
        return ""
    return shown(value) if type(value) is str else value


def _clock(moment: str | None) -> str:
    """Write a moment of the wire format as people read it."""
    return "" if moment is None else moment.replace("T", " ").removesuffix("Z")


def _short(moment: str) -> str:
    """Write a moment without this year."""
    text = _clock(moment)
    return text[5:] if text.startswith(f"{time.gmtime().tm_year}-") else text


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _hours(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if 0 < value < 10 else f"{value:,.0f}"  # noqa: PLR2004 - small ones have a digit more


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else spoken_duration(seconds)


def _size(value: float | None) -> str:
    if value is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIB:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= _KIB
    return f"{value:,.1f} TiB"
