"""The columns of what steps used: MaxRSS, AveCPU, TRESUsageInTot and the rest of their family."""

from __future__ import annotations

from . import tres
from .hostlists import nth_host
from .schema import INFINITE64, NO_VAL, NO_VAL64
from .times import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .query import Row

    Column = Callable[[Row, Row | None], bytes]

_MISSING = frozenset({INFINITE64, NO_VAL64})

_AMOUNTS: dict[str, tuple[str, int]] = {
    "AveCPU": ("in_ave", tres.CPU),
    "AveDiskRead": ("in_ave", tres.DISK),
    "AveDiskWrite": ("out_ave", tres.DISK),
    "AvePages": ("in_ave", tres.PAGES),
    "AveRSS": ("in_ave", tres.MEM),
    "AveVMSize": ("in_ave", tres.VMEM),
    "MaxDiskRead": ("in_max", tres.DISK),
    "MaxDiskWrite": ("out_max", tres.DISK),
    "MaxPages": ("in_max", tres.PAGES),
    "MaxRSS": ("in_max", tres.MEM),
    "MaxVMSize": ("in_max", tres.VMEM),
    "MinCPU": ("in_min", tres.CPU),
}

_REQUIRED = {
    "ReqCPUFreq": "req_cpufreq",
    "ReqCPUFreqMax": "req_cpufreq",
    "ReqCPUFreqMin": "req_cpufreq_min",
    "ReqCPUFreqGov": "req_cpufreq_gov",
}

_FAMILY = {
    "Ave": "ave",
    "Max": "max",
    "MaxNode": "max_nodeid",
    "MaxTask": "max_taskid",
    "Min": "min",
    "MinNode": "min_nodeid",
    "MinTask": "min_taskid",
    "Tot": "tot",
}


def _source(job: Row, step: Row | None) -> Row | None:
    """Name the step whose usage a line shows: on a job's line the one merged into it, if any."""
    return step if step is not None else job["merged"]


def usage_columns(printer: tres.TresPrinter, conversion: tres.Conversion) -> dict[str, Column]:
    """Build the usage columns, by name."""
    found: dict[str, Column] = {}
    for name, (kind, tres_id) in _AMOUNTS.items():
        found[name] = _amount(f"tres_usage_{kind}", tres_id, conversion)
    for name in ("MaxDiskRead", "MaxDiskWrite", "MaxPages", "MaxRSS", "MaxVMSize", "MinCPU"):
        kind, tres_id = _AMOUNTS[name]
        found[f"{name}Node"] = _node(f"tres_usage_{kind}_nodeid", tres_id)
        found[f"{name}Task"] = _task(f"tres_usage_{kind}_taskid", tres_id)
    for way in ("In", "Out"):
        for ending, column in _FAMILY.items():
            found[f"TRESUsage{way}{ending}"] = _family(f"tres_usage_{way.lower()}_{column}", ending, printer)
    found["NTasks"] = lambda _, step: b"%d" % step["task_cnt"] if step else b""
    for name, column in _REQUIRED.items():
        found[name] = _required_frequency(column, conversion)
    return found | _energy(conversion)


def _amount(column: str, tres_id: int, conversion: tres.Conversion) -> Column:
    def show(job: Row, step: Row | None) -> bytes:
        source = _source(job, step)
        count = tres.count_of(source[column], tres_id) if source else INFINITE64
        if count in _MISSING:
            return b""
        if tres_id == tres.CPU:
            return duration(count // 1000)
        if tres_id == tres.DISK:
            return conversion.mebibytes(count).encode()
        return conversion.number(count, tres.NONE).encode()

    return show


def _node(column: str, tres_id: int) -> Column:
    def show(job: Row, step: Row | None) -> bytes:
        source = _source(job, step)
        number = tres.count_of(source[column], tres_id) if source else INFINITE64
        return b"" if source is None or number in _MISSING else nth_host(source["nodelist"], number).encode()

    return show


def _task(column: str, tres_id: int) -> Column:
    def show(job: Row, step: Row | None) -> bytes:
        source = _source(job, step)
        number = tres.count_of(source[column], tres_id) if source else INFINITE64
        return b"" if number in _MISSING else b"%d" % number

    return show


def _family(column: str, ending: str, printer: tres.TresPrinter) -> Column:
    def show(job: Row, step: Row | None) -> bytes:
        source = _source(job, step)
        if source is None:
            return b""
        if ending.endswith("Task"):
            return printer.ids(source[column])
        if ending.endswith("Node"):
            return printer.hosts(source[column], source["nodelist"])
        return printer.counts(source[column], usage=True)

    return show


def _energy(conversion: tres.Conversion) -> dict[str, Column]:
    def joules(job: Row, step: Row | None) -> int | None:
        if step is not None:
            return int(step["consumed_energy"])
        count = tres.count_of(job["tres_alloc"], tres.ENERGY)
        if count == NO_VAL64:
            return None
        return 0 if count == INFINITE64 else count

    def energy(job: Row, step: Row | None) -> bytes:
        value = joules(job, step)
        return b"" if value is None else conversion.number(value, tres.NONE, divisor=1000, exact=False).encode()

    def energy_raw(job: Row, step: Row | None) -> bytes:
        value = joules(job, step)
        return b"" if value is None else b"%d" % value

    def frequency(_: Row, step: Row | None) -> bytes:
        if step is None:
            return b""
        return conversion.number(step["act_cpufreq"], tres.KILO, divisor=1000, exact=False).encode()

    return {
        "ConsumedEnergy": energy,
        "ConsumedEnergyRaw": energy_raw,
        "AveCPUFreq": frequency,
    }


def _required_frequency(column: str, conversion: tres.Conversion) -> Column:
    def show(_: Row, step: Row | None) -> bytes:
        wanted = step[column] if step else NO_VAL
        if wanted == NO_VAL:
            return b"Unknown"
        return conversion.number(wanted, tres.KILO, divisor=1000, exact=False).encode()

    return show
