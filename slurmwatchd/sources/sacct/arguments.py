"""Sacct's arguments for each thing that is asked of it.

Always `-D`: without it only the newest attempt of a requeued job is shown. Always `-X`: no steps, which the window
would cut. Always both of `-S` and `-E`, as `uts`, which no zone or daylight saving can bend: their defaults depend
on the other options.
"""

from collections.abc import Iterable, Sequence

from slurmwatchd.model.windows import Window

TERMINAL_STATES = "CA,CD,F,NF,PR,TO,BF,DL,OOM,RQ,RS,RV"
"""With these, and only these, sacct asks for `time_end BETWEEN start AND end`, both ends included, in every
release from 20.11 to 26.05; one of R, PD or S among them would cost the index."""

AHEAD_SECONDS = 3600
"""How far into the future jobs asked for by id may have been submitted: slurmctld's clock may be ahead of ours."""


EARLIEST_SECONDS = 1_000_000
"""1970-01-12T13:46:40Z: with a smaller number behind `uts` sacct refuses the whole call, in every release."""


def window_arguments(window: Window, fields: Sequence[str], *, delimiter: str, cluster: str = "") -> list[str]:
    """Return sacct's arguments for the attempts that ended in a window.

    Args:
        window: Half-open; sacct's own window includes its last second, so that is one less.
        fields: The names to print, in order.
        delimiter: Printed after each value.
        cluster: Another than the local one.
    """
    # slurmctld dates the ends and its clock may be ahead of ours, so a poll asks ahead: as far as it looks back,
    # which keeps it within MaxQueryTimeRange once the window is.
    start, until = window.asked
    end = until + window.seconds if window.head else max(until - 1, start)
    return [
        *_beginning(delimiter, cluster),
        "-s", TERMINAL_STATES, "-S", uts(start), "-E", uts(end), "-o", ",".join(fields),
    ]  # fmt: skip


def open_arguments(
    now: int, fields: Sequence[str], *, delimiter: str, cluster: str = "", since: int | None = None
) -> list[str]:
    """Return sacct's arguments for the jobs that are eligible and have not ended.

    Without `-s` sacct asks for `time_eligible < end AND (time_end >= start OR time_end = 0)`: what ended at the
    start or later is among them, and what was never eligible (held, or dependent on another job) is not.

    Args:
        now: Epoch seconds.
        fields: The names to print, in order.
        delimiter: Printed after each value.
        cluster: Another than the local one.
        since: Also those that ended since then: the end of an attempt that the answer must show.
    """
    start = now if since is None else min(since, now)
    return [
        *_beginning(delimiter, cluster), "-S", uts(start), "-E", f"uts{now + 1}", "-o", ",".join(fields),
    ]  # fmt: skip


def named_arguments(
    job_ids: Iterable[str], fields: Sequence[str], *, since: int, now: int, delimiter: str, cluster: str = ""
) -> list[str]:
    """Return sacct's arguments for some jobs.

    Args:
        job_ids: As `job_argument` writes them; a few hundred, since slurmdbd holds every row against each.
        fields: The names to print, in order.
        since: The earliest of their submissions: ids are used again, and what ended before is another job.
        now: Epoch seconds.
        delimiter: Printed after each value.
        cluster: Another than the local one.
    """
    return [
        *_beginning(delimiter, cluster),
        "-j", ",".join(job_ids), "-S", uts(since), "-E", f"uts{now + AHEAD_SECONDS}", "-o", ",".join(fields),
    ]  # fmt: skip


def job_argument(job_id: str, job_id_raw: int) -> str:
    """Return what `-j` names an attempt by: `12`, `12_3` or `12+1`, as sacct prints it.

    An array that is still one row (`12_[0-9%2]`) has no such name; the whole array answers to its number.
    """
    return str(job_id_raw) if "[" in job_id else job_id


def uts(seconds: int) -> str:
    """Return a moment as sacct takes it; the earliest one that it takes for those before."""
    return f"uts{max(seconds, EARLIEST_SECONDS)}"


def _beginning(delimiter: str, cluster: str) -> list[str]:
    return [
        *(["-M", cluster] if cluster else []),
        "-a", "-X", "-D", "--local", "--noconvert", "-p", f"--delimiter={delimiter}",
    ]  # fmt: skip
