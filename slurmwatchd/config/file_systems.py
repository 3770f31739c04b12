"""On what kind of disk a file is: on one of this machine, or on another machine's."""

from pathlib import Path

NETWORK_TYPES = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "9p", "pvfs2",
    "orangefs", "panfs", "wekafs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.juicefs", "fuse.s3fs",
})  # fmt: skip
"""File systems of other machines: SQLite's locks and its promises do not hold there."""

MOUNTS = Path("/proc/self/mountinfo")


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system a path is on.

    Args:
        path: Absolute, without links.
        mounts: What /proc/self/mountinfo says.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode("latin-1", "backslashreplace").decode("unicode_escape")
        # A later mount on the same point hides the earlier one.
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), after.split(" ")[0]
    return kind


def kind_of(path: Path) -> str:
    """Return the type of the file system a path is on now; empty where the system does not say."""
    try:
        return file_system(path.resolve(), MOUNTS.read_text(encoding="latin-1"))
    except OSError:
        return ""
