"""A real Prometheus that scrapes the daemon, with the rules that are shipped or without any."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.patience import HANGS_SECONDS
from tests.real_slurm.packages import CannotInstallError, install
from tests.real_slurm.ports import free_block

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMETHEUS = "/usr/bin/prometheus"
PROMTOOL = "/usr/bin/promtool"
RULES = Path(__file__).parents[2] / "packaging" / "prometheus" / "slurmwatchd.rules.yml"
CONFIG = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
  - job_name: slurmwatchd
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""


def install_prometheus() -> None:
    """Install Debian's, or skip the test."""
    try:
        install({PROMETHEUS: "prometheus", PROMTOOL: "prometheus"})
    except CannotInstallError as error:
        pytest.skip(f"Prometheus could not be installed: {error}")


class Prometheus:
    """One on a port of the loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        """What its API answers; None while it does not."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=HANGS_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                    # It still reads its files.
                    return None
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return None

    def samples(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series that a query has now, without those that are no number."""
        found = self.ask("query", query=query)
        samples = [(item["metric"], float(item["value"][1])) for item in (found["result"] if found else ())]
        return [(labels, value) for labels, value in samples if value == value]  # noqa: PLR0124 - NaN is not itself

    def values(self, query: str) -> list[float]:
        """The values alone."""
        return [value for _, value in self.samples(query)]

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire, each with its node."""
        found = self.ask("alerts")
        alerts = found["alerts"] if found else []
        return {
            (alert["labels"]["alertname"], alert["labels"].get("node", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }


@contextmanager
def prometheus(folder: Path, target: int, rules: Path | None = None) -> Iterator[Prometheus]:
    """Start one that scrapes a port every second, and end it; the end of its log is shown where a test failed.

    Args:
        folder: Where it keeps its files.
        target: The daemon's port.
        rules: The file of its rules.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed")
    port = free_block(1)
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(CONFIG.format(port=target, rules=json.dumps(str(rules)) if rules else ""), encoding="utf-8")
    argv = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(timeout=HANGS_SECONDS)
        print(log.read_text(encoding="utf-8", errors="replace")[-2000:])  # noqa: T201 - pytest shows it on failure


def quick_rules(folder: Path) -> Path:
    """Write the rules as they are shipped, but that alerts fire at once: a test has no two minutes."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump(rules), encoding="utf-8")
    return file
