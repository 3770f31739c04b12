"""A stand-in for scontrol: node lists, and just enough of `show config`, `show partition` and `ping`."""

from __future__ import annotations

import os
import time

from .getopt import Grammar, UsageError
from .hostlists import HostlistError, compact, expand
from .session import Session, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_GRAMMAR = Grammar(
    "aFhM:oQu:vV",
    {
        "all": "a", "cluster=": "M", "clusters=": "M", "future": "F", "help": "h", "hide": "hide",
        "local": "local", "oneliner": "o", "quiet": "Q", "uid=": "u", "usage": "usage", "verbose": "v",
        "version": "V",
    },
)  # fmt: skip

_ONE_ARGUMENT = 2  # `show ENTITY ARGUMENT`


def main(database: str, version: str | None) -> NoReturn:
    """Run as scontrol."""
    run("scontrol", database, version, scontrol)


def scontrol(session: Session, arguments: list[str]) -> int:
    """Answer one call."""
    try:
        options, words = _GRAMMAR.parse(arguments)
    except UsageError as error:
        session.complain(f'{session.program}: {error}\nTry "scontrol --help" for more information')
        return 1
    if any(target == "V" for target, _ in options):
        session.write(session.version_line())
        return 0
    if not words:
        return 0
    keyword = words[0].lower()
    if "ping".startswith(keyword):
        session.write(f"Slurmctld(primary) at {os.uname().nodename} is UP\n".encode())
        return 0
    if "show".startswith(keyword):
        return _show(session, words[1:])
    session.complain(f"invalid keyword: {words[0]}")
    return 1


def _show(session: Session, words: list[str]) -> int:
    if len(words) > _ONE_ARGUMENT:
        session.complain("too many arguments for keyword:show")
        return 1
    if not words:
        session.complain("too few arguments for keyword:show")
        return 1
    entity, equals, value = words[0].partition("=")
    if not equals:
        value = words[1] if len(words) > 1 else ""
    given = equals or len(words) > 1
    name = entity.lower()
    if _shortens("hostnames", name):
        return _show_hostnames(session, value if given else None)
    if _shortens("hostlistsorted", name):
        return _show_hostlist(session, value if given else None, ordered=len(name) > len("hostlist"))
    for whole, show in (("config", _show_config), ("partitions", _show_partitions)):
        if whole.startswith(name):
            return show(session)
    session.complain(f"invalid entity:{entity} for keyword:show ")
    return 1


def _shortens(entity: str, name: str) -> bool:
    """Return whether a name, in lower case, is a shortening scontrol takes: `host` alone is none."""
    return len(name) > len("host") and entity.startswith(name)


def _show_hostnames(session: Session, value: str | None) -> int:
    """Expand a list. An invalid one empties the answer, and still the exit status is 0."""
    text = session.environ.get("SLURM_NODELIST") if value is None else value
    if text is None:
        session.error("host list is empty")
        return 0
    try:
        hosts = expand(text, session.release)
    except HostlistError as error:
        if error.complaint:
            session.error(error.complaint)
        session.complain(f"Invalid hostlist: {text}")
        return 0
    for host in hosts:
        session.write_record(os.fsencode(host) + b"\n")
    return 0


def _show_hostlist(session: Session, value: str | None, *, ordered: bool) -> int:
    if value is None:
        session.complain("invalid encode argument")
        return 1
    try:
        hosts = expand(value, session.release)
    except HostlistError as error:
        if error.complaint:
            session.error(error.complaint)
        session.complain(f"Invalid hostlist: {value}")
        return 0
    if ordered:
        hosts.sort(key=_natural)
    session.write(os.fsencode(compact(hosts)) + b"\n")
    return 0


def _natural(host: str) -> tuple[str, int]:
    prefix = host.rstrip("0123456789")
    return prefix, int(host[len(prefix) :] or -1)


def _show_partitions(session: Session) -> int:
    """Name those that jobs ran in; a list as a user typed it is none."""
    query = (
        "SELECT DISTINCT partition FROM jobs "
        "WHERE cluster = ? AND length(partition) AND NOT instr(partition, ',') ORDER BY partition"
    )
    names = [row[0] for row in session.db.execute(query, (session.config["cluster"],))]
    if not names:
        session.write(b"No partitions in the system\n")
    for name in names:
        text = name if isinstance(name, bytes) else str(name).encode()
        session.write(b"PartitionName=" + text + b" AllowGroups=ALL AllowAccounts=ALL State=UP TotalNodes=100\n")
    return 0


def _next_job_id(session: Session) -> int:
    """Return the number behind the highest that a job of this cluster has."""
    query = "SELECT coalesce(max(id_job), 0) + 1 FROM jobs WHERE cluster = ?"
    return int(session.db.execute(query, (session.config["cluster"],)).fetchone()[0])


def _show_config(session: Session) -> int:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(session.now))
    lines = [f"Configuration data as of {moment}"]
    settings = {
        "AccountingStorageHost": session.config["slurmdbd_host"],
        "AccountingStoragePort": session.config["slurmdbd_port"],
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "ClusterName": session.config["cluster"],
        "FirstJobId": "1",
        "NEXT_JOB_ID": str(_next_job_id(session)),
        "SLURM_VERSION": session.version,
    }
    lines += [f"{name:<23} = {value}" for name, value in settings.items()]
    session.write(("\n".join(lines) + "\n\n").encode())
    session.write(f"Slurmctld(primary) at {os.uname().nodename} is UP\n".encode())
    return 0
