"""The process: start, stop, deliver, serve, tidy.

`startup.py` begins, `assembly.py` makes all parts, `daemon.py` runs them; `delivery.py` is one sink's task.
"""
