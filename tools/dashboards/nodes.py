"""The dashboard of nodes: which fail jobs, and what they are used for."""

from tools.dashboards.grafana import Dashboard, Panel
from tools.dashboards.queries import CLUSTER, PARTITION, now_and_then, rate, share

NODES = Dashboard(
    name="nodes",
    title="nodes",
    text="Nodes whose failures cannot be chance, and what nodes do. `slurmwatchd nodes --suspect` has the "
    "evidence.",
    variables=("partition",),
    rows={
        "Suspects of the last day": (
            Panel(
                kind="table",
                title="Suspect nodes",
                width=12,
                height=9,
                text="A score of 3: one good node in a thousand such clusters would look as bad.",
                queries={"score": f"sort_desc(slurmwatchd_suspect_node_score{{{CLUSTER}}})"},
            ),
            Panel(
                title="Score",
                width=12,
                height=9,
                queries={"{{node}}": f"slurmwatchd_suspect_node_score{{{CLUSTER}}}"},
            ),
        ),
        "Failures that are not the jobs'": (
            Panel(
                title="Attempts lost to nodes an hour, by partition",
                width=8,
                stacked=True,
                queries={
                    "{{partition}}": "3600 * "
                    + rate(
                        "job_outcomes_total",
                        by="partition",
                        where=PARTITION + ', outcome=~"node_failure|boot_failure"',
                    )
                    + " or vector(0)"
                },
            ),
            Panel(
                title="Requeued an hour, by partition",
                width=8,
                stacked=True,
                queries={
                    "{{partition}}": "3600 * " + rate("job_requeues_total", by="partition") + " or vector(0)"
                },
            ),
            Panel(
                title="Ended within a minute",
                width=8,
                unit="percentunit",
                text="Of the attempts that started: a node that eats jobs ends them at once.",
                queries={
                    "{{partition}}": share(
                        rate("job_elapsed_seconds_bucket", by="partition", where=PARTITION + ', le="60.0"'),
                        rate("job_elapsed_seconds_count", by="partition"),
                    )
                },
            ),
        ),
        "Work": (
            Panel(
                title="Nodes",
                width=8,
                stacked=True,
                text="Node-seconds of the attempts that ended, a second.",
                queries={"{{partition}}": rate("ended_node_seconds_total", by="partition")},
            ),
            Panel(
                title="Nodes a job, 95th percentile",
                width=8,
                queries={"{{partition}}": now_and_then(0.95, "job_nodes", by="partition")},
            ),
            Panel(
                title="CPU-seconds a node-second",
                width=8,
                queries={
                    "{{partition}}": share(
                        rate("ended_cpu_seconds_total", by="partition"),
                        rate("ended_node_seconds_total", by="partition"),
                    )
                },
            ),
        ),
    },
)
