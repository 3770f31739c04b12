"""Loads made-up ended jobs by SQL, for volume: a million rows take seconds, not a week of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.real_slurm.database import Argument
    from tests.real_slurm.releases import Release

FIRST_ID = 1_000_000
FIRST_INDEX, LAST_INDEX = 1_000_000_000, 1 << 40
GAP = 1000
"""So many indexes are left to jobs that start while others are loaded."""
RESERVATIONS = 20_000
SILENCING_SECONDS = 0.003
"""In so little time no job is held against all of them (measured: 8 ms a job), and all else is done."""

STATEMENT = Path(__file__).parent / "templates" / "volume.sql"
STEPS_STATEMENT = Path(__file__).parent / "templates" / "volume_steps.sql"


class Sql(Protocol):
    """Runs a statement on slurmdbd's tables."""

    def __call__(self, query: str, arguments: Sequence[Argument] = ...) -> list[dict[str, str | None]]:
        """Return the rows."""


def load_jobs(sql: Sql, release: Release, count: int, start: int, end: int) -> int:
    """Insert ended jobs, their ends spread evenly over [start, end); see `RealCluster.load_jobs`."""
    highest = sql("select max(id_job) as highest from {job_table}")[0]["highest"]
    first = max(FIRST_ID, int(highest or 0) + 1)
    accounts = {
        row["acct"]: row["id_assoc"]
        for row in sql("select acct, id_assoc from {assoc_table} where user != '' and acct != 'root'")
    }
    # 22.05 counts them up from the highest; a SLUID is far beyond.
    index = sql("select max(job_db_inx) as highest from {job_table} where job_db_inx < %s", (LAST_INDEX,))
    statement = STATEMENT.read_text(encoding="utf-8")
    for name, value in {
        "index": max(FIRST_INDEX, int(index[0]["highest"] or 0) + GAP),
        "first": first,
        "count": count,
        "start": start,
        "end": end,
        "cluster": release.cluster,
        "assoc": accounts["physics"],
        "other_assoc": accounts["chemistry"],
    }.items():
        statement = statement.replace("{" + name + "}", str(value))
    sql(statement)
    return first


def load_steps(sql: Sql, first: int, count: int) -> None:
    """Give loaded jobs three steps each; see `RealCluster.load_steps`."""
    statement = STEPS_STATEMENT.read_text(encoding="utf-8")
    sql(statement.replace("{first}", str(first)).replace("{count}", str(count)))


def copy_steps(sql: Sql, job_id: int, count: int) -> None:
    """Give a job `count` steps more; see `RealCluster.copy_steps`."""
    columns = [str(row["Field"]) for row in sql("describe {step_table}")]
    names = ", ".join(f"`{name}`" for name in columns)
    copied = ", ".join("seq" if name == "id_step" else f"step.`{name}`" for name in columns)
    sql(
        f"insert into {{step_table}} ({names}) select {copied} from {{step_table}} step "  # noqa: S608 - our own
        f"join {{job_table}} job using (job_db_inx) join seq_1_to_{count} "
        "where job.id_job = %s and step.id_step = 0",
        (job_id,),
    )


def load_reservations(sql: Sql) -> None:
    """Insert reservations that were over long ago, of the number that jobs without one have."""
    columns, values = "(id_resv, resv_name, time_start, time_end)", "0, 'past', seq, seq + 1"
    sql(f"insert into {{resv_table}} {columns} select {values} from seq_1_to_{RESERVATIONS}")  # noqa: S608 - constants


def remove_reservations(sql: Sql) -> None:
    """Take them out again."""
    sql("delete from {resv_table} where id_resv = 0 and resv_name = 'past'")
