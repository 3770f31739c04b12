"""Expand node lists through `scontrol show hostnames`, many to a process.

Scontrol keeps the order and passes `=` through as if it were a host, so one process can expand thousands of
lists with `=` before and behind each: millions of hosts a second instead of one process a list. It has one trap:
a single invalid list empties the whole answer, with a message on stderr and exit status 0 (all releases).

So an answer proves itself: exit status 0, and as many parts as lists, each between two `=`. What else scontrol, or
a wrapper around it, says on stderr or before the first `=` makes no difference. An answer that is not whole is the
fault of a list only where scontrol says so (`Invalid hostlist`): then the batch is halved until the list is found,
which costs itself alone. Without these words scontrol itself is at fault, and nothing follows about any list.
"""

import re
from collections.abc import Sequence

from slurmwatchd.errors import CommandError, NodelistError, ScontrolError, SlurmNotFoundError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import Completed

BATCH_BYTES = 100_000
"""One argument of a process may hold 131,072 bytes (Linux, MAX_ARG_STRLEN)."""

BATCH_LISTS = 2000

_TIMEOUT_SECONDS = 60.0
_CONFIG_TIMEOUT_SECONDS = 15.0
_CLUSTER_NAME = re.compile(r"^ClusterName\s*=\s*(\S+)\s*$", re.MULTILINE)
_FIRST_JOB_ID = re.compile(r"^FirstJobId\s*=\s*(\d+)\s*$", re.MULTILINE)
_NEXT_JOB_ID = re.compile(r"^NEXT_JOB_ID\s*=\s*(\d+)\s*$", re.MULTILINE)
_PARTITION = re.compile(r"^PartitionName=(\S+)", re.MULTILINE)
_SEPARATOR = "="
_BLAMES_A_LIST = "Invalid hostlist"
_FORBIDDEN = frozenset("= \t\r\n\x00{}()")
# A list that was cut off (slurmdbd keeps 64 KiB) may end inside a bracket; 22.05 expands `n[1-` to a host `n]`.
_PAIRED = re.compile(r"(?:[^\[\]]++|\[[^\[\]]++\])+")


class Scontrol:
    """The authority on what a node list means at this site."""

    def __init__(self, commands: Commands) -> None:
        """Prepare; nothing is run."""
        self._commands = commands

    async def expand(self, nodelists: Sequence[str]) -> dict[str, tuple[str, ...] | NodelistError]:
        """Expand some lists with as few processes as possible.

        A list that scontrol does not accept is found by halving the batch, and costs only itself; one that it
        reads as no node at all is known by its empty part.

        Args:
            nodelists: Distinct; at most `BATCH_LISTS` and together `BATCH_BYTES`, see `Scontrol.batches`.

        Returns:
            For each list its nodes in Slurm's order with repeats kept, or why it has none.

        Raises:
            ScontrolError: Scontrol itself cannot be run, takes too long, or gives no whole answer and blames no
                list: nothing is known about the lists.
            SlurmNotFoundError: There is no scontrol.
        """
        result: dict[str, tuple[str, ...] | NodelistError] = {
            text: NodelistError(text, "is not a node list") for text in nodelists if not _is_plausible(text)
        }
        await self._halve([text for text in nodelists if text not in result], result)
        return result

    def batches(self, nodelists: Sequence[str]) -> list[list[str]]:
        """Cut many lists into batches that one process takes; a list too long for that is alone in its own."""
        result: list[list[str]] = []
        room = 0
        for text in nodelists:
            size = len(text.encode()) + 3
            if not result or size > room or len(result[-1]) >= BATCH_LISTS:
                result.append([])
                room = BATCH_BYTES
            result[-1].append(text)
            room -= size
        return result

    async def compact(self, nodes: Sequence[str]) -> str:
        """Return the node list for some nodes (`scontrol show hostlist`).

        Raises:
            ScontrolError: Scontrol does not accept them.
        """
        done = await self._show("hostlist", ",".join(nodes))
        lines = _lines(done)
        if done.returncode != 0 or len(lines) != 1 or not lines[0]:
            raise _without_answer(done, f"{len(lines)} lines in place of one node list")
        return lines[0]

    async def compact_each(self, texts: Sequence[str]) -> dict[str, str]:
        """Return the node list for each of some texts of hosts with commas between them.

        Scontrol joins only hosts that follow each other, and so never over a separator: they are to be sorted.

        Raises:
            ScontrolError: Scontrol does not accept them, or cannot be run.
            SlurmNotFoundError: There is no scontrol.
        """
        separator = f",{_SEPARATOR},"
        parts = (await self.compact([separator.join(texts)])).split(separator)
        if len(parts) != len(texts):
            raise ScontrolError(f"{len(texts)} texts of hosts came back as {len(parts)} node lists")
        return dict(zip(texts, parts, strict=True))

    async def cluster_name(self) -> str | None:
        """Return the local cluster's name from `scontrol show config`, or None if it is not known now."""
        try:
            done = await self._commands.run("scontrol", "show", "config", timeout_seconds=_CONFIG_TIMEOUT_SECONDS)
        except (CommandError, SlurmNotFoundError):
            return None
        match = _CLUSTER_NAME.search(done.stdout.decode(errors="backslashreplace"))
        return match[1] if match and done.returncode == 0 else None

    async def job_numbers(self, cluster: str = "") -> range | None:
        """Return the numbers that slurmctld has given to jobs, or None where it does not show them now."""
        which = ["-M", cluster] if cluster else []
        try:
            done = await self._commands.run(
                "scontrol", *which, "show", "config", timeout_seconds=_CONFIG_TIMEOUT_SECONDS
            )
        except (CommandError, SlurmNotFoundError):
            return None
        text = done.stdout.decode(errors="backslashreplace")
        first, following = _FIRST_JOB_ID.search(text), _NEXT_JOB_ID.search(text)
        if first is None or following is None or done.returncode != 0:
            return None
        return range(int(first[1]), int(following[1]))

    async def partitions(self, cluster: str = "") -> list[str] | None:
        """Return the names of the partitions, hidden ones too, or None where slurmctld does not show them now."""
        which = ["-M", cluster] if cluster else []
        try:
            done = await self._commands.run(
                "scontrol",
                *which,
                "--all",
                "--oneliner",
                "show",
                "partition",
                timeout_seconds=_CONFIG_TIMEOUT_SECONDS,
            )
        except (CommandError, SlurmNotFoundError):
            return None
        names = _PARTITION.findall(done.stdout.decode(errors="backslashreplace"))
        return names if done.returncode == 0 else None

    async def _halve(self, nodelists: Sequence[str], result: dict[str, tuple[str, ...] | NodelistError]) -> None:
        if not nodelists:
            return
        done = await self._show("hostnames", f",{_SEPARATOR},".join(["", *nodelists, ""])[1:-1])
        parts, rest = _parts(_lines(done))
        if done.returncode == 0 and len(parts) == len(nodelists) and not rest:
            for text, part in zip(nodelists, parts, strict=True):
                result[text] = part or NodelistError(text, "names no node")
            return
        if done.returncode < 0 or _BLAMES_A_LIST not in done.stderr:
            cut = " and a rest" if rest else ""
            raise _without_answer(done, f"{len(nodelists)} lists came back as {len(parts)} parts{cut}")
        if len(nodelists) == 1:
            result[nodelists[0]] = NodelistError(nodelists[0], done.stderr.strip())
            return
        middle = len(nodelists) // 2
        await self._halve(nodelists[:middle], result)
        await self._halve(nodelists[middle:], result)

    async def _show(self, what: str, argument: str) -> Completed:
        try:
            return await self._commands.run("scontrol", "show", what, argument, timeout_seconds=_TIMEOUT_SECONDS)
        except CommandError as error:
            raise ScontrolError(error.reason, stderr=error.stderr) from error


def _is_plausible(text: str) -> bool:
    """Return whether scontrol would take it for a list: not for an option, two hosts, or a separator of ours."""
    return not text.startswith("-") and _FORBIDDEN.isdisjoint(text) and _PAIRED.fullmatch(text) is not None


def _lines(done: Completed) -> list[str]:
    text = done.stdout.decode(errors="backslashreplace").rstrip("\n")
    return text.split("\n") if text else []


def _parts(lines: Sequence[str]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Cut an answer at the separators; what stands behind the last is no part: it was cut off."""
    parts: list[tuple[str, ...]] = []
    part: list[str] = []
    for line in lines:
        if line == _SEPARATOR:
            parts.append(tuple(part))
            part = []
        else:
            part.append(line)
    return parts[1:], tuple(part)


def _without_answer(done: Completed, why: str) -> ScontrolError:
    """Return the error for a scontrol that ended without an answer that proves itself."""
    if done.returncode < 0:
        why = "scontrol was killed"
    elif done.returncode > 0:
        # It did not get as far as the lists: no slurm.conf, no plugin, a library that is missing.
        why = "scontrol failed"
    return ScontrolError(why, argv=done.argv[:3], returncode=done.returncode, stderr=done.stderr.strip())
