"""The configuration of a program that is measured: one that 10edf5e reads as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STORE, LINES = "store.db", "jobs.jsonl"
"""What the program makes in its folder."""


def written(
    folder: Path,
    bin_dir: Path,
    *,
    conf: str = "",
    poll: str = "",
    mode: str = "",
    metrics: bool = False,
    web: str = "",
    more: str = "",
) -> Path:
    """Write `slurmwatchd.toml` and return its path.

    Args:
        folder: Where it is written, and the store and the lines will be.
        bin_dir: Slurm's commands.
        conf: slurm.conf; empty on simslurm.
        poll: The keys of `[poll]`.
        mode: `[steps] mode`; empty: the default.
        metrics: Whether the counters behind `/metrics` are kept.
        web: `[web] listen`; empty: no server.
        more: Further sections.
    """
    steps = f'[steps]\nmode = "{mode}"\n' if mode else ""
    counters = '[sinks.metrics]\ntype = "prometheus"\n' if metrics else ""
    text = f"""
[slurm]
bin_dir = "{bin_dir}"
conf = "{conf}"

[poll]
{poll}

[store]
path = "{folder / STORE}"

[sinks.jobs]
type = "jsonl"
path = "{folder / LINES}"

[web]
listen = "{web}"

{steps}
{counters}
{more}
"""
    file = folder / "slurmwatchd.toml"
    file.write_text(text, encoding="utf-8")
    return file
