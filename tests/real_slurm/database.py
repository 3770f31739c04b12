"""Reads and writes slurmdbd's own tables, past slurmdbd: the independent witness of the tests."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.real_slurm.daemons import ClusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Argument = int | str | bytes

UNLIMITED = b"set max_statement_time = 0;\n"
"""Our own statements are to be ended by no limit that a test sets."""

_ROW = re.compile(rb"<row>(.*?)</row>", re.DOTALL)
_FIELD = re.compile(rb'<field name="([^"]*)"(?: xsi:nil="true" />|>([^<]*)</field>)')
_ENTITIES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&amp;", b"&"))


@dataclass(frozen=True, slots=True)
class Database:
    """One slurmdbd's database, reached by MariaDB's socket as root."""

    socket: Path
    name: str

    def query(self, statement: str, arguments: Sequence[Argument] = ()) -> list[dict[str, str | None]]:
        """Run one statement.

        Args:
            statement: SQL, with `%s` where an argument goes and `%%` for a percent sign if there are any.
            arguments: Numbers, or texts, which are passed as hexadecimal literals.

        Returns:
            A row as column name to text; NULL is `None`. Bytes that are not UTF-8 are kept as surrogates.

        Raises:
            ClusterError: MariaDB refused it.
        """
        text = statement % tuple(_literal(value) for value in arguments) if arguments else statement
        argv = ["/usr/bin/mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "--xml"]
        argv += ["--default-character-set=binary", f"--database={self.name}"]
        done = subprocess.run(argv, check=False, input=UNLIMITED + text.encode(), capture_output=True, timeout=600)
        if done.returncode != 0:
            raise ClusterError(f"MariaDB refused {text[:200]!r}: {done.stderr.decode(errors='replace').strip()}")
        return [_row(match[1]) for match in _ROW.finditer(done.stdout)]


def _row(text: bytes) -> dict[str, str | None]:
    row: dict[str, str | None] = {}
    for match in _FIELD.finditer(text):
        value: bytes | None = match[2]
        if value is not None:
            for entity, character in _ENTITIES:
                value = value.replace(entity, character)
        row[match[1].decode()] = None if value is None else value.decode("utf-8", "surrogateescape")
    return row


def _literal(value: Argument) -> str:
    if isinstance(value, int):
        return str(value)
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return f"X'{data.hex()}'" if data else "''"
