"""Where the pages are; kept apart, so that knowing it costs nothing."""

from urllib.parse import quote

from slurmwatchd.daemon.web.api.endpoints import PREFIX

STYLE = "/static/style.css"
OVERVIEW, COVERAGE, JOBS, NODES, REPORT, DAEMON = "/overview", "/coverage", "/jobs", "/nodes", "/report", "/daemon"
PLACES = (OVERVIEW, JOBS, NODES, REPORT, COVERAGE, DAEMON)


def of_job(job_id: str) -> str:
    """Return where a job's page is."""
    return f"{JOBS}/{quote(job_id, safe='')}"


def of_node(node: str) -> str:
    """Return where a node's page is."""
    return f"{NODES}/{quote(node, safe='')}"


def asks_itself(path: str) -> bool:
    """Return whether what answers at a path asks for a login by itself, or needs none.

    Args:
        path: As the client sent it, decoded; it need not begin with a slash (`OPTIONS *`).
    """
    return path == STYLE or any(f"{path}/".startswith(f"{place}/") for place in (PREFIX, *PLACES))
