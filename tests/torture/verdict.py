"""The judge: a simulated accounting database against every file the daemon wrote, line by line."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.sim_truth import Key, ended, epoch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from simslurm import SimCluster

Record = dict[str, Any]

SHOWN = 20
"""So many attempts of each kind are printed."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """How files and truth differ; all empty where they agree.

    Attributes:
        attempts: How many have ended, in truth.
        missing: Attempts that no line tells of.
        twice: What is told more than once.
        wrong: Values that are not the truth's, revisions nothing changed for, lines that are no JSON.
    """

    attempts: int = 0
    missing: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.missing or self.twice or self.wrong)

    def __str__(self) -> str:
        """Write the three counts the way they are looked for."""
        counts = f"missing {len(self.missing)}, twice {len(self.twice)}, wrong {len(self.wrong)}"
        return f"{self.attempts} attempts: {counts}"

    def details(self) -> Iterable[str]:
        """Give a line for each attempt concerned, up to some."""
        for kind in ("missing", "twice", "wrong"):
            found: list[str] = getattr(self, kind)
            yield from (f"{kind}: {one}" for one in found[:SHOWN])
            if len(found) > SHOWN:
                yield f"{kind}: ... and {len(found) - SHOWN} more"


def files_of(path: Path) -> list[Path]:
    """Return a file and its rotated forerunners (`jobs.jsonl.2`, `jobs.jsonl.1`, `jobs.jsonl`), oldest first."""
    numbered = re.compile(re.escape(path.name) + r"\.(\d+)")
    rotated = [(int(match[1]), file) for file in path.parent.glob("*") if (match := numbered.fullmatch(file.name))]
    return [*(file for _, file in sorted(rotated, reverse=True)), *([path] if path.exists() else [])]


def read(path: Path, *, whole: bool) -> tuple[list[Record], list[str]]:
    """Read every line of a file and its forerunners.

    Args:
        path: The newest file.
        whole: Whether nobody writes any more, so that the last line must be whole too.

    Returns:
        The lines that are JSON, and what is wrong with the others.
    """
    records: list[Record] = []
    broken = []
    for file in files_of(path):
        *lines, rest = file.read_bytes().split(b"\n")
        if rest and (whole or file != path):
            broken.append(f"{file.name}: ends in the middle of a line: {rest[-60:]!r}")
        for number, line in enumerate(lines, start=1):
            try:
                records.append(json.loads(line))
            except ValueError:
                broken.append(f"{file.name}:{number} is not JSON: {line[:60]!r}")
    return records, broken


def judge(
    cluster: SimCluster,
    path: Path,
    *,
    amended: Mapping[Key, int],
    whole: bool = False,
    visible_at: float | None = None,
) -> Verdict:
    """Compare.

    Args:
        cluster: The truth.
        path: The file.
        amended: How often the test changed an attempt after its end: so many revisions it may have at most.
        whole: Whether nobody writes any more.
        visible_at: Miss only what sacct showed at this moment; without it, everything.
    """
    # The files first: what they tell must then be in the truth.
    records, broken = read(path, whole=whole)
    truth = ended(cluster)
    hidden = set() if visible_at is None else _hidden(cluster, visible_at)
    verdict = Verdict(attempts=len(truth), wrong=broken)
    ids = Counter(record["id"] for record in records)
    verdict.twice += [f"id {name}, {count} times" for name, count in ids.items() if count > 1]
    by_key: dict[Key, list[Record]] = defaultdict(list)
    for record in records:
        by_key[record["cluster"], record["job_id_raw"], epoch(record["submit"])].append(record)
    verdict.wrong += [f"{key}: in the file, never in the database" for key in by_key if key not in truth]
    for key, values in truth.items():
        if key in by_key:
            _judge_one(key, values, by_key[key], amended.get(key, 0), verdict, is_settled=key not in hidden)
        elif key not in hidden:
            verdict.missing.append(f"{key}: {values['state']}, ended {values['end']}, {values['name']!r}")
    return verdict


def ended_by_label(records: Collection[Record]) -> dict[tuple[str, ...], float]:
    """Count the ends the way `slurmwatchd_jobs_ended_total` does: by partition, cluster and state."""
    return dict(
        Counter(
            (_label(record.get("partition", "")), record["cluster"], record["state"])
            for record in records
            if record["event"] == "job_ended"
        )
    )


def _judge_one(
    key: Key, values: Mapping[str, Any], lines: list[Record], changes: int, verdict: Verdict, *, is_settled: bool
) -> None:
    lines.sort(key=lambda record: int(record["revision"]))
    firsts = sum(record["event"] == "job_ended" for record in lines)
    if firsts > 1:
        verdict.twice.append(f"{key}: {firsts} times job_ended")
    revisions = [record["revision"] for record in lines]
    if revisions != list(range(1, len(lines) + 1)):
        verdict.wrong.append(f"{key}: revisions {revisions}")
    if len(lines) - 1 > changes:
        told = [record.get("changed") for record in lines[1:]]
        verdict.wrong.append(f"{key}: {len(lines) - 1} revisions for {changes} changes: {told}")
    if is_settled:
        verdict.wrong += [
            f"{key}: {name} is {lines[-1].get(name)!r}, in truth {value!r} (ended {values['end']})"
            for name, value in values.items()
            if lines[-1].get(name) != value
        ]


def _hidden(cluster: SimCluster, moment: float) -> set[Key]:
    """Return what sacct does not show as it is, at a moment."""
    return {
        (row["cluster"], row["id_job"], row["time_submit"])
        for row in cluster.jobs()
        if max(row["visible_at"], row["end_visible_at"], row["whole_at"]) > moment
    }


def _label(partition: str) -> str:
    """Return the label of a partition: a list that a user typed is none."""
    return "(several)" if "," in partition else partition
