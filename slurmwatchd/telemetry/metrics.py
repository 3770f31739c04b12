"""What the daemon tells of itself. The ended-job counters are the prometheus sink's, not these.

One `Metrics` is made at start-up and handed down; nothing registers itself anywhere at import.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from slurmwatchd._version import __version__

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """The daemon's own instruments, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:  # noqa: PLR0915 - a line a series
        """Register everything; `slurm_cluster` labels the cluster a series is about, `sink` the sink."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(_BuildInfo())
        cluster = ["slurm_cluster"]
        sink = ["sink"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(f"slurmwatchd_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(f"slurmwatchd_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"slurmwatchd_{name}", text, labels, registry=self.registry, buckets=buckets)

        self.polls = counter("polls_total", "Readings of sacct, complete or not.", cluster)
        self.poll_failures = counter(
            "poll_failures_total", "Readings of sacct that were not proved complete.", [*cluster, "reason"]
        )
        self.poll_seconds = histogram(
            "poll_duration_seconds", "Time sacct took for one window.", cluster, _SECONDS
        )
        self.sacct_seconds = counter(
            "sacct_seconds_total", "Time spent in sacct: what the daemon costs slurmdbd.", cluster
        )
        self.breaker_open = gauge(
            "breaker_open", "Whether a cheap probe must be answered before the next reading.", cluster
        )
        self.suspicion = gauge(
            "suspicion",
            "Whether sacct's answers cannot be all there is, by what is suspected.",
            [*cluster, "reason"],
        )
        self.gone = counter(
            "gone_attempts_total", "Attempts that slurmdbd showed once and no longer has.", cluster
        )
        self.open_jobs = gauge("open_jobs", "Jobs that had not ended when they were last listed.", cluster)
        self.missing_jobs = gauge(
            "missing_jobs", "Jobs that vanished from the list of open ones without a known end.", cluster
        )
        self.rows = counter("sacct_rows_total", "Rows sacct printed, repeats included.", cluster)
        self.records = counter(
            "records_total", "Attempts seen for the first time, by what found them.", [*cluster, "found_by"]
        )
        self.revisions = counter("revisions_total", "Attempts that changed after they were sent.", cluster)
        self.quarantined = counter("quarantined_rows_total", "Rows that cannot be keyed, each once.", cluster)
        self.unsettled = gauge("unsettled_rows", "Rows slurmdbd has not finished writing, waited for.", cluster)
        self.unparsed = counter(
            "unparsed_values_total", "Values of records that were kept as raw text, repeats included.", cluster
        )
        self.step_lists = counter(
            "step_lists_total", "Calls of sacct that ask for the steps of a list of jobs.", cluster
        )
        self.step_failures = counter(
            "step_list_failures_total",
            "Calls for steps that were not proved complete, and are made again.",
            cluster,
        )
        self.step_seconds = counter(
            "step_sacct_seconds_total", "Time spent in sacct for steps; sacct_seconds_total has it too.", cluster
        )
        self.usages = counter("usages_total", "Attempts whose usage was told.", cluster)
        self.usages_incomplete = counter(
            "usages_incomplete_total", "Attempts whose usage was told with steps missing.", cluster
        )
        self.usage_waiting = gauge("usage_waiting_attempts", "Attempts whose usage is still to be told.", cluster)
        self.last_poll = gauge(
            "last_successful_poll_timestamp_seconds", "When a reading was last proved complete.", cluster
        )
        self.watermark = gauge(
            "watermark_timestamp_seconds",
            "Everything that ended before this, and was visible then, is in the store.",
            cluster,
        )
        self.purged_gap = gauge(
            "purged_gap_seconds", "End times that were never read and that slurmdbd has purged.", cluster
        )
        self.backfill_left = gauge(
            "backfill_left_seconds", "End times that backfills still have to read.", cluster
        )
        self.up = gauge("slurmdbd_up", "Whether the last reading of sacct was complete.", cluster)
        self.scontrol_failures = counter(
            "scontrol_failures_total",
            "Batches of node lists that scontrol could not expand, or miscounted, and ClusterShell did.",
            cluster,
        )
        self.nodelist_failures = counter(
            "nodelist_failures_total", "Node lists that could not be expanded.", cluster
        )
        self.nodelist_mismatches = counter(
            "nodelist_mismatches_total",
            "Attempts whose node list has another count than Slurm gave.",
            cluster,
        )
        self.delivered = counter("sink_events_total", "Events delivered since the start.", sink)
        self.left_out = counter("sink_left_out_events_total", "Events not meant for a sink by its options.", sink)
        self.set_aside = counter(
            "sink_set_aside_events_total", "Events that a receiver refused so often that they were given up.", sink
        )
        self.sink_failures = counter("sink_failures_total", "Deliveries that failed and are tried again.", sink)
        self.sink_up = gauge("sink_up", "Whether the last delivery succeeded.", sink)
        self.sink_seq = gauge("sink_cursor_events", "Position of the newest event delivered.", sink)
        self.store_seq = gauge("store_newest_events", "Position of the newest event in the store.", [])
        self.oldest_undelivered = gauge(
            "sink_oldest_undelivered_timestamp_seconds",
            "When the oldest event a sink has not got was first seen; 0 where it has all.",
            sink,
        )
        self.jsonl_torn = counter(
            "jsonl_torn_lines_total", "Last lines found cut off and ended, or completed after a crash.", sink
        )
        self.disk_full = gauge(
            "disk_full", "Whether a part waits for room on its disk: store, spool, or a sink.", ["part"]
        )
        self.store_bytes = gauge("store_size_bytes", "Size of the store's file.", [])
        self.store_free_bytes = gauge(
            "store_free_bytes", "Room inside the store's file that is used again before it grows.", []
        )
        self.store_rebuilt = gauge(
            "store_rebuilt_timestamp_seconds",
            "When a damaged or lost store was last made anew; 0 where it never was.",
            [],
        )
        self.pruned = counter(
            "store_pruned_rows_total", "Rows of the store removed because their time was over.", ["table"]
        )
        self.loop_lag = histogram(
            "event_loop_lag_seconds", "How late the event loop ran a timer.", [], _LAG_SECONDS
        )
        self.reload_success = gauge(
            "config_last_reload_successful", "Whether the last reload of the configuration worked.", []
        )
        self.reload_time = gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last read.", []
        )


class _BuildInfo:
    """Which version this is."""

    def describe(self) -> list[InfoMetricFamily | GaugeMetricFamily]:
        return []

    def collect(self) -> list[InfoMetricFamily | GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "slurmwatchd_build_info", "The version of slurmwatchd; always 1.", labels=["version"]
        )
        family.add_metric([__version__], 1)
        return [family]
