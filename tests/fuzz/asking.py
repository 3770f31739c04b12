"""How schemathesis asks: which checks it makes, and values of the store, so that questions find something."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.patience import HANGS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.acceptance.process import DaemonProcess

HOOKS = Path(__file__).with_name("hooks.py")

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "missing_required_header", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
"""Not `positive_data_acceptance`: an end before its beginning is described, and refused. Not
`negative_data_rejection`: more is taken than is described, such as `failed` for FAILED. Not `ignored_auth`, which
repeats each request with a wrong token, so that all wait: tests/integration/test_api_scopes.py does that."""

PARAMETERS = {
    "path.job_id": "job_ids", "path.node": "nodes", "query.node": "nodes", "query.user": "users",
    "query.account": "accounts", "query.partition": "partitions", "query.qos": "qos", "query.cluster": "clusters",
    "query.name": "names", "query.cursor": "cursors", "query.after": "places",
}  # fmt: skip
"""Where values of the store are put in."""

PROBABILITY = 0.5


def known_values(daemon: DaemonProcess, token: str) -> Mapping[str, Sequence[str]]:
    """Return values that the store has, by the kind that `PARAMETERS` names."""
    page = _asked(daemon, token, "jobs?limit=500")
    oldest = _asked(daemon, token, "events?after=oldest&limit=50")
    jobs = page["jobs"]

    def of(field: str) -> list[str]:
        return list(dict.fromkeys(job[field] for job in jobs if field in job))[:20]

    return {
        "job_ids": of("job_id"),
        "nodes": [nodes for nodes in of("node_list") if nodes.isalnum()],
        "users": of("user"),
        "accounts": of("account"),
        "partitions": of("partition"),
        "qos": of("qos"),
        "clusters": of("cluster"),
        "names": ["*", "?*", "[a-m]*", "[", *of("name")],
        "cursors": [page["next"]],
        "places": ["now", "oldest", oldest["next"]],
    }


def configuration(token: str, known: Mapping[str, Sequence[str]], seed: int) -> str:
    """Return the text of a `schemathesis.toml`."""
    lines = [
        f"seed = {seed}",
        f"hooks = {_quoted(str(HOOKS))}",
        f"request-timeout = {HANGS_SECONDS}",
        "warnings = false",
        "continue-on-failure = true",
        # Half of the requests would have no token, or a wrong one.
        "generation = { with-security-parameters = false }",
        "[auth.openapi.token]",
        f"bearer = {_quoted(token)}",
        "[checks]",
        "enabled = false",
        *(f"{check} = {{ enabled = true }}" for check in CHECKS),
        "[dictionaries]",
        *(f"{kind} = {{ values = [{', '.join(map(_quoted, values))}] }}" for kind, values in known.items()),
        "[parameters]",
        *(
            f'"{parameter}" = {{ dictionary = "{kind}", probability = {PROBABILITY} }}'
            for parameter, kind in PARAMETERS.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def statuses(report: Path) -> Counter[int]:
    """Return how many answers had each status, from schemathesis' report of events."""
    found: Counter[int] = Counter()
    for line in report.read_text(encoding="utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            found[(interaction["response"] or {}).get("status_code", 0)] += 1
    return found


def _quoted(text: str) -> str:
    """Write a text as TOML has it."""
    plain = (char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(plain)}"'


def _asked(daemon: DaemonProcess, token: str, path: str) -> Any:  # noqa: ANN401 - any JSON
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=HANGS_SECONDS) as answer:  # noqa: S310 - our own
        return json.loads(answer.read())
