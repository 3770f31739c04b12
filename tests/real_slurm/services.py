"""The munged and the MariaDB that all releases of one base share.

Both are our own, with sockets, keys and data below the run folder: the machine's own, if it has any, are
neither used nor touched.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.real_slurm.daemons import ClusterError, Daemon, wait_until
from tests.real_slurm.packages import install
from tests.real_slurm.ports import free_block, is_free
from tests.real_slurm.roots import Root

SOCKET_PATH_LIMIT = 100
STORAGE_USER = "slurm"
STORAGE_PASSWORD = "slurm"  # noqa: S105  (a database on loopback that holds made-up jobs)


@dataclass(frozen=True, slots=True)
class Services:
    """What every cluster of one base leans on."""

    run: Path

    @property
    def munge_socket(self) -> Path:
        """The socket for `AuthInfo=socket=...`."""
        return self.run / "munge" / "munge.socket"

    @property
    def database_socket(self) -> Path:
        """The socket root reaches MariaDB by."""
        return self.run / "mariadb" / "mariadb.socket"

    @property
    def database_port(self) -> int:
        """The port slurmdbd reaches MariaDB by."""
        return int((self.run / "mariadb" / "port").read_text(encoding="ascii"))

    def up(self) -> None:
        """Install and start both; what runs already stays as it is.

        Raises:
            CannotInstallError: apt failed.
            ClusterError: One did not start.
        """
        install(
            {
                "/usr/sbin/munged": "munge",
                "/usr/sbin/mariadbd": "mariadb-server",
                "/usr/bin/mariadb": "mariadb-client",
            }
        )
        if len(str(self.database_socket)) > SOCKET_PATH_LIMIT:
            raise ClusterError(f"{self.run} is too long a path for sockets")
        self._munge_up()
        self._mariadb_up()

    def down(self) -> None:
        """End both."""
        self._mariadb().stop()
        self._munged().stop()

    def create_database(self, name: str) -> None:
        """Create a database for a slurmdbd and let it in."""
        grants = [f"create database if not exists `{name}`"]
        for host in ("localhost", "127.0.0.1"):
            user = f"'{STORAGE_USER}'@'{host}'"
            grants.append(f"create user if not exists {user} identified by '{STORAGE_PASSWORD}'")
            grants.append(f"grant all on `{name}`.* to {user}")
        self._admin("; ".join(grants))

    def drop_database(self, name: str) -> None:
        """Remove a slurmdbd's database, where there is one."""
        self._admin(f"drop database if exists `{name}`")

    def _munge_up(self) -> None:
        munged = self._munged()
        if munged.pid is not None:
            return
        uid, gid = Root(Path("/")).user("munge")
        folder = self.munge_socket.parent
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, uid, gid)
        key = folder / "key"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o400)
            os.chown(key, uid, gid)
        munged.start()

    def _munged(self) -> Daemon:
        folder = self.munge_socket.parent
        options = (
            "--force",
            f"--socket={self.munge_socket}",
            f"--key-file={folder / 'key'}",
            f"--pid-file={folder / 'munged.pid'}",
            f"--log-file={folder / 'munged.log'}",
            f"--seed-file={folder / 'munged.seed'}",
        )
        drop = ("/usr/bin/setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "--")
        return Daemon(
            name="munged",
            argv=(*drop, "/usr/sbin/munged", *options),
            pid_file=folder / "munged.pid",
            marks=(f"--socket={self.munge_socket}",),
            log=folder / "munged.log",
        )

    def _mariadb_up(self) -> None:
        folder = self.run / "mariadb"
        data = folder / "data"
        if self._mariadb().pid is None:
            uid, gid = Root(Path("/")).user("mysql")
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, uid, gid)
            if not (folder / "ready").exists():
                _install_tables(data)
                (folder / "ready").touch()
            port_file = folder / "port"
            if not port_file.exists() or not is_free(self.database_port):
                port_file.write_text(f"{free_block(1)}\n", encoding="ascii")
            self._mariadb().start()
        wait_until(self._answers, "MariaDB to answer", 60, self._mariadb().tail)

    def _mariadb(self) -> Daemon:
        folder = self.run / "mariadb"
        port = self.database_port if (folder / "port").exists() else 0
        options = (
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            "--user=mysql",
            f"--socket={self.database_socket}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={folder / 'mariadbd.pid'}",
            f"--log-error={folder / 'mariadbd.log'}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--innodb-buffer-pool-size=512M",
            "--innodb-log-file-size=128M",
            "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=2",
            "--performance-schema=OFF",
        )
        return Daemon(
            name="mariadbd",
            argv=("/usr/bin/setsid", "--fork", "/usr/sbin/mariadbd", *options),
            pid_file=folder / "mariadbd.pid",
            marks=(f"--datadir={folder / 'data'}",),
            log=folder / "mariadbd.log",
        )

    def _answers(self) -> bool:
        try:
            self._admin("select 1")
        except ClusterError:
            return False
        return True

    def _admin(self, statements: str) -> None:
        argv = ["/usr/bin/mariadb", "--no-defaults", f"--socket={self.database_socket}", "--user=root"]
        done = subprocess.run(argv, check=False, input=statements, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ClusterError(f"MariaDB refused {statements[:80]!r}: {done.stderr.strip()}")


def _install_tables(data: Path) -> None:
    """Make MariaDB's own tables; a folder left by an attempt that was cut short is made anew."""
    if data.exists():
        subprocess.run(["/usr/bin/rm", "-rf", "--", str(data)], check=True)
    argv = ["/usr/bin/mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql"]
    argv += ["--auth-root-authentication-method=socket", "--skip-test-db", "--skip-name-resolve"]
    done = subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise ClusterError(f"mariadb-install-db: exit {done.returncode}\n{done.stdout[-2000:]}")
