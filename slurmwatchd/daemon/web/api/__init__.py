"""The read-only JSON API below `/api/v1/`.

A request is authenticated (`access.py`), its parameters are checked (`parameters.py`), and a worker thread puts
the question to a connection of its own (`questions.py`). What a token may see is decided in one place, `sight.py`:
an endpoint has no other way to the store.
"""
