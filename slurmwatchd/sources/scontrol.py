"""Expand node lists through `scontrol show hostnames`, many to a process.

Scontrol keeps the order and passes `=` through as if it were a host, so one process can expand thousands of
lists with `=` behind each: millions of hosts a second instead of one process a list. It has one trap:
a single invalid list empties the whole answer, with a message on stderr and exit status 0 (all releases), so
silence on stderr and the right number of parts are what prove an answer.
"""

import re
from collections.abc import Sequence

from slurmwatchd.errors import CommandError, NodelistError, ScontrolError, SlurmNotFoundError
from slurmwatchd.sources.commands import Commands

BATCH_BYTES = 100_000
"""One argument of a process may hold 131,072 bytes (Linux, MAX_ARG_STRLEN)."""

BATCH_LISTS = 2000

_TIMEOUT_SECONDS = 60.0
_CONFIG_TIMEOUT_SECONDS = 15.0
_CLUSTER_NAME = re.compile(r"^ClusterName\s*=\s*(\S+)\s*$", re.MULTILINE)
_NEXT_JOB_ID = re.compile(r"^NEXT_JOB_ID\s*=\s*(\d+)\s*$", re.MULTILINE)
_SEPARATOR = "="
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

        A list that scontrol does not accept is found by halving the batch, and costs only itself.

        Args:
            nodelists: Distinct; at most `BATCH_LISTS` and together `BATCH_BYTES`, see `Scontrol.batches`.

        Returns:
            For each list its nodes in Slurm's order with repeats kept, or why it has none.

        Raises:
            ScontrolError: Scontrol itself cannot be run or takes too long: nothing is known about the lists.
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
        try:
            return (await self._show("hostlist", ",".join(nodes))).strip()
        except _RefusedError as error:
            raise ScontrolError(str(error)) from error

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
        """Return the local cluster's name from `scontrol show config`, or None where nobody tells it now."""
        try:
            done = await self._commands.run("scontrol", "show", "config", timeout_seconds=_CONFIG_TIMEOUT_SECONDS)
        except (CommandError, SlurmNotFoundError):
            return None
        match = _CLUSTER_NAME.search(done.stdout.decode(errors="backslashreplace"))
        return match[1] if match and done.returncode == 0 else None

    async def next_job_id(self, cluster: str = "") -> int | None:
        """Return the number that the next job will have, or None where slurmctld does not tell it now."""
        which = ["-M", cluster] if cluster else []
        try:
            done = await self._commands.run(
                "scontrol", *which, "show", "config", timeout_seconds=_CONFIG_TIMEOUT_SECONDS
            )
        except (CommandError, SlurmNotFoundError):
            return None
        match = _NEXT_JOB_ID.search(done.stdout.decode(errors="backslashreplace"))
        return int(match[1]) if match and done.returncode == 0 else None

    async def _halve(self, nodelists: Sequence[str], result: dict[str, tuple[str, ...] | NodelistError]) -> None:
        if not nodelists:
            return
        try:
            answer = await self._show("hostnames", "".join(f"{text},{_SEPARATOR}," for text in nodelists)[:-1])
            result.update(_parts(nodelists, answer))
        except _RefusedError as error:
            if len(nodelists) == 1:
                result[nodelists[0]] = NodelistError(nodelists[0], str(error))
                return
            middle = len(nodelists) // 2
            await self._halve(nodelists[:middle], result)
            await self._halve(nodelists[middle:], result)

    async def _show(self, what: str, argument: str) -> str:
        try:
            done = await self._commands.run("scontrol", "show", what, argument, timeout_seconds=_TIMEOUT_SECONDS)
        except CommandError as error:
            raise ScontrolError(error.reason, stderr=error.stderr) from error
        stderr = done.stderr.strip()
        if done.returncode > 0 and "hostlist" not in stderr:
            # It did not get as far as the list: no slurm.conf, no plugin, a library that is missing.
            raise ScontrolError("scontrol failed", argv=done.argv[:3], returncode=done.returncode, stderr=stderr)
        if done.returncode < 0:
            raise ScontrolError("scontrol was killed", argv=done.argv[:3], returncode=done.returncode)
        if done.returncode != 0 or stderr or not done.stdout.strip():
            raise _RefusedError(stderr or f"scontrol printed nothing and exited {done.returncode}")
        return done.stdout.decode(errors="backslashreplace")


class _RefusedError(Exception):
    """Scontrol ran and did not accept what it was given."""


def _is_plausible(text: str) -> bool:
    """Tell whether scontrol would take it for a list: not for an option, two hosts, or a separator of ours."""
    return not text.startswith("-") and _FORBIDDEN.isdisjoint(text) and _PAIRED.fullmatch(text) is not None


def _parts(nodelists: Sequence[str], answer: str) -> dict[str, tuple[str, ...]]:
    """Cut an answer behind each list; a wrong number of parts, an empty one, or a rest is a refusal.

    A separator stands behind the last list too: without it the answer was cut off.
    """
    parts: list[list[str]] = [[]]
    for line in answer.rstrip("\n").split("\n"):
        if line == _SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(line)
    rest = parts.pop()
    if rest or len(parts) != len(nodelists) or not all(parts):
        raise _RefusedError(
            f"{len(nodelists)} lists came back as {len(parts)} parts{' and a rest' if rest else ''}"
        )
    return {text: tuple(part) for text, part in zip(nodelists, parts, strict=True)}
