"""What the operator sets: every key, where files are, and durations as people write them.

`settings.py` checks the configuration, `paths.py` finds it and the store, `units.py` reads durations and
addresses.
"""
