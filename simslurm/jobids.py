"""Job ids as sacct prints and reads them: `12`, `12_3`, `12_[0-9%2]`, `12+1`, `12.batch`."""

from __future__ import annotations

from itertools import pairwise

from .schema import NO_VAL, STEP_IDS, STEP_NAMES

_DEFAULT_LENGTH = 64
_LONGEST = 4096
_STEP_FORM_SPAN = 10


class JobIdError(ValueError):
    """A -j argument Slurm does not take; the text is Slurm's."""


class Selected:
    """One entry of -j.

    Attributes:
        job_id: The number in front.
        task: The array task after `_`, or None.
        offset: The component after `+`, or None.
        step: The step after `.`, or None.
    """

    __slots__ = ("job_id", "offset", "step", "task")

    def __init__(self, job_id: int, task: int | None, offset: int | None, step: int | None) -> None:
        """Keep the four."""
        self.job_id = job_id
        self.task = task
        self.offset = offset
        self.step = step


def parse_selected(text: str) -> list[Selected]:
    """Read the argument of -j.

    Raises:
        JobIdError: With what sacct says.
    """
    found = []
    for entry in text.split(","):
        if not entry.strip():
            continue
        job, dot, step_text = entry.strip().partition(".")
        step = _step(step_text, entry) if dot else None
        head, separator, tail = job, "", ""
        for mark in "_+":
            if mark in job:
                head, separator, tail = job.partition(mark)
                break
        if not head.isdigit():
            message = f"Bad job/step specified: {entry.strip()}"
            raise JobIdError(message)
        if separator and not tail.isdigit():
            message = f"Bad job array element specified: {head}"
            raise JobIdError(message)
        task = int(tail) if separator == "_" else None
        offset = int(tail) if separator == "+" else None
        found.append(Selected(int(head), task, offset, step))
    return found


def _step(text: str, entry: str) -> int:
    if text in STEP_IDS:
        return STEP_IDS[text]
    if text == "TBD":  # Slurm reads TBD and prints TDB
        return STEP_IDS["TDB"]
    number = text.partition("+")[0]
    if not number.isdigit():
        message = f"Bad job/step specified: {entry}"
        raise JobIdError(message)
    return int(number)


def task_numbers(mask: str) -> list[int]:
    """List the tasks of an array mask such as `0x15` (0, 2 and 4)."""
    bits = int(mask, 16)
    return [number for number in range(bits.bit_length()) if bits >> number & 1]


def task_mask(numbers: list[int]) -> str:
    """Write tasks as slurmdbd stores them."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return f"0x{bits:X}"


def task_expression(mask: str, max_tasks: int, bitstr_len: str | None) -> str:
    """Write the tasks of a pending array: `0-99:3%4`.

    Args:
        mask: As stored.
        max_tasks: The limit after `%`; 0 is none.
        bitstr_len: SLURM_BITSTR_LEN. None is 64 bytes, which may cut the text; 0 is all of it.
    """
    limit = f"%{max_tasks}" if max_tasks else ""
    numbers = task_numbers(mask)
    if not numbers:
        return limit
    stepped = _step_form(numbers)
    if stepped:
        return stepped + limit
    text = _ranges(numbers)
    length = _length(bitstr_len)
    if length and len(text) > length - 3:
        text = text[: max(length - 4, 0)] + "..."[: length - 1]
    return text + limit


def _length(bitstr_len: str | None) -> int:
    if bitstr_len is None:
        return _DEFAULT_LENGTH
    digits = bitstr_len.strip()
    if digits.startswith("-"):
        return _DEFAULT_LENGTH
    return min(int(digits), _LONGEST) if digits.isdigit() else 0


def _step_form(numbers: list[int]) -> str:
    if len(numbers) < 2 or numbers[-1] - numbers[0] <= _STEP_FORM_SPAN:  # noqa: PLR2004 - a step needs two
        return ""
    step = numbers[1] - numbers[0]
    if step == 1 or any(after - before != step for before, after in pairwise(numbers)):
        return ""
    return f"{numbers[0]}-{numbers[-1]}:{step}" if len(numbers) > 2 else ""  # noqa: PLR2004 - two are listed


def _ranges(numbers: list[int]) -> str:
    parts: list[tuple[int, int]] = []
    for number in numbers:
        if parts and parts[-1][1] + 1 == number:
            parts[-1] = (parts[-1][0], number)
        else:
            parts.append((number, number))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def job_id_text(job: dict[str, object], bitstr_len: str | None) -> str:
    """Write the JobID column of a job row."""
    mask = job["array_task_str"]
    if mask:
        text = mask.decode() if isinstance(mask, bytes) else str(mask)
        limit = job["array_max_tasks"]
        assert isinstance(limit, int)  # noqa: S101 - narrows the type
        return f"{job['id_array_job']}_[{task_expression(text, limit, bitstr_len)}]"
    if job["id_array_job"] and job["id_array_task"] != NO_VAL:
        return f"{job['id_array_job']}_{job['id_array_task']}"
    if job["het_job_id"]:
        return f"{job['het_job_id']}+{job['het_job_offset']}"
    return f"{job['id_job']}"


def step_id_text(id_step: int, het_component: int) -> str:
    """Write what comes after the dot."""
    text = STEP_NAMES.get(id_step) or str(id_step)
    return text if het_component == NO_VAL else f"{text}+{het_component}"


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def sluid_text(number: int) -> str:
    """Write a SLUID: `s` and 13 digits of Crockford's base 32."""
    digits = []
    for _ in range(13):
        number, digit = divmod(number, 32)
        digits.append(_CROCKFORD[digit])
    return "s" + "".join(reversed(digits))
