"""What events are called: the same in every daemon that watches the cluster."""

from collections.abc import Iterable, Sequence
from uuid import UUID

NAMESPACE = UUID("6f2b1c0e-5d0a-5b8e-9a43-1f7c5e2d9b60")
"""The UUIDv5 namespace of event ids. Part of the wire format: never changed."""

_NAMESPACE_BYTES = NAMESPACE.bytes
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
_VARIANTS = bytes.maketrans("".join(_VARIANT).encode(), "".join(_VARIANT.values()).encode())
_UUID_DIGITS = 32
_HYPHENS = (8, 13, 18, 23)
_MANY = 64
"""From so many on it pays to write ids together."""


def event_id(cluster: str, job_id_raw: int, submit: int, kind: str, revision: int) -> str:
    """Name an event, the same in every daemon that watches the cluster.

    Args:
        cluster: The cluster's name, as slurmdbd has it.
        job_id_raw: slurmdbd's `id_job`.
        submit: Epoch seconds.
        kind: An `EventKind`.
        revision: 1 for the first.

    Returns:
        A UUIDv5 of `cluster/job_id_raw/submit/kind/revision` under `NAMESPACE`, as 36 characters. The
        same as `uuid.uuid5`, at a third of its cost: a million jobs a day are named here.
    """
    return event_ids(cluster, [(job_id_raw, submit)], kind, revision)[0]


def event_ids(cluster: str, keys: Iterable[tuple[int, int]], kind: str, revision: int) -> list[str]:
    """Name the events of many attempts; see `event_id`.

    Args:
        cluster: The cluster of all of them.
        keys: job_id_raw and submit of each.
        kind: As for `event_id`.
        revision: As for `event_id`.
    """
    # Questions make no ids, and OpenSSL takes a while to load.
    import hashlib  # noqa: PLC0415

    begun = hashlib.sha1(_NAMESPACE_BYTES + f"{cluster}/".encode(), usedforsecurity=False)
    tail = f"/{kind}/{revision}".encode()
    digests = []
    for job_id_raw, submit in keys:
        # To copy a state costs less than to begin one.
        state = begun.copy()
        state.update(b"%d/%d%b" % (job_id_raw, submit, tail))
        digests.append(state.digest())
    return _uuids(digests) if len(digests) >= _MANY else list(map(_uuid, digests))


def _uuid(digest: bytes) -> str:
    """Write a SHA-1 digest as a UUIDv5."""
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def _uuids(digests: Sequence[bytes]) -> list[str]:
    """Do the same to many, one character of all of them at a time: in half the time."""
    text = b"".join(digests).hex().encode()
    length = len(text) // len(digests)
    columns = [text[place::length] for place in range(_UUID_DIGITS)]
    columns[12] = b"5" * len(digests)
    columns[16] = columns[16].translate(_VARIANTS)
    for place in _HYPHENS:
        columns.insert(place, b"-" * len(digests))
    names = bytearray(len(columns) * len(digests))
    for place, column in enumerate(columns):
        names[place :: len(columns)] = column
    found = names.decode()
    return [found[begin : begin + len(columns)] for begin in range(0, len(found), len(columns))]
