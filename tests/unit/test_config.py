"""The configuration: its defaults, what each key takes, and which of file, variables and flags wins."""

from pathlib import Path

import pytest

from slurmwatchd.config.loader import load
from slurmwatchd.errors import ConfigError
from slurmwatchd.sinks.prometheus import PrometheusOptions
from tests.unit.configurations import MODELS, faults, jsonl, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slurmwatchd.toml"


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


def test_every_list_of_a_sink_is_written_with_commas_in_a_variable(file: Path) -> None:
    given = {
        "EVENTS": "job_ended,job_usage",
        "OUTCOMES": "failed, out_of_memory",
        "STATES": "f,TIMEOUT",
        "NODES": "n[1,3-4], gpu*",
    }
    environ = {f"SLURMWATCHD_SINKS__JOBS__{name}": text for name, text in given.items()}
    config = read(file, '[sinks.jobs]\ntype = "jsonl"\npath = "/a"\n', environ=environ)
    assert config.sinks["jobs"].model_dump(include={name.lower() for name in given}) == {
        "events": ("job_ended", "job_usage"),
        "outcomes": ("failed", "out_of_memory"),
        "states": ("FAILED", "TIMEOUT"),
        "nodes": ("n[1,3-4]", "gpu*"),
    }


def test_prices_are_a_table_and_in_a_variable_pairs(file: Path) -> None:
    table = '[report]\nprices = { cpu = 0.5, "gres/gpu:a100" = 2 }\n'
    assert read(file, table).report.prices == {"cpu": 0.5, "gres/gpu:a100": 2.0}
    given = {"SLURMWATCHD_REPORT__PRICES": "mem=0.1, gres/gpu:a100=3"}
    assert read(file, table, environ=given).report.prices == {"mem": 0.1, "gres/gpu:a100": 3.0}
    for wrong, message in (("cpu = -1", "must be at least 0"), ('cpu = "x"', "valid number")):
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


def test_a_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf[poll]\ninterval = "7s"\n')
    assert load(file, sink_options=MODELS, environ={}).poll.interval == 7


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
