"""Every query of dashboards and recording rules returns data, from a real Prometheus that scrapes the daemon."""

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.process import DaemonProcess
from tests.acceptance.scraper import RULES, prometheus, quick_rules
from tests.patience import Patience

DASHBOARDS = sorted((Path(__file__).parents[2] / "packaging" / "grafana").glob("slurmwatchd-*.json"))
LABELS = """
[metrics]
labels = ["partition", "account", "user", "qos"]
"""
STATES = (*["COMPLETED"] * 20, "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "REQUEUED")
VARIABLES = {"$cluster": ".*", "$partition": ".*", "$account": ".*", "$__rate_interval": "5m", "$__range": "1h"}


def some_end(daemon: DaemonProcess, count: int) -> None:
    """Jobs of several users, with GPUs, with usage, requeued, failed; and on n9 all of them fail at once."""
    dice = random.Random(count)  # noqa: S311 - the same each time
    for number in range(count):
        eaten = number % 8 == 7
        state = "NODE_FAIL" if number == count // 2 else dice.choice(STATES)
        end = daemon.cluster.now() - 2
        run = 3 if eaten else 90 + number
        gpus = f",1001={number % 2 + 1},1002={number % 2 + 1}" if number % 2 else ""
        tres = f"1=4,2=4000,4=1,5=8{gpus}"
        key = daemon.ended(
            user=f"u{number % 7}",
            id_user=1000 + number % 7,
            account=f"a{number % 3}",
            partition=("cpu", "gpu")[number % 2],
            state="FAILED" if eaten else state,
            nodelist="n9" if eaten else f"n{dice.randint(1, 6)}",
            nodes_alloc=1,
            timelimit=60,
            tres_req=tres,
            tres_alloc=tres,
            time_submit=end - run - 40,
            time_eligible=end - run - 30,
            time_start=end - run,
        )
        used = f"1={run * 1500},2=524288000,3=9000"
        most = used + (",1004=70" if gpus else "")
        daemon.cluster.add_step(
            key,
            "batch",
            tres_usage_in_tot=used,
            tres_usage_in_max=most,
            tres_usage_in_ave=most,
            user_sec=run,
            sys_sec=0,
            consumed_energy=9000,
        )


@pytest.mark.heavy
def test_every_panel_and_every_rule_has_data_and_a_bad_node_raises_an_alert(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed")
    with DaemonProcess(tmp_path, steps="summary", more=LABELS) as daemon:
        some_end(daemon, 240)
        daemon.start_ready()
        daemon.wait_until(lambda: _counted(daemon, "slurmwatchd_jobs_ended_total") >= 240, "the first jobs")
        with prometheus(tmp_path, daemon.port, quick_rules(tmp_path)) as scraper:
            _wait(daemon, lambda: scraper.values("slurmwatchd_jobs_ended_total") != [], "a first scrape")
            # Of these Prometheus sees the growth.
            some_end(daemon, 240)
            daemon.wait_until(lambda: _counted(daemon, "slurmwatchd_jobs_ended_total") >= 480, "more jobs")
            grown = "sum(increase(slurmwatchd_job_cpu_efficiency_ratio_count[1h])) > 10"
            _wait(daemon, lambda: scraper.values(grown) != [], "the usage of more jobs")
            _wait(
                daemon, lambda: scraper.values("slurmwatchd_suspect_node_score") != [], "the search for suspects"
            )
            queries = {
                f"{file.stem}: {panel['title']}: {target['refId']}": target["expr"]
                for file in DASHBOARDS
                for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
                for target in panel.get("targets", ())
            }
            assert len(queries) > 70
            waiting = dict(queries)

            def all_answered() -> bool:
                for name in [name for name, query in waiting.items() if scraper.values(_filled(query))]:
                    del waiting[name]
                return not waiting

            try:
                _wait(daemon, all_answered, "data in every panel")
            except AssertionError:
                assert waiting == {}
                raise
            for rule in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][-1]["rules"]:
                if record := rule.get("record"):
                    _wait(daemon, lambda name=record: scraper.values(name) != [], f"{record} to be recorded")
            _wait(daemon, lambda: ("SlurmwatchdNodeSuspect", "n9") in scraper.firing(), "an alert on n9")
            assert {node for _, node in scraper.firing()} - {""} == {"n9"}


def _counted(daemon: DaemonProcess, name: str) -> float:
    return sum(daemon.samples_if_any(name).values())


def _filled(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def _wait(daemon: DaemonProcess, condition: Any, what: str) -> None:  # noqa: ANN401 - returns a truth
    """Wait for a condition while Prometheus scrapes the daemon."""
    patience = Patience(lambda: 0)
    while not condition():
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.stderr()
        assert not patience.is_over(), f"waited in vain: {what}\n{daemon.stderr()}"
        time.sleep(0.2)
