"""A package of somebody else's that brings a type of sink, `mine`, as pip would have put it into a folder."""

from pathlib import Path

ONLY_ONCE = """
from slurmwatchd.sinks.base import Sink, SinkKind, SinkOptions

class Mine(Sink):
    made = 0

    def __init__(self, name, options, metrics):
        Mine.made += 1
        if Mine.made > 1:
            raise RuntimeError("there is one\\nalready")

    async def write(self, events):
        return {}

KIND = SinkKind(options=SinkOptions, make=Mine)
"""
"""A module with a sink of which no second one can be made."""


def install(folder: Path, module: str | None) -> Path:
    """Put the package, with its one module or without, into a new folder to import from."""
    about = folder / "slurmwatchd_mine-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slurmwatchd-mine\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[slurmwatchd.sinks]\nmine = slurmwatchd_mine:KIND\n")
    if module is not None:
        (folder / "slurmwatchd_mine.py").write_text(module)
    return folder
