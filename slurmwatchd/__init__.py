"""slurmwatchd notices every Slurm job that ends, exactly once, and hands it on.

The daemon is run from the command line (`slurmwatchd run`).
"""

from slurmwatchd._version import __version__

__all__ = ["__version__"]
