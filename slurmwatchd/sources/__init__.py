"""All that talks to Slurm: the only room that knows its commands, options, spelling and quirks.

`sacct/` asks for attempts and reads them, `scontrol.py` and `nodelists.py` expand node lists.
Nothing here writes anything down.
"""
