"""The Parquet archive: days of ended attempts, kept when the store has pruned them.

`layout.py` names its files, `publish.py` brings one in place, `writer.py` makes a day of what the store and its
old file have, `__main__.py` runs that as a process of its own, `days.py` keeps in the store which days are to be
written. `files.py` and `reader.py` answer questions from it, together with the store.

pyarrow is an extra and not quick to import, so only functions that need it do so.
"""
