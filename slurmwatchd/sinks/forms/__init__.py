"""How an event looks to a receiver: which fields it has, whose names are hidden, and in which format it stands.

`form.py` puts the parts together; one file a format; `reading.py` finds an event's id in a line of any of them.
"""
