"""Every mistake in the configuration is reported with its key, its place and its value."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from slurmwatchd.config import paths
from slurmwatchd.config.loader import load
from slurmwatchd.errors import ConfigError
from tests.unit.configurations import MODELS, faults, read

NO_VARIABLE = "is not a variable of slurmwatchd; write SLURMWATCHD_<SECTION>__<KEY>"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slurmwatchd.toml"


NONE = "no metric of ended jobs has this name; the page on metrics lists them"
ALONE = "has slurm_cluster alone: its labels cannot be chosen"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('labels = ["job"]', "metrics.labels: job: not one of partition, account, user, qos, not ['job']"),
        (
            "family_labels = { slurmwatchd_polls_total = [] }",
            f"metrics.family_labels: slurmwatchd_polls_total: {NONE}",
        ),
        ("family_limits = { jobs_ended = 3 }", f"metrics.family_limits: jobs_ended: {NONE}"),
        (
            "family_labels = { slurmwatchd_lateness_seconds = ['user'] }",
            f"metrics.family_labels: slurmwatchd_lateness_seconds {ALONE}",
        ),
        (
            "family_limits = { slurmwatchd_job_nodes = 0 }",
            "metrics.family_limits.slurmwatchd_job_nodes: must be at least 1, not 0",
        ),
    ],
)
def test_a_label_or_a_metric_that_is_none_is_named(text: str, fault: str, file: Path) -> None:
    assert faults(file, f"[metrics]\n{text}\n") == [f"{file}: {fault}"]


def test_a_file_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^{tmp_path}/none.toml: cannot be read: No such file or directory$"):
        load(tmp_path / "none.toml", sink_options=MODELS, environ={})
    with pytest.raises(ConfigError, match=rf"^{tmp_path}: cannot be read: Is a directory$"):
        load(None, sink_options=MODELS, environ={"SLURMWATCHD_CONFIG": str(tmp_path)})


def test_a_file_that_is_no_toml_is_an_error_with_the_line(file: Path) -> None:
    (fault,) = faults(file, "[poll\n")
    assert fault.startswith(f"{file}: is not valid TOML: ")
    assert "line 1" in fault


def test_a_file_that_is_no_text_is_an_error(file: Path) -> None:
    file.write_bytes(b"[poll]\n# \xff\xfe\n")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(file, sink_options=MODELS, environ={})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[poll]\nintervall = "10s"', "poll.intervall: unknown key"),
        ('[pol]\ninterval = "10s"', "pol: unknown key"),
        ('[sinks.jobs]\ntype = "jsonl"\npath = "/a"\nsize = 1', "sinks.jobs.size: unknown key"),
        ("[poll]\ninterval = 10", 'poll.interval: 10 is not a duration such as "30s", "15m", "1d12h" or "400d"'),
        ('[poll]\nsince = "10"', 'poll.since: \'10\' is not a duration such as "30s", "15m", "1d12h" or "400d"'),
        ('[poll]\noverlap = "1.5s"', "poll.overlap: '1.5s' is not a whole number of seconds"),
        ('[poll]\ninterval = "10ms"', "poll.interval: must be at least \"1s\", not '10ms'"),
        ('[slurm]\ntimeout = "0s"', "slurm.timeout: must be more than \"0s\", not '0s'"),
        ('[poll]\nslice = "1s"', "poll.slice: must be at least \"1m\", not '1s'"),
        (
            '[poll]\nreread = ["5m", 3]',
            'poll.reread.1: 3 is not a duration such as "30s", "15m", "1d12h" or "400d"',
        ),
        ('[poll]\nreread = ["15m", "5m"]', "poll: reread must be ascending, each age once"),
        ('[poll]\nreread = ["5m", "300s"]', "poll: reread must be ascending, each age once"),
        ('[poll]\noverlap = "1h"', "poll: overlap must be shorter than slice"),
        ('[steps]\nmode = "all"', "steps.mode: Input should be 'off', 'summary' or 'full', not 'all'"),
        ('[log]\nlevel = "INFO"', "log.level: Input should be 'debug', 'info', 'warning' or 'error', not 'INFO'"),
        ('[web]\nlisten = "10025"', "web.listen: '10025' is not an address with a port, such as 127.0.0.1:10025"),
        ('[web]\nlisten = "node7:80"', "web.listen: 'node7:80': 'node7' is not an IP address"),
        ("[web]\nlisten = 10025", "web.listen: Input should be a valid string, not 10025"),
        ("[store]\npath = 7", "store.path: Input is not a valid path for <class 'pathlib.Path'>, not 7"),
        ("poll = 7", "poll: must be a table, not 7"),
        ("slurm = []", "slurm: must be a table, not []"),
        ('[slurm]\nclusters = ["", "a"]', "slurm.clusters: '' is not the name of a cluster"),
        ('[slurm]\nclusters = ["a", " "]', "slurm.clusters: ' ' is not the name of a cluster"),
        # To sacct each of these is several clusters.
        ('[slurm]\nclusters = ["a,b"]', "slurm.clusters: 'a,b' is not the name of a cluster"),
        ('[slurm]\nclusters = ["all"]', "slurm.clusters: 'all' is not the name of a cluster"),
        ('[slurm]\nclusters = ["a", "b", "a"]', "slurm.clusters: 'a' is in the list twice"),
        ("[slurm]\nclusters = [7]", "slurm.clusters.0: Input should be a valid string, not 7"),
        ("sinks = 7", "sinks: must be a table of tables"),
        ("sinks = []", "sinks: must be a table of tables"),
        ("[sinks]\njobs = 7", "sinks.jobs: must be a table, not 7"),
        ('[sinks.jobs]\npath = "/a"', "sinks.jobs.type: is required: one of jsonl, prometheus"),
        ('[sinks.jobs]\ntype = "kafka"', "sinks.jobs.type: must be one of jsonl, prometheus, not 'kafka'"),
        ("[sinks.jobs]\ntype = 7", "sinks.jobs.type: must be one of jsonl, prometheus, not 7"),
        ('[sinks.jobs]\ntype = "jsonl"', "sinks.jobs.path: is required"),
        (
            '[sinks.jobs]\ntype = "jsonl"\npath = "/a"\nmax_line_bytes = 100',
            "sinks.jobs.max_line_bytes: must be at least 4096, not 100",
        ),
        ("[report]\nprices = { cpu = -1 }", "report.prices.cpu: must be at least 0, not -1"),
        (
            "[report]\nprices = { cpus = 1 }",
            "report.prices: 'cpus' is no TRES: name cpu, node, mem, billing, or TYPE/NAME such as gres/gpu",
        ),
        ("[report]\ngrams_per_kwh = inf", "report.grams_per_kwh: Input should be a finite number, not inf"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_key_and_its_value(text: str, fault: str, file: Path) -> None:
    assert faults(file, text) == [f"{file}: {fault}"]


def test_a_state_that_no_attempt_ends_in_is_named(file: Path) -> None:
    text = '[sinks.jobs]\ntype = "jsonl"\npath = "/a"\nstates = ["F", "FAILD"]'
    known = "BOOT_FAIL, CANCELLED, COMPLETED, DEADLINE, FAILED, NODE_FAIL, OUT_OF_MEMORY, PREEMPTED, REQUEUED"
    assert faults(file, text) == [
        f"{file}: sinks.jobs.states: 'FAILD' is not one of {known}, RESIZING, REVOKED, TIMEOUT"
    ]


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        (
            {"SLURMWATCHD_POLL__INTERVAL": "soon"},
            'environment: poll.interval: \'soon\' is not a duration such as "30s", "15m", "1d12h" or "400d"',
        ),
        ({"SLURMWATCHD_POLL__INTERVALL": "10s"}, "environment: poll.intervall: unknown key"),
        (
            {"SLURMWATCHD_POL__INTERVAL": "10s"},
            f"environment: SLURMWATCHD_POL__INTERVAL: {NO_VARIABLE}",
        ),
        (
            {"SLURMWATCHD_POLL_INTERVAL": "10s"},
            f"environment: SLURMWATCHD_POLL_INTERVAL: {NO_VARIABLE}",
        ),
        (
            {"SLURMWATCHD_SINKS__JOBS__TYPE": "kafka"},
            "environment: sinks.jobs.type: must be one of jsonl, prometheus, not 'kafka'",
        ),
        (
            {"SLURMWATCHD_SINKS__JOBS__PATH": "/a"},
            "environment: sinks.jobs.type: is required: one of jsonl, prometheus",
        ),
        ({"SLURMWATCHD_WEB__PEOPLE": "ada"}, "environment: web.people: 'ada' is not NAME=VALUE"),
        (
            {"SLURMWATCHD_REPORT__PRICES": "cpu=1,2"},
            "environment: report.prices: '2' is not NAME=VALUE, not 'cpu=1,2'",
        ),
        (
            {"SLURMWATCHD_WEB__LISTEN": "nowhere"},
            "environment: web.listen: 'nowhere' is not an address with a port, such as 127.0.0.1:10025",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_told_as_the_environments(
    environ: Mapping[str, str], fault: str, file: Path
) -> None:
    assert faults(file, '[poll]\ninterval = "10s"\n[web]\nlisten = "127.0.0.1:1"\n', environ=environ) == [fault]


def test_a_section_in_one_variable_is_refused(file: Path) -> None:
    told = faults(file, environ={"SLURMWATCHD_POLL": "interval=10s"})
    assert told == [f"environment: SLURMWATCHD_POLL: {NO_VARIABLE}"]


def test_a_mistake_on_the_command_line_is_told_as_such(file: Path) -> None:
    assert faults(file, flags={"poll": {"since": "yesterday"}}) == [
        'command line: poll.since: \'yesterday\' is not a duration such as "30s", "15m", "1d12h" or "400d"'
    ]


def test_every_mistake_is_told_at_once(file: Path) -> None:
    text = '[poll]\ninterval = 1\nsince = 2\n[web]\nlisten = "x"\n'
    text += '[sinks.a]\ntype = "kafka"\n[sinks.b]\ntype = "jsonl"\n'
    told = faults(file, text, environ={"SLURMWATCHD_LOG__LEVEL": "loud"})
    assert [fault.split(": ")[1] for fault in told] == [
        "poll.interval", "poll.since", "web.listen", "log.level", "sinks.a.type", "sinks.b.path",
    ]  # fmt: skip
    assert [fault.split(": ")[0] for fault in told] == [str(file)] * 3 + ["environment"] + [str(file)] * 2


def test_two_sinks_on_one_file_are_a_mistake(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "jobs.jsonl")
    text = (
        f'[sinks.a]\ntype = "jsonl"\npath = "{tmp_path}/jobs.jsonl"\n'
        f'[sinks.b]\ntype = "jsonl"\npath = "{tmp_path}/link"\n'
    )
    assert faults(file, text) == [f"{file}: sinks.b.path: {tmp_path}/jobs.jsonl is already used by sinks.a.path"]


def test_the_name_of_the_sink_behind_metrics_is_taken(file: Path) -> None:
    text = f'[sinks.prometheus]\ntype = "jsonl"\npath = "{file.parent}/jobs.jsonl"\n'
    assert faults(file, text) == [f"{file}: sinks.prometheus: this name is reserved for the sink behind /metrics"]
    assert list(read(file, text + '[web]\nlisten = ""\n').sinks) == ["prometheus"]
    assert list(read(file, text + '[sinks.m]\ntype = "prometheus"\n').sinks) == ["prometheus", "m"]


def test_a_sink_on_the_stores_file_is_a_mistake(file: Path) -> None:
    text = '[store]\npath = "/srv/jobs"\n[sinks.a]\ntype = "jsonl"\npath = "/srv/../srv/jobs"\n'
    assert faults(file, text) == [f"{file}: sinks.a.path: /srv/jobs is already used by store.path"]


@pytest.mark.parametrize("path", ["", "/", "."])
def test_a_path_that_names_no_file_is_a_mistake(file: Path, path: str) -> None:
    text = f'[store]\npath = "{path}"\n[sinks.a]\ntype = "jsonl"\npath = "{path}"\n'
    assert faults(file, text) == [
        f"{file}: store.path: '{path}' names no file",
        f"{file}: sinks.a.path: '{path}' names no file",
    ]


def test_a_default_file_that_may_not_be_looked_for_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Path("/" + "x" * 300)
    monkeypatch.setattr(paths, "DEFAULT_CONFIG", long)
    with pytest.raises(ConfigError, match=f"{long}: cannot be read: File name too long"):
        load(None, sink_options=MODELS, environ={})
    monkeypatch.setattr(paths, "DEFAULT_CONFIG", Path("/dev/null/slurmwatchd.toml"))
    assert list(load(None, sink_options=MODELS, environ={}).sinks) == ["jobs", "prometheus"]


def test_two_sinks_cannot_fill_one_metrics_page(file: Path) -> None:
    text = '[sinks.a]\ntype = "prometheus"\n[sinks.b]\ntype = "prometheus"\n'
    assert faults(file, text) == [f"{file}: sinks.b.type: there is only one /metrics, and a already fills it"]


@pytest.mark.parametrize("name", ["stat", "db_index", "submit", "nodes"])
def test_a_field_whose_change_cannot_be_reported_is_named(file: Path, name: str) -> None:
    (fault,) = faults(file, f'[poll]\nrevise = ["state", "{name}"]')
    assert f"poll.revise: {name}: slurmwatchd cannot report changes of this field" in fault
