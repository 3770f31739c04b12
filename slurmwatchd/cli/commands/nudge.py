"""`slurmwatchd nudge`: a job has ended, poll now. Run for each end of a job, so it imports little."""

import errno
import socket
from contextlib import closing
from pathlib import Path

import click

from slurmwatchd.config import paths
from slurmwatchd.errors import NoDaemonError, StoreError


@click.command("nudge")
@click.option(
    "--config", "config", type=click.Path(path_type=Path, readable=False), metavar="FILE",
    help="The configuration file [default: $SLURMWATCHD_CONFIG, else /etc/slurmwatchd/slurmwatchd.toml].",
)  # fmt: skip
@click.option(
    "--store", "store", type=click.Path(path_type=Path, readable=False), metavar="FILE",
    help="The daemon's store [default: store.path of the configuration].",
)  # fmt: skip
def command(config: Path | None, store: Path | None) -> None:
    """Have the daemon poll now, because a job has just ended.

    For EpilogSlurmctld, see docs/operations.md. The daemon polls a second later, when slurmdbd mostly shows the
    end, and once more after four seconds without a nudge; at most once in `[poll] nudge_every`, however many come.
    The command never waits. It sends a datagram to the socket STORE.nudge, which the daemon's user and group may
    write.

    Example: slurmwatchd nudge

    Exit codes: 0 sent, or enough are waiting; 75 no daemon listens; 1 this user may not; 78 the configuration is
    wrong.
    """
    path = paths.nudge_path(store or paths.store_path(config))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
        sender.setblocking(False)
        try:
            with paths.socket_address(path) as address:
                sender.sendto(b"\n", address)
        except BlockingIOError:
            # So many are waiting that no more fit: the daemon will poll for them.
            return
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
                raise NoDaemonError(
                    f"{path}: no daemon listens: is slurmwatchd running on this machine?"
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM):
                raise StoreError(f"{path}: this user may not write it: add it to the daemon's group") from error
            raise StoreError(f"{path}: {error.strerror}") from error
