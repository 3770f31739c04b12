"""`python -m slurmwatchd`."""

from slurmwatchd.cli import main

if __name__ == "__main__":
    main()
