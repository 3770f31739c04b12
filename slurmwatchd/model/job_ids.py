"""Job ids as sacct prints them and people type them."""

import re

JOB_ID = r"[0-9]{1,18}([_+][0-9]{1,18}|_\[[0-9,:%.-]{1,1000}\])?"
"""`12`; a task `12_3`; a component `12+1`; the tasks of an array that never started `12_[0-9%2]`."""

NO_JOB_ID = "is not a job id such as 12, 12_3, 12+1 or 12_[0-9]"

_PATTERN = re.compile(JOB_ID, re.ASCII)


def is_job_id(text: str) -> bool:
    """Return whether a text has the form of a job id."""
    return bool(_PATTERN.fullmatch(text))
