"""What an attempt and its steps cannot have used within their run on their nodes: it is kept as text.

A counter that went wrong shows so: more energy than the nodes can take, more processor time than they can give.
"""

from typing import Any

from slurmwatchd.model.records import StepRecord
from slurmwatchd.model.usage import CPUS_A_NODE, WATTS_A_NODE, MeasuredUsage, UsageRequest, node_seconds
from slurmwatchd.sources.sacct.step_fields import SPENT


def measurable(attempt: UsageRequest, measured: MeasuredUsage) -> MeasuredUsage:
    """Take for unread what an attempt and its steps cannot have used within their run on their nodes.

    Args:
        attempt: Which; where its run or its nodes are not known, nothing can be said.
        measured: What was read.
    """
    if attempt.run_seconds is None or attempt.node_count is None:
        return measured
    spent = node_seconds(attempt.run_seconds, attempt.node_count)
    if _is_measurable(measured, spent) and all(_is_measurable(step, spent) for step in measured.steps):
        return measured
    over = _over(measured, spent)
    nothing: dict[str, Any] = dict.fromkeys(over)
    raw = {SPENT[name]: text for name, text in over.items()}
    steps = []
    for step in measured.steps:
        beyond = _over(step, spent)
        raw |= {f"{step.id}.{SPENT[name]}": text for name, text in beyond.items()}
        unmeasured: dict[str, Any] = dict.fromkeys(beyond)
        steps.append(step._replace(**unmeasured))
    return measured._replace(**nothing, steps=steps, raw=raw | dict(measured.raw or {}))


def _is_measurable(amounts: MeasuredUsage | StepRecord, spent: int) -> bool:
    most = CPUS_A_NODE * spent
    return (
        (amounts.energy_joules or 0) <= WATTS_A_NODE * spent
        and (amounts.cpu_seconds or 0) <= most
        and (amounts.user_cpu_seconds or 0) <= most
        and (amounts.system_cpu_seconds or 0) <= most
    )


def _over(amounts: MeasuredUsage | StepRecord, spent: int) -> dict[str, str]:
    """Return what exceeds its limit, as text."""
    found = {}
    for name in SPENT:
        value = getattr(amounts, name)
        if value is not None and value > spent * (WATTS_A_NODE if name == "energy_joules" else CPUS_A_NODE):
            found[name] = str(value)
    return found
