"""Receivers of events. `base.py` is the contract; one file a sink; `registry.py` finds them by name."""
