"""The store: one SQLite file between what reads Slurm and what hands events on.

`database.py` opens it and runs transactions; `intake.py` takes attempts in, `outbox.py` gives events out,
`ledger.py` remembers what was read, `nodelists.py` which nodes a list names, `usage_queue.py` whose usage is still
to be queried and `usage.py` stores it. `bodies.py` reads events' bodies, `body_versions.py` those of older
versions; `dictionaries.py` and `packing.py` make them small. No other room writes SQL.
"""
