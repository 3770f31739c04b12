"""Protections to take out of a copy of the program, one at a time, to see that the torture notices.

`python -m tests.torture --without NAME` must end with a disagreement. A text that has changed since is an error,
so this table cannot go stale unnoticed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import slurmwatchd

if TYPE_CHECKING:
    from tests.torture.failures import Wish


class Sabotage(NamedTuple):
    """What is replaced in one file of the program.

    Attributes:
        also: File, old and new text of what is replaced besides.
        season: The failure it protects against, where the torture would meet that by luck only.
        favours: The harm it protects against, likewise.
    """

    what: str
    file: str
    old: str
    new: str
    season: Wish | None = None
    favours: str = ""
    also: tuple[tuple[str, str, str], ...] = ()


SABOTAGES = {
    "stderr": Sabotage(
        "sacct's stderr is not looked at",
        "sources/sacct/client.py",
        "if done.returncode != 0 or done.complained:",
        "if done.returncode != 0:",
        ("errno", {"number": 1024}),
    ),
    "exit-status": Sabotage(
        "sacct's exit status is not looked at",
        "sources/sacct/client.py",
        "if done.returncode != 0 or done.complained:",
        "if done.complained:",
        ("exit", {"code": 94, "records": 0, "stderr": ""}),
    ),
    "anchor": Sabotage(
        "an answer without what is known is taken for a quiet hour",
        "watcher/silence.py",
        "        if not answer.proves_itself:\n",
        "        if False:\n",
        ("header_only", {}),
        # Windows that reach back to what is known read what was hidden, once answers come again; and what is in
        # doubt since a list of open jobs failed, as one does at each start, is read again.
        also=(
            (
                "watcher/fetcher.py",
                "reached = await self._anchors.reach(window, ledger, policy)\n",
                "reached = window\n",
            ),
            ("watcher/open_jobs.py", "        if not is_shown:\n", "        if False:\n"),
            (
                "watcher/fetcher.py",
                "        if anchor is not None and not named.readings:\n",
                "        if False:\n",
            ),
        ),
    ),
    "framing": Sabotage(
        "an answer that ends inside a row is believed",
        "sources/sacct/framing.py",
        'if self._rest != b"\\n":',
        "if not self._seen_header:",
        ("cut", {"records": 0, "bytes": 4}),
    ),
    "delimiter": Sabotage(
        "fields end at a delimiter that users can write",
        "sources/sacct/client.py",
        'return f"\\x1f{secrets.token_urlsafe(6)}"',
        'return "|"',
    ),
    "rereads": Sabotage(
        "nothing is read again",
        "model/windows.py",
        "        or _reread(ledger, now, policy)\n",
        "",
    ),
    "overlap": Sabotage(
        "each poll begins where the one before ended",
        "model/windows.py",
        "    start = ledger.newest - policy.overlap\n",
        "    start = ledger.newest\n",
    ),
    "doubt": Sabotage(
        "an outage leaves no doubt",
        "watcher/outage.py",
        "if self._since is not None and self._over is not None and now >= self._over:",
        "if False:",
    ),
    "settling": Sabotage(
        "half-written rows are taken at once",
        "watcher/half_written.py",
        "if partition is not None or end is None or key in self._taken:",
        "if True:",
    ),
    "revisions": Sabotage(
        "what changed after the end is not told",
        "store/intake.py",
        "if not differences:",
        "if True:",
    ),
    "ledger": Sabotage(
        "the ledger remembers what was asked, whether it was answered or not",
        "watcher/watcher.py",
        "                    fetched = await self._fetcher.fetch(window, ledger, rules, pending=pending)\n",
        "                    await self._parts.database.write(lambda connection: ledger_store.save(connection,"
        " ledger_store.Completed(cluster=self.cluster, window=window, read_at=int(now),"
        " ledger=ledger.read(window.start, window.end, int(now)), rows=0, new=0, revised=0, rejected=0,"
        " seconds=0.0)))\n"
        "                    fetched = await self._fetcher.fetch(window, ledger, rules, pending=pending)\n",
    ),
    "residue": Sabotage(
        "after a crash, lines are written without a look at what stands in the file",
        "sinks/jsonl.py",
        "due, offset = self._settle(self._descriptor, self._start(due), due)",
        "offset = self._start(due)",
        favours="kill as file grows",
    ),
    "cursor": Sabotage(
        "the cursor moves before the lines are written",
        "daemon/delivery.py",
        "                with self._bugs_named():\n                    state = await self._sink.write(",
        "                await outbox.advance(parts.database, self.name, newest, {}, now=int(parts.clock.now()))\n"
        "                with self._bugs_named():\n                    state = await self._sink.write(",
        favours="kill as file grows",
    ),
    "rotation": Sabotage(
        "the file rotated last is not looked into",
        "sinks/jsonl.py",
        "due, mark = self._finish_rotated(self._mark, due)",
        "mark = None",
        favours="rotate",
    ),
    "totals": Sabotage(
        "the prometheus sink's totals are not kept",
        "sinks/prometheus.py",
        "return {**self._moved, **kept_totals.written(self._next)}",
        "return {}",
    ),
}
"""By the name `--without` takes."""


def copy_without(name: str, folder: Path) -> Path:
    """Copy the program into a folder with one protection taken out; returns what PYTHONPATH must name.

    Raises:
        ValueError: The program has changed there, so this would take nothing out.
    """
    one = SABOTAGES[name]
    source = Path(slurmwatchd.__file__).parent
    shutil.copytree(source, folder / "slurmwatchd", ignore=shutil.ignore_patterns("__pycache__"))
    for file_name, old, new in ((one.file, one.old, one.new), *one.also):
        file = folder / "slurmwatchd" / file_name
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{file_name} has changed: {old.strip()!r} stands in it {text.count(old)} times")
        file.write_text(text.replace(old, new), encoding="utf-8")
    return folder
