"""The configuration: what wins, and that every mistake is told with its key, its place and its value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from slurmwatchd.config import paths
from slurmwatchd.config.loader import load
from slurmwatchd.config.settings import Config
from slurmwatchd.errors import ConfigError
from slurmwatchd.sinks.jsonl import JsonlOptions
from slurmwatchd.sinks.prometheus import PrometheusOptions

MODELS: Mapping[str, type[BaseModel]] = {"jsonl": JsonlOptions, "prometheus": PrometheusOptions}
NO_VARIABLE = "is not a variable of slurmwatchd; write SLURMWATCHD_<SECTION>__<KEY>"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slurmwatchd.toml"


def read(
    file: Path,
    text: str = "",
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, sink_options=MODELS, environ=environ or {}, flags=flags)


def faults(file: Path, text: str = "", **layers: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(file, text, **layers)
    return list(caught.value.faults)


def jsonl(config: Config, name: str = "jobs") -> JsonlOptions:
    options = config.sinks[name]
    assert isinstance(options, JsonlOptions)
    return options


def test_an_empty_file_is_a_whole_configuration(file: Path) -> None:
    config = read(file)
    assert config.slurm.clusters == ()
    assert (config.slurm.bin_dir, config.slurm.conf, config.slurm.timeout) == ("", "", 300)
    assert (config.poll.interval, config.poll.overlap, config.poll.since, config.poll.slice) == (
        30,
        120,
        3600,
        3600,
    )
    assert config.poll.reread == (300, 900, 7200, 43_200, 172_800, 691_200)
    assert config.steps.mode == "summary"
    assert config.store.path == Path("/var/lib/slurmwatchd/slurmwatchd.db")
    assert config.store.retain == 34_560_000
    assert config.web.listen == "127.0.0.1:10025"
    assert (config.log.level, config.log.format) == ("info", "logfmt")
    assert list(config.sinks) == ["jobs", "prometheus"]
    assert jsonl(config).path == Path("/var/log/slurmwatchd/jobs.jsonl")
    assert jsonl(config).max_line_bytes == 30_000


def test_a_file_says_everything(file: Path) -> None:
    config = read(
        file,
        """
        [slurm]
        clusters = ["alpha", "beta"]
        bin_dir = "/opt/slurm/bin"
        conf = "/opt/slurm/etc/slurm.conf"
        timeout = "90s"
        [poll]
        interval = "1.5s"
        overlap = "0s"
        since = "1d"
        slice = "10m"
        reread = ["1m", "1h"]
        [steps]
        mode = "off"
        [store]
        path = "/srv/jobs.db"
        retain = "2w"
        [sinks.archive]
        type = "jsonl"
        path = "/srv/jobs.jsonl"
        max_line_bytes = 4096
        backfill = false
        [sinks.metrics]
        type = "prometheus"
        max_label_sets = 10
        [web]
        listen = "[::1]:9100"
        [log]
        level = "debug"
        format = "json"
        """,
    )
    assert config.slurm.clusters == ("alpha", "beta")
    assert config.slurm.timeout == 90
    assert (config.poll.interval, config.poll.overlap, config.poll.since, config.poll.slice) == (
        1.5,
        0,
        86_400,
        600,
    )
    assert config.poll.reread == (60, 3600)
    assert config.store.retain == 1_209_600
    assert list(config.sinks) == ["archive", "metrics"]
    assert jsonl(config, "archive").max_line_bytes == 4096
    assert not jsonl(config, "archive").wants_backfill
    assert config.web.listen == "[::1]:9100"


def test_a_variable_wins_over_the_file_and_a_flag_over_both(file: Path) -> None:
    text = '[poll]\ninterval = "10s"\nsince = "2h"\noverlap = "1m"\n'
    environ = {"SLURMWATCHD_POLL__INTERVAL": "20s", "SLURMWATCHD_POLL__SINCE": "3h"}
    config = read(file, text, environ=environ, flags={"poll": {"interval": "40s"}})
    assert (config.poll.interval, config.poll.since, config.poll.overlap) == (40, 10_800, 60)


def test_a_list_in_a_variable_is_written_with_commas(file: Path) -> None:
    environ = {"SLURMWATCHD_SLURM__CLUSTERS": "alpha, beta", "SLURMWATCHD_POLL__REREAD": "5m,15m"}
    config = read(file, '[slurm]\nclusters = ["gamma"]\n', environ=environ)
    assert config.slurm.clusters == ("alpha", "beta")
    assert config.poll.reread == (300, 900)


def test_prices_are_a_table_and_in_a_variable_pairs(file: Path) -> None:
    table = '[report]\nprices = { cpu = 0.5, "gres/gpu:a100" = 2 }\n'
    assert read(file, table).report.prices == {"cpu": 0.5, "gres/gpu:a100": 2.0}
    given = {"SLURMWATCHD_REPORT__PRICES": "mem=0.1, gres/gpu:a100=3"}
    assert read(file, table, environ=given).report.prices == {"mem": 0.1, "gres/gpu:a100": 3.0}
    for wrong, message in (("cpu = -1", "greater than or equal to 0"), ('cpu = "x"', "valid number")):
        with pytest.raises(ConfigError, match=f"report.prices.cpu: .*{message}"):
            read(file, f"[report]\nprices = {{ {wrong} }}\n")


def test_labels_of_metrics_are_chosen_for_all_and_for_some(file: Path) -> None:
    assert read(file, "").metrics.labels == ("partition",)
    table = """
    [metrics]
    labels = ["user", "partition"]
    family_labels = { slurmwatchd_job_wait_seconds = ["qos"], slurmwatchd_jobs_ended_total = [] }
    family_limits = { slurmwatchd_jobs_ended_total = 7 }
    """
    chosen = read(file, table).metrics.choice()
    assert chosen.labels == ("user", "partition")
    assert chosen.families == {"job_wait_seconds": ("qos",), "jobs_ended": ()}
    assert chosen.limits == {"jobs_ended": 7}
    given = {
        "SLURMWATCHD_METRICS__LABELS": "account,qos",
        "SLURMWATCHD_METRICS__FAMILY_LABELS": "slurmwatchd_job_nodes=partition+qos",
    }
    chosen = read(file, "", environ=given).metrics.choice()
    assert (chosen.labels, chosen.families) == (("account", "qos"), {"job_nodes": ("partition", "qos")})


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
            "metrics.family_limits.slurmwatchd_job_nodes: Input should be greater than or equal to 1, not 0",
        ),
    ],
)
def test_a_label_or_a_metric_that_is_none_is_named(text: str, fault: str, file: Path) -> None:
    assert faults(file, f"[metrics]\n{text}\n") == [f"{file}: {fault}"]


def test_an_empty_variable_is_a_value_too(file: Path) -> None:
    environ = {"SLURMWATCHD_WEB__LISTEN": "", "SLURMWATCHD_SLURM__CLUSTERS": "", "SLURMWATCHD_POLL__REREAD": ""}
    config = read(file, '[slurm]\nclusters = ["gamma"]\n', environ=environ)
    assert config.web.listen == ""
    assert config.slurm.clusters == ()
    assert config.poll.reread == ()


def test_a_variable_changes_one_key_of_a_sink_and_leaves_the_others(file: Path) -> None:
    text = '[sinks.jobs]\ntype = "jsonl"\npath = "/srv/jobs.jsonl"\n'
    config = read(file, text, environ={"SLURMWATCHD_SINKS__JOBS__MAX_LINE_BYTES": "5000"})
    assert (jsonl(config).path, jsonl(config).max_line_bytes) == (Path("/srv/jobs.jsonl"), 5000)


def test_variables_of_other_programs_are_left_alone(file: Path) -> None:
    environ = {"PATH": "/bin", "SLURM_CONF": "/etc/slurm.conf", "SLURMWATCHDOG": "1", "POLL": "{"}
    assert read(file, environ=environ).poll.interval == 30


def test_a_variable_of_a_key_in_what_is_no_table_is_named(file: Path) -> None:
    environ = {"SLURMWATCHD_SINKS__JOBS__PATH": "/var/log/a.jsonl", "SLURMWATCHD_SINKS__JOBS": "jsonl"}
    assert faults(file, environ=environ) == [
        "environment: SLURMWATCHD_SINKS__JOBS__PATH: jobs has a value of its own"
    ]


def test_a_variable_is_text_whatever_it_looks_like(file: Path) -> None:
    environ = {"SLURMWATCHD_SLURM__BIN_DIR": '["/opt"]', "SLURMWATCHD_SLURM__CONF": "null"}
    config = read(file, environ=environ)
    assert (config.slurm.bin_dir, config.slurm.conf) == ('["/opt"]', "null")


def test_the_processes_own_environment_is_not_looked_at_when_another_is_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMWATCHD_POLL__INTERVAL", "7s")
    monkeypatch.setenv("SLURMWATCHD_POLL", "no json")
    assert read(file).poll.interval == 30


def test_the_file_can_be_named_by_a_variable(file: Path) -> None:
    file.write_text('[poll]\ninterval = "10s"\n', encoding="utf-8")
    config = load(None, sink_options=MODELS, environ={"SLURMWATCHD_CONFIG": str(file)})
    assert config.poll.interval == 10


def test_without_a_file_the_defaults_stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("slurmwatchd.config.paths.DEFAULT_CONFIG", tmp_path / "none.toml")
    assert load(None, sink_options=MODELS, environ={}).poll.interval == 30


def test_the_default_file_is_read_where_there_is_one(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text('[poll]\ninterval = "10s"\n', encoding="utf-8")
    monkeypatch.setattr("slurmwatchd.config.paths.DEFAULT_CONFIG", file)
    assert load(None, sink_options=MODELS, environ={}).poll.interval == 10


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
        ('[poll]\ninterval = "10ms"', "poll.interval: Input should be greater than or equal to 1, not '10ms'"),
        ('[slurm]\ntimeout = "0s"', "slurm.timeout: Input should be greater than 0, not '0s'"),
        ('[poll]\nslice = "1s"', "poll.slice: Input should be greater than or equal to 60, not '1s'"),
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
        ("poll = 7", "poll: Input should be a valid dictionary or instance of PollSection, not 7"),
        ("slurm = []", "slurm: Input should be a valid dictionary or instance of SlurmSection, not []"),
        ("[slurm]\nclusters = [7]", "slurm.clusters.0: Input should be a valid string, not 7"),
        ("sinks = 7", "sinks: must be a table of tables"),
        ("sinks = []", "sinks: must be a table of tables"),
        ("[sinks]\njobs = 7", "sinks.jobs.type: must be one of jsonl, prometheus, not None"),
        ('[sinks.jobs]\npath = "/a"', "sinks.jobs.type: must be one of jsonl, prometheus, not None"),
        ('[sinks.jobs]\ntype = "kafka"', "sinks.jobs.type: must be one of jsonl, prometheus, not 'kafka'"),
        ("[sinks.jobs]\ntype = 7", "sinks.jobs.type: must be one of jsonl, prometheus, not 7"),
        ('[sinks.jobs]\ntype = "jsonl"', "sinks.jobs.path: Field required"),
        (
            '[sinks.jobs]\ntype = "jsonl"\npath = "/a"\nmax_line_bytes = 100',
            "sinks.jobs.max_line_bytes: Input should be greater than or equal to 4096, not 100",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_key_and_its_value(text: str, fault: str, file: Path) -> None:
    assert faults(file, text) == [f"{file}: {fault}"]


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


def test_without_a_web_server_there_is_no_metrics_sink_unless_one_is_configured(file: Path) -> None:
    assert list(read(file, '[web]\nlisten = ""\n').sinks) == ["jobs"]
    assert list(read(file, '[web]\nlisten = ""\n[sinks.m]\ntype = "prometheus"\n').sinks) == ["m"]


def test_a_configured_metrics_sink_is_the_only_one(file: Path) -> None:
    assert list(read(file, '[sinks.m]\ntype = "prometheus"\n').sinks) == ["m"]


def test_configured_sinks_replace_the_default_file(file: Path) -> None:
    config = read(file, '[sinks.mine]\ntype = "jsonl"\npath = "/srv/mine.jsonl"\n')
    assert list(config.sinks) == ["mine", "prometheus"]


def test_a_backfill_goes_to_files_and_not_to_metrics_unless_told_otherwise(file: Path) -> None:
    config = read(file)
    assert jsonl(config).wants_backfill
    assert not PrometheusOptions(type="prometheus").wants_backfill
    assert PrometheusOptions(type="prometheus", backfill=True).wants_backfill


def test_a_configuration_cannot_be_changed_after_it_was_checked(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read(file).poll, "interval", 1)  # noqa: B010 - mypy would refuse it too


def test_open_set_and_revisions_are_configured(file: Path) -> None:
    poll = read(file).poll
    assert poll.open_set == 300
    assert len(poll.revise) == 20
    poll = read(file, '[poll]\nopen_set = "0s"\nrevise = ["state", "qos", "state"]').poll
    assert (poll.open_set, poll.revise) == (0, ("state", "qos"))
    poll = read(file, environ={"SLURMWATCHD_POLL__REVISE": "state,end"}).poll
    assert poll.revise == ("state", "end")


@pytest.mark.parametrize("name", ["stat", "db_index", "submit", "nodes"])
def test_a_field_whose_change_cannot_be_reported_is_named(file: Path, name: str) -> None:
    (fault,) = faults(file, f'[poll]\nrevise = ["state", "{name}"]')
    assert f"poll.revise: {name}: slurmwatchd cannot report changes of this field" in fault
