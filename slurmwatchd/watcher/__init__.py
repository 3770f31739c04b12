"""One cluster: what is due, what is asked, what is believed, what is stored.

`watcher.py` goes round, `fetcher.py` asks, `storer.py` stores; the others decide what an answer is worth.
"""
