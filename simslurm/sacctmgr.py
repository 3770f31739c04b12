"""A stand-in for sacctmgr: what a daemon asks it about its rights and its cluster, and job comments."""

from __future__ import annotations

import os
import sqlite3
import time

from .getopt import Grammar, UsageError
from .session import Session, Stop, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_GRAMMAR = Grammar(
    "hionpPQrsvV",
    {
        "help": "h", "usage": "usage", "immediate": "i", "noheader": "n", "oneliner": "o", "parsable": "p",
        "parsable2": "P", "quiet": "Q", "readonly": "r", "associations": "s", "verbose": "v",
        "version": "V",
    },
)  # fmt: skip

_WIDTHS = {
    "Cluster": 10,
    "ControlHost": 15,
    "ControlPort": 12,
    "RPC": 5,
    "User": 10,
    "Admin": 9,
    "Def Acct": 10,
    "Name": 10,
    "ID": 6,
    "Type": 8,
}

_JOB_COLUMNS = {
    "admincomment": "admin_comment",
    "comment": "comment",
    "systemcomment": "system_comment",
    "extra": "extra",
}


def main(database: str, version: str | None) -> NoReturn:
    """Run as sacctmgr."""
    run("sacctmgr", database, version, sacctmgr)


def sacctmgr(session: Session, arguments: list[str]) -> int:
    """Answer one call."""
    try:
        options, words = _GRAMMAR.parse(arguments)
    except UsageError as error:
        session.complain(f'{session.program}: {error}\nTry "sacctmgr --help" for more information')
        return 1
    flags = {target for target, _ in options}
    if "V" in flags:
        session.write(session.version_line())
        return 0
    keyword = words[0].lower() if words else ""
    entity = words[1].lower() if len(words) > 1 else ""
    if keyword in {"show", "list"} and entity and "configuration".startswith(entity):
        return _show_configuration(session)
    _need_slurmdbd(session)
    if keyword in {"show", "list"}:
        return _show(session, entity, words[2:], flags)
    if keyword == "modify" and entity == "job":
        return _modify_job(session, words[2:])
    session.complain(f"invalid keyword: {keyword}" if keyword else "sacctmgr: no command")
    return 1


def _need_slurmdbd(session: Session) -> None:
    if session.token_refused:
        session.need_slurmdbd()
    if session.config["slurmdbd_down"] != "1":
        return
    _complain_of_slurmdbd(session)
    raise Stop(1)


def _complain_of_slurmdbd(session: Session) -> None:
    address = f"host:{session.config['slurmdbd_host']}:{session.config['slurmdbd_port']}"
    opener = "slurm_persist_conn_open_without_init" if session.release < (23, 11) else "_open_persist_connection"
    session.error(f"{opener}: failed to open persistent connection to {address}: Connection refused")
    session.error("Sending PersistInit msg: Connection refused")


def _show_configuration(session: Session) -> int:
    """Print the settings; with slurmdbd down its half is missing, and still the exit status is 0."""
    down = session.config["slurmdbd_down"] == "1"
    if down:
        _complain_of_slurmdbd(session)
        session.error("Sending PersistInit msg: Connection refused")
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(session.now))
    private = session.config["private_data"] or "none"
    lines = [f"Configuration data as of {moment}"]
    ours = {
        "AccountingStorageHost": session.config["slurmdbd_host"],
        "AccountingStoragePort": session.config["slurmdbd_port"],
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AuthType": "auth/munge",
        "MessageTimeout": "10 sec",
        "PrivateData": private,
        "SLURM_VERSION": session.version,
    }
    width = max(map(len, ours))
    lines += [f"{name:<{width}}  = {value}" for name, value in ours.items()]
    if not down:
        lines += ["", "SlurmDBD configuration:"]
        lines += [f"{name:<22} = {value}" for name, value in _slurmdbd_settings(session).items()]
    session.write(("\n".join(lines) + "\n").encode())
    return 0


def _slurmdbd_settings(session: Session) -> dict[str, str]:
    delay = session.config["commit_delay"]
    widest = session.config["max_query_time_range"]
    return {
        "CommitDelay": f"{delay} secs" if delay else "No",
        "DbdHost": session.config["slurmdbd_host"],
        "DbdPort": session.config["slurmdbd_port"],
        "MaxQueryTimeRange": _range_text(int(widest)) if widest else "UNLIMITED",
        # 26.05 obeys it and does not say so (measured on 26.05.5).
        "PrivateData": (session.release < (26, 5) and session.config["private_data"]) or "none",
        "PurgeEventAfter": "NONE",
        "PurgeJobAfter": session.config["purge_job_after"] or "NONE",
        "PurgeResvAfter": "NONE",
        "PurgeStepAfter": "NONE",
        "SLURMDBD_VERSION": session.version,
        "SlurmUser": "slurm(64030)",
        "StorageType": "accounting_storage/mysql",
        "TrackWCKey": "No",
    }


def _range_text(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    return f"{days}-{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _show(session: Session, entity: str, words: list[str], flags: set[str]) -> int:
    wanted = ""
    names: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key.lower() == "format":
            wanted = value
        elif equals:
            names += value.split(",")
        elif word.lower() != "where":
            names += word.split(",")
    table = _table(session, entity.rstrip("s"))
    if table is None:
        session.complain(f"No valid entity in list command\nInput line must include {entity or 'an entity'}")
        return 1
    known, rows = table
    chosen = known
    if wanted:
        chosen = []
        for text in wanted.split(","):
            name = text.partition("%")[0].lower()
            spelled = "admin" if name == "adminlevel" else name
            matches = [column for column in known if column.lower().startswith(spelled)]
            if not matches:
                session.complain(f" Unknown field '{text}'")
                return 1
            chosen.append(matches[0])
    if names:
        rows = [row for row in rows if row[known[0]] in names]
    _print_rows(session, chosen, rows, flags)
    return 0


def _table(session: Session, entity: str) -> tuple[list[str], list[dict[str, str]]] | None:
    db = session.db
    if entity == "cluster":
        columns = ["Cluster", "ControlHost", "ControlPort", "RPC"]
        clusters = db.execute("SELECT name FROM clusters ORDER BY name").fetchall()
        return columns, [
            dict(zip(columns, (name.decode(), "127.0.0.1", "6817", "9728"), strict=True)) for (name,) in clusters
        ]
    if entity == "user":
        columns = ["User", "Def Acct", "Admin"]
        users = db.execute("SELECT name, admin_level FROM users ORDER BY name").fetchall()
        return columns, [
            dict(zip(columns, (name.decode(), "root", level.decode()), strict=True)) for name, level in users
        ]
    if entity == "qo":
        columns = ["Name", "ID"]
        rows = (
            [] if session.config.get("qos_gone") else db.execute("SELECT name, id FROM qos ORDER BY id").fetchall()
        )
        return columns, [dict(zip(columns, (name.decode(), str(number)), strict=True)) for name, number in rows]
    if entity == "tre":
        columns = ["Type", "Name", "ID"]
        tres = (
            []
            if session.config.get("tres_gone")
            else db.execute("SELECT type, name, id FROM tres ORDER BY id").fetchall()
        )
        cells = [(kind.decode(), name.decode(), str(number)) for kind, name, number in tres]
        return columns, [dict(zip(columns, row, strict=True)) for row in cells]
    return None


def _print_rows(session: Session, columns: list[str], rows: list[dict[str, str]], flags: set[str]) -> None:
    parsable = flags & {"p", "P"}
    if "n" not in flags:
        if parsable:
            session.write(_parsable(columns, flags))
        else:
            session.write(_cells(columns, columns))
            session.write(("".join("-" * _WIDTHS[column] + " " for column in columns) + "\n").encode())
    for row in rows:
        values = [row[column] for column in columns]
        session.write_record(_parsable(values, flags) if parsable else _cells(values, columns))


def _parsable(values: list[str], flags: set[str]) -> bytes:
    return ("|".join(values) + ("|" if "P" not in flags else "") + "\n").encode()


def _cells(values: list[str], columns: list[str]) -> bytes:
    cells = []
    for value, column in zip(values, columns, strict=True):
        width = _WIDTHS[column]
        text = value if len(value) <= width else value[: width - 1] + "+"
        cells.append(f"{text:>{width}} ")
    return ("".join(cells) + "\n").encode()


def _modify_job(session: Session, words: list[str]) -> int:
    """Change the comments of jobs: `modify job where jobid=1,2 set admincomment=text`."""
    part = ""
    job_ids: list[int] = []
    changes: dict[str, bytes] = {}
    for word in words:
        if word.lower() in {"where", "set"}:
            part = word.lower()
            continue
        key, _, value = word.partition("=")
        name = key.lower()
        if part == "where" and name in {"jobid", "job", "jobs"}:
            job_ids += [int(text) for text in value.split(",")]
        elif part == "set" and name in _JOB_COLUMNS:
            changes[_JOB_COLUMNS[name]] = os.fsencode(value).strip(b"'\"")
        else:
            session.complain(f" Unknown option: {word}")
            return 1
    if not _may_modify(session):
        session.error("Your user doesn't have privilege to perform this action")
        session.write(b" Error with request: Access/permission denied\n")
        return 1
    if not job_ids or not changes:
        session.complain(" You didn't give me anything to do")
        return 1
    modified = _apply(session, job_ids, changes)
    if not modified:
        session.write(b" Nothing modified\n")
        session.complain(
            "sacctmgr: accounting_storage/slurmdbd: acct_storage_p_modify_job: Request didn't affect anything"
            " or your user doesn't have privilege to perform this action"
        )
        return 1
    session.write(b" Modified jobs...\n")
    for job_id, submit in modified:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(submit))
        session.write(f"  {job_id} submitted at {moment}\n".encode())
    return 0


def _may_modify(session: Session) -> bool:
    if session.caller_uid == 0:
        return True
    row = session.db.execute("SELECT admin_level FROM users WHERE uid = ?", (session.caller_uid,)).fetchone()
    return row is not None and row[0] in {b"Operator", b"Administrator"}


def _apply(session: Session, job_ids: list[int], changes: dict[str, bytes]) -> list[tuple[int, int]]:
    """Change the newest attempt of each job; an array's master stands for all of its tasks."""
    marks = ", ".join("?" * len(job_ids))
    where = f"cluster = ? AND (id_job IN ({marks}) OR (id_array_job != 0 AND id_array_job IN ({marks})))"
    values = [session.config["cluster"], *job_ids, *job_ids]
    assignments = ", ".join(f"{column} = ?" for column in changes)
    db = session.db
    db.execute("BEGIN IMMEDIATE")
    try:
        rows = db.execute(
            f"SELECT max(time_submit), id_job, key FROM jobs WHERE {where} GROUP BY id_job ORDER BY id_job",  # noqa: S608
            values,
        ).fetchall()
        for _, _, key in rows:
            db.execute(f"UPDATE jobs SET {assignments} WHERE key = ?", (*changes.values(), key))  # noqa: S608
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    return [(job_id, submit) for submit, job_id, _ in rows]
