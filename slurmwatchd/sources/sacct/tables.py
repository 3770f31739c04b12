"""Any question to sacct, its answer held in memory as a table: for the connector, whose callers choose the fields.

The same proofs hold as for a window: exit status, no complaint on stderr, the header, framing by count.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.sacct import grammar
from slurmwatchd.sources.sacct.client import Sacct, fresh_delimiter
from slurmwatchd.sources.sacct.framing import RowReader

TIMEOUT_SECONDS = 900.0
"""As long as sacct itself waits for slurmdbd's answer."""


@dataclass(frozen=True, slots=True)
class Table:
    """What sacct printed.

    Attributes:
        fields: The names as sacct prints them.
        rows: As many values each.
    """

    fields: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class SacctTables(Sacct):
    """One cluster's accounting, as whatever columns are asked for."""

    def __init__(self, commands: Commands, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Prepare; nothing is run."""
        super().__init__(commands, timeout_seconds=timeout_seconds, spool_dir=Path(gettempdir()))
        # Asked by scripts that have no event loop, one question at a time.
        self._turn = nullcontext()

    async def table(self, arguments: Sequence[str], fields: Sequence[str]) -> Table:
        """Ask.

        Args:
            arguments: Which rows; neither fields nor the form of the output.
            fields: As `sacct -o` takes them: in upper or lower case, abbreviated, with a width behind `%`; `all`
                is every one.

        Raises:
            SacctError: It failed, took too long, or its answer is not whole.
            SlurmNotFoundError: There is no sacct.
        """
        names = [name.partition("%")[0].strip() for name in fields]
        if "all" in map(str.lower, names):
            offered = await self.available_fields()
            names = [found for name in names for found in (offered if name.lower() == "all" else [name])]
        delimiter = fresh_delimiter()
        form = ["--local", "-p", f"--delimiter={delimiter}", "-o", ",".join(names)]
        done = await self._run([*arguments, *form], self._timeout_seconds)
        reader = RowReader(delimiter.encode(), names, abbreviated=True)
        columns = reader.feed(done.stdout)
        reader.close()
        return Table(reader.header, tuple(tuple(map(grammar.text, row)) for row in zip(*columns, strict=True)))
