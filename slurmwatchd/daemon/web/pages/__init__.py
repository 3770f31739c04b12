"""The pages for people: each shows answers of the API, as whoever is logged in gets them.

A page asks the API's own endpoints (`visit.py`), makes of the answers what is drawn (`charts.py`), and writes it
with a template (`render.py`), in which everything is escaped. There is no script, and no style but the one file.
"""
