"""The dashboard of the daemon: whether it sees everything and delivers it, and what that costs."""

from tools.dashboards.grafana import Dashboard, Panel
from tools.dashboards.queries import CLUSTER, now, now_and_then, rate

DAEMON = Dashboard(
    name="daemon",
    title="the daemon",
    text="Whether slurmwatchd sees everything, delivers it, and what that costs.",
    rows={
        "Now": (
            Panel(
                kind="stat",
                title="slurmdbd",
                width=4,
                height=4,
                text="1: the last answer of sacct was complete.",
                queries={"{{slurm_cluster}}": now("slurmdbd_up")},
            ),
            Panel(
                kind="stat",
                title="Everything read up to, ago",
                width=4,
                height=4,
                unit="s",
                limits={600.0: "orange", 3600.0: "red"},
                queries={"{{slurm_cluster}}": "time() - " + now("watermark_timestamp_seconds")},
            ),
            Panel(
                kind="stat",
                title="Sinks that deliver",
                width=4,
                height=4,
                queries={"{{sink}}": "min by (sink) (slurmwatchd_sink_up)"},
            ),
            Panel(
                kind="stat",
                title="Waiting for sinks, since",
                width=4,
                height=4,
                unit="s",
                limits={300.0: "orange", 3600.0: "red"},
                queries={
                    "{{sink}}": "(time() - (slurmwatchd_sink_oldest_undelivered_timestamp_seconds > 0)) "
                    "or (0 * slurmwatchd_sink_up)"
                },
            ),
            Panel(
                kind="stat",
                title="Quarantined rows",
                width=4,
                height=4,
                limits={1.0: "orange"},
                queries={"rows": "sum (slurmwatchd_quarantined_rows_total) or vector(0)"},
            ),
            Panel(
                kind="stat", title="Version", width=4, height=4, queries={"{{version}}": "slurmwatchd_build_info"}
            ),
        ),
        "Reading": (
            Panel(
                title="Attempts found an hour",
                stacked=True,
                queries={"{{found_by}}": "3600 * " + rate("records_total", by="found_by", where=CLUSTER)},
            ),
            Panel(
                title="From end until seen, 95th percentile",
                unit="s",
                queries={
                    "{{slurm_cluster}}": now_and_then(
                        0.95, "detection_lag_seconds", by="slurm_cluster", where=CLUSTER
                    )
                },
            ),
            Panel(
                title="Late records an hour",
                text="First seen over five minutes after their end.",
                queries={
                    "{{found_by}}": "3600 * "
                    + rate("late_records_total", by="found_by", where=CLUSTER)
                    + " or vector(0)"
                },
            ),
            Panel(
                title="sacct: share of the time",
                unit="percentunit",
                queries={"{{slurm_cluster}}": rate("sacct_seconds_total", by="slurm_cluster", where=CLUSTER)},
            ),
            Panel(
                title="A poll, 95th percentile",
                unit="s",
                queries={
                    "{{slurm_cluster}}": now_and_then(
                        0.95, "poll_duration_seconds", by="slurm_cluster", where=CLUSTER
                    )
                },
            ),
            Panel(
                title="Failures of sacct an hour",
                queries={
                    "{{slurm_cluster}} {{reason}}": "3600 * "
                    + rate("poll_failures_total", by="slurm_cluster, reason", where=CLUSTER)
                    + " or vector(0)"
                },
            ),
            Panel(title="Open jobs", queries={"{{slurm_cluster}}": now("open_jobs")}),
            Panel(title="Vanished without an end", queries={"{{slurm_cluster}}": now("missing_jobs")}),
            Panel(title="Waiting for their usage", queries={"{{slurm_cluster}}": now("usage_waiting_attempts")}),
        ),
        "Delivering": (
            Panel(
                title="Events a second",
                stacked=True,
                queries={"{{sink}}": "sum by (sink) (rate(slurmwatchd_sink_events_total[$__rate_interval]))"},
            ),
            Panel(
                title="Events behind",
                queries={
                    "{{sink}}": "max by (sink) (slurmwatchd_store_newest_events - ignoring (sink) group_right () "
                    "slurmwatchd_sink_cursor_events)"
                },
            ),
            Panel(
                title="Failed deliveries an hour",
                queries={
                    "{{sink}}": "3600 * sum by (sink) (rate(slurmwatchd_sink_failures_total[$__rate_interval])) "
                    "or vector(0)"
                },
            ),
        ),
        "The process": (
            Panel(
                title="CPU",
                unit="percentunit",
                queries={
                    "slurmwatchd": 'rate(process_cpu_seconds_total{job=~".*slurmwatchd.*"}[$__rate_interval])'
                },
            ),
            Panel(
                title="Memory",
                unit="bytes",
                queries={"slurmwatchd": 'process_resident_memory_bytes{job=~".*slurmwatchd.*"}'},
            ),
            Panel(
                title="Store",
                unit="bytes",
                queries={"file": "slurmwatchd_store_size_bytes", "free in it": "slurmwatchd_store_free_bytes"},
            ),
            Panel(
                title="Event loop, 99th percentile of the delay",
                unit="s",
                queries={
                    "delay": "histogram_quantile(0.99, sum by (le) "
                    "(rate(slurmwatchd_event_loop_lag_seconds_bucket[$__rate_interval])))"
                },
            ),
            Panel(
                title="Label sets of each metric",
                text="The limit is max_label_sets of the prometheus sink.",
                queries={
                    "jobs_ended": "count (slurmwatchd_jobs_ended_total)",
                    "job_wait": "count (slurmwatchd_job_wait_seconds_count)",
                },
            ),
            Panel(
                title="Counted as other an hour",
                queries={
                    "{{family}}": "3600 * sum by (family) "
                    "(rate(slurmwatchd_label_sets_folded_total[$__rate_interval])) or vector(0)"
                },
            ),
        ),
    },
)
