"""The proof: the store against sacct, and the JSON-lines files against the store. Nothing is changed.

What is compared stands in temporary tables of SQLite, which go to disk when they grow: memory is flat, whatever
the stretch.
"""
