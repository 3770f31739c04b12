"""The daemon's own metrics. The prometheus sink has the counters of ended jobs, not this module.

One `Metrics` is made at start-up and handed down; nothing registers itself anywhere at import.
"""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from slurmwatchd._version import __version__
from slurmwatchd.model.job_metrics import DEFAULT_CHOICE
from slurmwatchd.telemetry.exposition import Registry

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """The daemon's own instruments, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:  # noqa: PLR0915 - a line a series
        """Register everything; `slurm_cluster` labels the cluster a series is about, `sink` the sink."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or Registry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(_BuildInfo())
        self.label_choice = DEFAULT_CHOICE
        """Which labels the metrics of ended jobs have; replaced as a whole by a reload."""
        self.with_exemplars = False
        """Whether the histograms of elapsed time and of waits show jobs."""
        self.known_partitions: Mapping[str, Sequence[str]] = {}
        """The partitions of each cluster, as far as slurmctld named them; replaced as a whole."""
        self.suspects = SuspectScores()
        self.registry.register(self.suspects)
        cluster = ["slurm_cluster"]
        sink = ["sink"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(f"slurmwatchd_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(f"slurmwatchd_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"slurmwatchd_{name}", text, labels, registry=self.registry, buckets=buckets)

        self.polls = counter("polls_total", "Queries to sacct, complete or not.", cluster)
        self.poll_failures = counter(
            "poll_failures_total", "Queries to sacct whose answer was not proved complete.", [*cluster, "reason"]
        )
        self.poll_seconds = histogram(
            "poll_duration_seconds", "Time sacct took for one window of end times.", cluster, _SECONDS
        )
        self.sacct_seconds = counter(
            "sacct_seconds_total", "Time spent in sacct: the daemon's cost for slurmdbd.", cluster
        )
        self.breaker_open = gauge(
            "breaker_open", "1 while sacct must answer a cheap probe before the next query.", cluster
        )
        self.suspicion = gauge(
            "suspicion",
            "1 while sacct's answers look incomplete, by suspected reason.",
            [*cluster, "reason"],
        )
        self.gone = counter(
            "gone_attempts_total", "Attempts that slurmdbd once showed and no longer has.", cluster
        )
        self.open_jobs = gauge("open_jobs", "Jobs in the last list of open jobs.", cluster)
        self.missing_jobs = gauge(
            "missing_jobs", "Jobs that vanished from the list of open jobs without a known end.", cluster
        )
        self.rows = counter("sacct_rows_total", "Rows sacct printed, repeats included.", cluster)
        self.records = counter(
            "records_total",
            "Attempts seen for the first time, by the kind of query that found them.",
            [*cluster, "found_by"],
        )
        self.revisions = counter(
            "revisions_total", "Attempts that changed after the daemon had stored them.", cluster
        )
        self.quarantined = counter(
            "quarantined_rows_total", "Rows without a readable key, each counted once.", cluster
        )
        self.unsettled = gauge("unsettled_rows", "Half-written rows the daemon is waiting for.", cluster)
        self.unparsed = counter("unparsed_values_total", "Values kept as raw text, repeats included.", cluster)
        self.step_lists = counter("step_lists_total", "sacct calls for the steps of a list of jobs.", cluster)
        self.step_failures = counter(
            "step_list_failures_total",
            "sacct calls for steps that were not proved complete; the daemon retries them.",
            cluster,
        )
        self.step_seconds = counter(
            "step_sacct_seconds_total", "Time spent in sacct for steps; included in sacct_seconds_total.", cluster
        )
        self.usages = counter("usages_total", "Attempts whose usage was reported.", cluster)
        self.usages_incomplete = counter(
            "usages_incomplete_total", "Attempts whose usage was reported with steps missing.", cluster
        )
        self.usage_waiting = gauge("usage_waiting_attempts", "Attempts that wait for their usage.", cluster)
        self.last_poll = gauge(
            "last_successful_poll_timestamp_seconds", "When an answer of sacct was last proved complete.", cluster
        )
        self.watermark = gauge(
            "watermark_timestamp_seconds",
            "Everything that ended before this, and was visible then, is in the store.",
            cluster,
        )
        self.purged_gap = gauge(
            "purged_gap_seconds",
            "Length of the stretches that slurmdbd purged before the daemon read them.",
            cluster,
        )
        self.backfill_left = gauge(
            "backfill_left_seconds", "Length of the stretches that backfills still have to read.", cluster
        )
        self.up = gauge("slurmdbd_up", "1 if the last answer of sacct was complete.", cluster)
        self.scontrol_failures = counter(
            "scontrol_failures_total",
            "Batches of node lists that ClusterShell expanded because scontrol failed or miscounted.",
            cluster,
        )
        self.nodelist_failures = counter(
            "nodelist_failures_total", "Node lists that could not be expanded.", cluster
        )
        self.nodelist_mismatches = counter(
            "nodelist_mismatches_total",
            "Attempts whose expanded node list does not match Slurm's node count.",
            cluster,
        )
        self.delivered = counter("sink_events_total", "Events delivered since the start.", sink)
        self.left_out = counter("sink_left_out_events_total", "Events not meant for a sink by its options.", sink)
        self.set_aside = counter(
            "sink_set_aside_events_total", "Events that a receiver refused so often that they were given up.", sink
        )
        self.sink_failures = counter("sink_failures_total", "Failed deliveries; the daemon retries them.", sink)
        self.sink_up = gauge("sink_up", "1 if the last delivery succeeded.", sink)
        self.sink_seq = gauge("sink_cursor_events", "Position of the newest event delivered.", sink)
        self.store_seq = gauge("store_newest_events", "Position of the newest event in the store.", [])
        self.oldest_undelivered = gauge(
            "sink_oldest_undelivered_timestamp_seconds",
            "When the daemon first saw the oldest event the sink has not received; 0 if there is none.",
            sink,
        )
        self.jsonl_torn = counter(
            "jsonl_torn_lines_total",
            "Truncated last lines that the sink terminated, or completed after a crash.",
            sink,
        )
        self.disk_full = gauge(
            "disk_full", "1 while a part (store, spool, or a sink) waits for room on its disk.", ["part"]
        )
        self.store_bytes = gauge("store_size_bytes", "Size of the store's file.", [])
        self.store_free_bytes = gauge(
            "store_free_bytes", "Free space inside the store's file, used before the file grows.", []
        )
        self.store_rebuilt = gauge(
            "store_rebuilt_timestamp_seconds",
            "When the daemon last rebuilt a damaged or lost store; 0 if never.",
            [],
        )
        self.archive_files = counter(
            "archive_written_files_total", "Days written to the archive, repeats included.", cluster
        )
        self.archive_failures = counter(
            "archive_failures_total", "Failures to write the archive; the daemon tries again.", []
        )
        self.archive_attempts = gauge("archive_attempts", "Attempts in the archive.", [])
        self.archive_bytes = gauge("archive_size_bytes", "Size of the archive's files.", [])
        self.archive_waiting = gauge(
            "archive_waiting_files", "Finished days that the archive does not have in full.", []
        )
        self.archive_waiting_since = gauge(
            "archive_waiting_since_timestamp_seconds",
            "Since when the first of these days could have been written; 0 if none waits.",
            [],
        )
        self.archive_success = gauge(
            "archive_last_success_timestamp_seconds",
            "When the archive last had every finished day; 0 before, and without an archive.",
            [],
        )
        self.retention_held = gauge(
            "retention_held_seconds",
            "How much longer than retain the store keeps a cluster's attempts, because later ones are unread.",
            cluster,
        )
        self.pruned = counter("store_pruned_rows_total", "Expired rows removed from the store.", ["table"])
        self.nudges = counter("nudges_total", "Nudges received: each says that a job has just ended.", [])
        self.loop_lag = histogram("event_loop_lag_seconds", "Delay of timers in the event loop.", [], _LAG_SECONDS)
        self.reload_success = gauge(
            "config_last_reload_successful", "1 if the last reload of the configuration succeeded.", []
        )
        self.reload_time = gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last loaded.", []
        )
        part = ["part"]
        self.certificate_start = gauge(
            "certificate_start_timestamp_seconds",
            "When the certificate of a part (web, or a sink) became valid; absent without one.",
            part,
        )
        self.certificate_expiry = gauge(
            "certificate_expiry_timestamp_seconds",
            "When the certificate of a part, or the first of its chain, expires.",
            part,
        )
        self.token_expiry = gauge(
            "token_expiry_timestamp_seconds",
            "When the token for Slurm's commands ends; 0 without one, or never.",
            [],
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


class SuspectScores(Collector):
    """The nodes whose failures cannot be chance, the worst of them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._shown: Mapping[str, Mapping[str, float]] = {}

    def show(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Replace them all: cluster to node to score."""
        self._shown = scores

    def collect(self) -> list[GaugeMetricFamily]:
        """Return fresh families."""
        family = GaugeMetricFamily(
            "slurmwatchd_suspect_node_score",
            "Nodes whose failures of the last day cannot be chance: the power of ten of how unlikely that is.",
            labels=["slurm_cluster", "node"],
        )
        for cluster, nodes in self._shown.items():
            for node, score in nodes.items():
                family.add_metric([cluster, node], score)
        return [family]
