"""The dashboard of accounts and users: who used what, and how well."""

from tools.dashboards.grafana import Dashboard, Panel
from tools.dashboards.queries import CLUSTER, FAILED, PARTITION, hours, now_and_then, over, rate, share

_OF_ACCOUNT = PARTITION + ', account=~"$account"'

ACCOUNTS = Dashboard(
    name="accounts",
    title="accounts and users",
    text="Who used what, and how well. [metrics] labels must have account and user; `other` is all who are not "
    "among the biggest.",
    variables=("partition", "account"),
    rows={
        "Accounts, in the chosen time": (
            Panel(
                kind="table",
                title="Accounts",
                width=24,
                height=9,
                queries={
                    "attempts": over("jobs_ended_total", by="account"),
                    "CPU-hours": hours("ended_cpu_seconds_total", by="account"),
                    "GPU-hours": hours("ended_gpu_seconds_total", by="account"),
                    "node-hours": hours("ended_node_seconds_total", by="account"),
                    "CPU efficiency": share(
                        over("job_cpu_seconds_total", by="account"),
                        over("job_allocated_cpu_seconds_total", by="account"),
                    ),
                    "failed": share(
                        over("job_outcomes_total", by="account", where=FAILED),
                        over("jobs_ended_total", by="account"),
                    ),
                },
            ),
            Panel(
                kind="bargauge",
                title="CPU-hours, by account",
                width=12,
                queries={"{{account}}": f"topk(10, {hours('ended_cpu_seconds_total', by='account')})"},
            ),
            Panel(
                kind="bargauge",
                title="GPU-hours, by account",
                width=12,
                queries={"{{account}}": f"topk(10, {hours('ended_gpu_seconds_total', by='account')})"},
            ),
            Panel(
                title="CPUs, by account",
                stacked=True,
                width=12,
                queries={"{{account}}": f"topk(15, {rate('ended_cpu_seconds_total', by='account')})"},
            ),
            Panel(
                title="Attempts an hour, by account",
                stacked=True,
                width=12,
                queries={"{{account}}": f"topk(15, 3600 * {rate('jobs_ended_total', by='account')})"},
            ),
        ),
        "Users, in the chosen time": (
            Panel(
                kind="table",
                title="Users",
                width=24,
                height=11,
                queries={
                    "attempts": over("jobs_ended_total", by="user, account", where=_OF_ACCOUNT),
                    "CPU-hours": hours("ended_cpu_seconds_total", by="user, account", where=_OF_ACCOUNT),
                    "GPU-hours": hours("ended_gpu_seconds_total", by="user, account", where=_OF_ACCOUNT),
                    "CPU efficiency": share(
                        over("job_cpu_seconds_total", by="user, account", where=_OF_ACCOUNT),
                        over(
                            "job_allocated_cpu_seconds_total",
                            by="user, account",
                            where=_OF_ACCOUNT,
                        ),
                    ),
                },
            ),
            Panel(
                kind="bargauge",
                title="CPU-hours, by user",
                width=8,
                queries={"{{user}}": f"topk(15, {hours('ended_cpu_seconds_total', by='user')})"},
            ),
            Panel(
                kind="bargauge",
                title="GPU-hours, by user",
                width=8,
                queries={"{{user}}": f"topk(15, {hours('ended_gpu_seconds_total', by='user')})"},
            ),
            Panel(
                kind="bargauge",
                title="Failed attempts, by user",
                width=8,
                queries={"{{user}}": f"topk(15, {over('job_outcomes_total', by='user', where=FAILED)})"},
            ),
            Panel(
                title="Wait, 95th percentile, of the ten that wait longest",
                unit="s",
                width=12,
                queries={"{{user}}": f"topk(10, {now_and_then(0.95, 'job_wait_seconds', by='user')})"},
            ),
            Panel(
                title="Attempts counted as other",
                unit="percentunit",
                width=12,
                text="If this is much, raise max_label_sets of the prometheus sink.",
                queries={
                    "other": "("
                    + over("jobs_ended_total", where=CLUSTER + ', user="other"')
                    + " or vector(0)) / "
                    + over("jobs_ended_total", where=CLUSTER)
                },
            ),
        ),
    },
)
