"""The version, in one place: the package's metadata and the User-Agent-like strings read it here."""

__version__ = "0.1.0"
