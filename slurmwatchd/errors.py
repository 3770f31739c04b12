"""Every error this program raises on purpose, and the two marks that decide what happens next.

::

    SlurmwatchError
    ├── TransientError              retry with backoff, nothing is lost meanwhile
    │   ├── CommandError            a child process did not do what it was asked
    │   │   ├── SacctError              its exit status or its stderr says so
    │   │   │   ├── SacctTimeoutError       no answer within slurm.timeout
    │   │   │   ├── SacctTooWideError       slurmdbd refuses so wide a stretch: ask for less
    │   │   │   └── SacctOutputError        header or framing is not what was asked for
    │   │   ├── TokenError              the file of slurm.jwt_file has no token that can be used now
    │   │   ├── ScontrolError           scontrol failed for a whole batch
    │   │   └── process.TimedOutError   killed after its time; the sources make one of the above of it
    │   ├── SilenceError            sacct's answer cannot be all there is
    │   ├── NoDaemonError           no daemon is there to be asked for something
    │   ├── ClockError              this machine's clock is behind what was read already
    │   ├── ArchiveError            the Parquet archive cannot be written now
    │   ├── StoreBusyError          the database is locked or cannot be written now
    │   │   └── StoreFullError          its disk, or the spool's, is full
    │   └── SinkError               a receiver cannot take events now
    │       └── SinkFullError           its disk is full
    ├── FatalError                  stop, with an exit code
    │   ├── ConfigError             exit 78 (EX_CONFIG)
    │   ├── StoreError              the store cannot be used: exit 1
    │   │   ├── StoreCorruptError       its file is damaged: it is set aside and rebuilt
    │   │   └── StoreInUseError         another slurmwatchd has it
    │   ├── VerifyError             what is to be verified cannot be read: exit 74 (EX_IOERR)
    │   ├── ListenError             the web address cannot be bound: exit 1
    │   ├── InstallError            the service's files cannot be put in place: exit 1
    │   └── SlurmNotFoundError      no such Slurm command: exit 1 at the start, tried again later on
    │       └── SacctNotFoundError      the same for the connector's callers, who expect an OSError
    └── NodelistError               one node list is no node list (costs that list only)

Raise; the supervisor logs, once.
"""

import errno
from collections.abc import Sequence

EX_CONFIG = 78
"""sysexits.h: something was found in an unconfigured or misconfigured state."""

EX_IOERR = 74
"""sysexits.h: a file cannot be read or written."""


class SlurmwatchError(Exception):
    """Root of all errors raised on purpose."""


class TransientError(SlurmwatchError):
    """Something outside failed that may heal: retry with backoff."""


class FatalError(SlurmwatchError):
    """Nothing here can go on: stop with `exit_code`."""

    exit_code = 1


class ConfigError(FatalError):
    """The configuration cannot be used.

    Attributes:
        faults: One line a fault; each names the key and where it came from.
    """

    exit_code = EX_CONFIG

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep the faults; `str()` shows one a line."""
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class StoreError(FatalError):
    """The store cannot be used: not ours, newer than this program, or unreadable."""


class StoreCorruptError(StoreError):
    """The store's file is damaged. It is marked so: whoever opens it next sets it aside and begins a new one."""


class StoreInUseError(StoreError):
    """Another slurmwatchd has the store."""


class VerifyError(FatalError):
    """What is to be verified cannot be read: nothing is proved, and no difference is found."""

    exit_code = EX_IOERR


class ListenError(FatalError):
    """The web address cannot be bound, for instance because another program has the port."""


class InstallError(FatalError):
    """The service's files cannot be put in place, or not be taken away."""


class SlurmNotFoundError(FatalError):
    """A Slurm command is not on PATH, or not in `slurm.bin_dir`."""


class SacctNotFoundError(SlurmNotFoundError, FileNotFoundError):
    """There is no sacct for the connector; scripts may catch it as the OSError that it also is."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, and what kind of OSError it is."""
        super().__init__(reason)
        self.errno = errno.ENOENT


class CommandError(TransientError):
    """A child process did not do what it was asked.

    Attributes:
        argv: The command line.
        returncode: Exit status; negative is a signal; None where it never ended by itself.
        stderr: The tail of what it said.
    """

    def __init__(
        self, reason: str, *, argv: Sequence[str] = (), returncode: int | None = None, stderr: str = ""
    ) -> None:
        """Build one line that says what ran, how it ended and what it said."""
        self.reason = reason
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr
        text = reason
        if returncode is not None:
            text += f" (exit status {returncode})"
        tail = " / ".join(line.strip() for line in stderr.splitlines() if line.strip())
        if tail:
            text += f": {tail}"
        super().__init__(text)


class NoDaemonError(TransientError):
    """No daemon is there to be asked for something."""


class TokenError(CommandError):
    """The file of `slurm.jwt_file` cannot be read, or holds no token: nothing is run without one."""


class SacctError(CommandError):
    """Sacct failed: its exit status or its stderr says so."""


class SacctTimeoutError(SacctError):
    """Sacct gave no complete answer within `slurm.timeout`."""


class SacctTooWideError(SacctError):
    """Slurmdbd refuses the stretch: wider than MaxQueryTimeRange, or the answer is too large."""


class SacctOutputError(SacctError):
    """Sacct's header or framing is not what was asked for: the answer proves nothing."""


class ScontrolError(CommandError):
    """Scontrol failed for a whole batch."""


class SilenceError(TransientError):
    """Sacct's answer is complete in form and cannot be all there is: nothing follows from it.

    Attributes:
        reason: In one word, as the metric has it.
    """

    def __init__(self, text: str, *, reason: str) -> None:
        """Keep the reason; `text` is for a person."""
        self.reason = reason
        super().__init__(text)


class ClockError(TransientError):
    """The clock is behind the moment at which reading began: it is wrong now, or was wrong then."""


class StoreBusyError(TransientError):
    """The database is locked by another program, or cannot be written now."""


class StoreFullError(StoreBusyError):
    """The disk of the store, or of the spool beside it, is full: the daemon continues when there is room."""


class ArchiveError(TransientError):
    """The Parquet archive cannot be written now: its days stay in the store until it can."""


class SinkError(TransientError):
    """A receiver cannot take events now.

    Attributes:
        written: How many of the events given to it, from the first, are safe with it nonetheless.
        retry_after: For how many seconds it asks to be left alone.
    """

    written = 0
    retry_after = 0.0


class SinkFullError(SinkError):
    """A receiver's disk is full: the daemon continues when there is room."""


class NodelistError(SlurmwatchError):
    """One node list is no node list.

    Attributes:
        nodelist: The text.
        reason: Why.
    """

    def __init__(self, nodelist: str, reason: str) -> None:
        """Keep the list and the reason."""
        self.nodelist = nodelist
        self.reason = reason
        super().__init__(f"node list {nodelist!r}: {reason}")


def first_cause(error: BaseException) -> BaseException:
    """Return the first error inside a task group's exception group, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def is_full_error(error: OSError) -> bool:
    """Return whether the system found no room: a full disk, a quota, or a limit on the size of files."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
