"""Whose files are, and whose they are to be: what root makes in the service's folder is the service's.

A file that root made in a folder of another user, by `once` or `backfill` before the service's first start, would
be closed to the service. So it is given to the folder's owner as soon as it is there.
"""

import grp
import os
import pwd
import shlex
import stat
from pathlib import Path


def give_to_folder_owner(descriptor: int, folder: Path) -> None:
    """Give an open file of root's to the owner of its folder, where this runs as root.

    Raises:
        OSError: It cannot be given away.
    """
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    if owner.st_uid != 0 and os.fstat(descriptor).st_uid == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def give_socket_to_folder_owner(path: Path) -> None:
    """Give a socket that root made to the owner of its folder, where this runs as root.

    Raises:
        OSError: It cannot be given away.
    """
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def make_for_folder_owner(path: Path) -> None:
    """Make an empty file and give it to its folder's owner, where this runs as root and there is none yet.

    Raises:
        OSError: It cannot be made.
    """
    if os.geteuid() != 0 or path.parent.stat().st_uid == 0:
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return
    try:
        give_to_folder_owner(descriptor, path.parent)
    finally:
        os.close(descriptor)


def user_name() -> str:
    """Return the name of the user this runs as."""
    return _name_of_user(os.geteuid())


def reason(path: Path, error: OSError, *, shared: bool = False) -> str:
    """Return why a file cannot be opened; where a right is missing, also who lacks it and what root does about it.

    Args:
        path: The file.
        error: What the system said.
        shared: Whether it is to stay its owner's, and only to be readable.
    """
    text = error.strerror or str(error)
    if not isinstance(error, PermissionError):
        return text
    user = user_name()
    closed = _closed(path)
    try:
        found = closed.stat()
    except OSError:
        return f"{text}: not for the user {user}"
    owner = f"{_name_of_user(found.st_uid)}:{_name_of_group(found.st_gid)}, mode {stat.S_IMODE(found.st_mode):04o}"
    name = shlex.quote(str(closed))
    if shared:
        bits = "g+rx" if stat.S_ISDIR(found.st_mode) else "g+r"
        todo = f"chgrp {_group(user)} {name} && chmod {bits} {name}"
    else:
        todo = f"chown {user}: {name}"
    return f"{text}: {closed} ({owner}) is closed to the user {user}; as root: {todo}"


def _closed(path: Path) -> Path:
    """Return the folder on the way that may not be entered, or the file, or its folder where there is no file."""
    path = Path(os.path.realpath(path))
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK, effective_ids=True):
            return folder
    return path if path.exists() else path.parent


def _group(user: str) -> str:
    """Return the name of the group this runs as, or else the user's own."""
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return user


def _name_of_user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
