"""The commands: one module each, named as it is typed.

`SUMMARIES` is all that `slurmwatchd --help` needs of them, so that it imports none.
"""

SUMMARIES = {
    "run": "Run the service: poll sacct, store records, deliver events.",
    "once": "Poll once, deliver, and exit.",
    "verify": "Prove that nothing is missing: the store against sacct, files against the store.",
    "replay": "Deliver events to a sink once more, after its receiver has lost them.",
    "tail": "Print the newest events, and each new one, one line each, until interrupted.",
    "backfill": "Read what ended before the daemon's first poll.",
    "quarantine": "List the rows that have no key, and read them again.",
    "demo": "Run the whole daemon on a simulated cluster.",
    "check": "Check configuration, Slurm, rights, clocks, files, disks, logins, certificates, port and receivers.",
    "install-service": "Make a systemd service of what pip installed, or remove it.",
    "nudge": "Have the daemon poll now, because a job has just ended.",
    "status": "Show what the daemon is doing, what waits and what is wrong.",
    "jobs": "Show attempts that ended, by user, state, node, time and more.",
    "show": "Show all that is known of jobs.",
    "nodes": "Show what ran on a node.",
    "running": "Show what was running in an interval.",
    "report": "Report who used what, and how well: jobs, hours, efficiency, waits, losses, price.",
    "export": "Write attempts as JSON lines, CSV or Parquet.",
    "token": "Make, list and revoke the tokens of the API.",
    "expand": "Print the nodes that node lists name.",
    "compact": "Print one node list for some nodes.",
    "schema": "Print the JSON Schema of an event as sinks write it.",
}
"""What each command does, in the order of `--help`; the same as the first sentence of its own text."""
