"""Which programs the connector runs: `SACCT` and `SCONTROL` of `slurmwatchd.connector`, as in the original."""

from slurmwatchd.connector.blocking_runner import BlockingProcessRunner
from slurmwatchd.sources.commands import Commands


class _Named(Commands):
    """Slurm's commands, of which callers may have named two otherwise."""

    __slots__ = ()

    def path(self, name: str) -> str:
        """See `Commands.path`."""
        # Where they are set is known only when they are used.
        from slurmwatchd import connector  # noqa: PLC0415

        return super().path({"sacct": connector.SACCT, "scontrol": connector.SCONTROL}.get(name, name))


def commands() -> Commands:
    """Return the commands as this process finds them now."""
    found = Commands.of(BlockingProcessRunner())
    return _Named(runner=found.runner, bin_dir=found.bin_dir, env=found.env)
