"""The HTTP server: what it shows is in `app.py`, how it runs inside the daemon in `server.py`."""
