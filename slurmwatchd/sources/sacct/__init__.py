"""sacct: its arguments, its output, and what a row of it means.

`client.py` asks for attempts, `framing.py` cuts the output into rows, `fields.py` turns a row into a `JobRecord`,
`grammar.py` reads one value.
"""
