"""The dashboard of the site: what ended, what it had, how long it waited, how well it used what it had."""

from tools.dashboards.grafana import Dashboard, Panel
from tools.dashboards.queries import FAILED, hours, mean, now_and_then, over, quantile, rate, share

SITE = Dashboard(
    name="site",
    title="the site",
    text="What ended, how it ended, what it had, how long it waited and how well it used what it had. All numbers "
    "are of ended attempts, counted once, in the moment in which slurmwatchd delivered them.",
    variables=("partition",),
    rows={
        "In the chosen time": (
            Panel(
                kind="stat",
                title="Attempts ended",
                width=4,
                height=4,
                queries={"attempts": over("jobs_ended_total")},
            ),
            Panel(
                kind="stat",
                title="Failed",
                width=4,
                height=4,
                unit="percentunit",
                text="Failed, out of memory, time limit, node failure, boot failure.",
                limits={0.1: "orange", 0.5: "red"},
                queries={"failed": share(over("job_outcomes_total", where=FAILED), over("jobs_ended_total"))},
            ),
            Panel(
                kind="stat",
                title="CPU-hours",
                width=4,
                height=4,
                queries={"hours": hours("ended_cpu_seconds_total")},
            ),
            Panel(
                kind="stat",
                title="GPU-hours",
                width=4,
                height=4,
                queries={"hours": hours("ended_gpu_seconds_total")},
            ),
            Panel(
                kind="stat",
                title="CPU efficiency",
                width=4,
                height=4,
                unit="percentunit",
                queries={"used": share(over("job_cpu_seconds_total"), over("job_allocated_cpu_seconds_total"))},
            ),
            Panel(
                kind="stat",
                title="Wait, 95th percentile",
                width=4,
                height=4,
                unit="s",
                queries={"wait": quantile(0.95, "job_wait_seconds")},
            ),
        ),
        "How attempts end": (
            Panel(
                title="Attempts an hour, by outcome",
                width=12,
                stacked=True,
                queries={"{{outcome}}": "3600 * " + rate("job_outcomes_total", by="outcome")},
            ),
            Panel(
                title="Attempts an hour, by partition",
                width=12,
                stacked=True,
                queries={"{{partition}}": "3600 * " + rate("jobs_ended_total", by="partition")},
            ),
            Panel(
                title="Failed, by partition",
                unit="percentunit",
                queries={
                    "{{partition}}": share(
                        rate("job_outcomes_total", by="partition", where=FAILED),
                        rate("jobs_ended_total", by="partition"),
                    )
                },
            ),
            Panel(
                title="Requeued and revised an hour",
                queries={
                    "requeued": "3600 * " + rate("job_requeues_total"),
                    "revised": "3600 * " + rate("job_revisions_total") + " or vector(0)",
                },
            ),
            Panel(
                title="Share of the time limit used, median",
                unit="percentunit",
                queries={"{{partition}}": now_and_then(0.5, "job_timelimit_used_ratio", by="partition")},
            ),
        ),
        "What they had": (
            Panel(
                title="CPUs",
                stacked=True,
                text="CPU-seconds of the attempts that ended, a second.",
                queries={"{{partition}}": rate("ended_cpu_seconds_total", by="partition")},
            ),
            Panel(
                title="GPUs, by type",
                stacked=True,
                text="GPU-seconds of the attempts that ended, a second.",
                queries={"{{gpu_type}}": rate("ended_gpu_seconds_total", by="gpu_type")},
            ),
            Panel(
                title="Nodes",
                stacked=True,
                text="Node-seconds of the attempts that ended, a second.",
                queries={"{{partition}}": rate("ended_node_seconds_total", by="partition")},
            ),
            Panel(
                title="Memory",
                stacked=True,
                unit="bytes",
                text="Byte-seconds of the attempts that ended, a second.",
                queries={"{{partition}}": rate("ended_memory_byte_seconds_total", by="partition")},
            ),
            Panel(
                title="Billing units",
                stacked=True,
                queries={"{{partition}}": rate("ended_billing_seconds_total", by="partition")},
            ),
            Panel(
                title="Power",
                unit="watt",
                text="Energy of the attempts whose usage was reported, a second.",
                queries={"{{partition}}": rate("job_energy_joules_total", by="partition") + " or vector(0)"},
            ),
            Panel(title="Nodes a job, on average", queries={"{{partition}}": mean("job_nodes", by="partition")}),
            Panel(
                title="Elapsed, median",
                unit="s",
                queries={"{{partition}}": now_and_then(0.5, "job_elapsed_seconds", by="partition")},
            ),
        ),
        "How long they waited": (
            Panel(
                title="From eligible to start, median",
                unit="s",
                width=8,
                queries={"{{partition}}": now_and_then(0.5, "job_wait_seconds", by="partition")},
            ),
            Panel(
                title="From eligible to start, 95th percentile",
                unit="s",
                width=8,
                queries={"{{partition}}": now_and_then(0.95, "job_wait_seconds", by="partition")},
            ),
            Panel(
                title="From submit to eligible, 95th percentile",
                unit="s",
                width=8,
                text="Dependencies, begin times and holds: what is not the queue's.",
                queries={"{{partition}}": now_and_then(0.95, "job_submit_to_eligible_seconds", by="partition")},
            ),
        ),
        "How well they used it": (
            Panel(
                title="CPU",
                unit="percentunit",
                queries={
                    "{{partition}}": share(
                        rate("job_cpu_seconds_total", by="partition"),
                        rate("job_allocated_cpu_seconds_total", by="partition"),
                    )
                },
            ),
            Panel(
                title="Memory, on average",
                unit="percentunit",
                queries={"{{partition}}": mean("job_memory_efficiency_ratio", by="partition")},
            ),
            Panel(
                title="GPU, on average",
                unit="percentunit",
                text="Empty unless Slurm gathers gres/gpuutil.",
                queries={"{{partition}}": mean("job_gpu_efficiency_ratio", by="partition")},
            ),
        ),
    },
)
