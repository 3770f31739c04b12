"""All that talks to Slurm: the only room that knows its commands, options, spelling and quirks.

`sacct.py` asks for attempts, `framing.py` cuts its output into rows, `fields.py` turns a row into a
`JobRecord`, `scontrol.py` expands node lists. Nothing here writes anything down.
"""
