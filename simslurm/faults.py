"""What goes wrong on request: a stand-in command that hangs, dies, lies or is cut off.

The rules are in the table `faults`; `session` takes one a call, this module makes it happen.
"""

from __future__ import annotations

import json
import os
import signal
import time

from .session import DB_CONNECTION, Session, Stop, perform
from .versions import is_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .session import Body

KINDS: dict[str, str] = {
    "hang": "sleeps until it is killed; `bytes` of the answer come first",
    "slow": "answers after `seconds`",
    "exit": "exit status `code` with `stderr`; `bytes` or `records` of the answer come first",
    "stderr_exit0": "the whole answer, then `stderr`, exit status 0",
    "errno": "the header, what slurmdbd's error `number` (7000, 7006, 7007 ...) is called, and its exit status",
    "header_only": "the header and no rows, exit status 0",
    "trickle": "the answer comes `bytes` at a time, with `seconds` between",
    "cut": "the answer ends after `bytes`, after `records`, or so many bytes behind so many records (default: half"
    " of it); exit status `code` or `signal`",
    "kill": "half of the answer, then SIGKILL",
    "lost": "the connection to slurmdbd breaks while the answer arrives: the header, what sacct says of it, and"
    " its exit status, which is 0 until 23.11.3",
    "blank_tres": "TRES and QOS columns are blank, an error on stderr, exit status 0",
    "garbage": "`bytes` bytes that are no answer at all, exit status 0",
}
"""The kinds of fault, and what their arguments mean."""


def suffer(session: Session, arguments: list[str], body: Body, fault: tuple[str, str]) -> int:
    """Run a command with a fault and give its exit status, if it lives to have one."""
    kind, text = fault
    wish: dict[str, str | int | float] = json.loads(text or "{}")
    return _EFFECTS[kind](session, arguments, body, wish)


def _number(wish: dict[str, str | int | float], name: str, default: int) -> int:
    return int(wish.get(name, default))


def _held_answer(session: Session, arguments: list[str], body: Body) -> bytes:
    session.hold()
    perform(session, arguments, body)
    return session.release_held()


def _part(session: Session, answer: bytes, wish: dict[str, str | int | float], default: int) -> bytes:
    """Cut an answer after `bytes` bytes, or so many bytes behind `records` records."""
    if "records" in wish:
        records = int(wish["records"])
        ends = session.record_ends
        if records >= len(ends):
            return answer
        begin = ends[records - 1] if records > 0 else answer.find(b"\n") + 1
        return answer[: begin + _number(wish, "bytes", 0)]
    return answer[: _number(wish, "bytes", default)]


def _send(session: Session, data: bytes) -> None:
    session.write(data)
    session.flush()


def _hang(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    if "bytes" in wish:
        _send(session, _part(session, _held_answer(session, arguments, body), wish, 0))
    while True:
        time.sleep(3600)


def _slow(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    time.sleep(float(wish.get("seconds", 1)))
    return perform(session, arguments, body)


def _exit(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    if "bytes" in wish or "records" in wish:
        _send(session, _part(session, _held_answer(session, arguments, body), wish, 0))
    stderr = str(wish.get("stderr", f"{session.command}: error: simulated failure"))
    if stderr:
        session.complain(stderr)
    return _number(wish, "code", 1)


def _errno(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    session.rows_suppressed = True
    perform(session, arguments, body)
    try:
        session.fail_with_errno(_number(wish, "number", DB_CONNECTION))
    except Stop as stop:
        return stop.status


def _lost(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    del wish
    session.rows_suppressed = True
    perform(session, arguments, body)
    session.error("_slurm_persist_recv_msg: read of fd 3 failed: No error")
    session.error("_slurm_persist_recv_msg: only read 178 of 975438 bytes")
    session.error("Getting response to message type: DBD_GET_JOBS_COND")
    session.error("DBD_GET_JOBS_COND failure: Unspecified error")
    # Until 23.11.3 the exit status is errno, which no one has set (measured on 22.05.8).
    return 0 if is_before(session.version, "23.11.4") else 1


def _trickle(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    session.hold()
    status = perform(session, arguments, body)
    answer, size = session.release_held(), max(1, _number(wish, "bytes", 1000))
    for begin in range(0, len(answer), size):
        _send(session, answer[begin : begin + size])
        time.sleep(float(wish.get("seconds", 0.01)))
    return status


def _stderr_exit0(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    perform(session, arguments, body)
    session.complain(str(wish.get("stderr", f"{session.command}: error: simulated failure")))
    return 0


def _header_only(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    del wish
    session.rows_suppressed = True
    perform(session, arguments, body)
    return 0


def _cut(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    answer = _held_answer(session, arguments, body)
    _send(session, _part(session, answer, wish, len(answer) // 2))
    if "signal" in wish:
        os.kill(os.getpid(), int(wish["signal"]))
    return _number(wish, "code", 0)


def _kill(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    return _cut(session, arguments, body, {"signal": int(signal.SIGKILL), **wish})


def _blank_tres(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    session.lists_unavailable = True
    status = perform(session, arguments, body)
    session.complain(str(wish.get("stderr", f"{session.command}: error: slurmdbd: Unspecified error")))
    return status


def _garbage(session: Session, arguments: list[str], body: Body, wish: dict[str, str | int | float]) -> int:
    del arguments, body
    # The same bytes each time, with every value in them.
    session.write(bytes(number * 167 % 256 for number in range(_number(wish, "bytes", 1000))))
    return 0


_EFFECTS = {
    "hang": _hang,
    "slow": _slow,
    "exit": _exit,
    "stderr_exit0": _stderr_exit0,
    "errno": _errno,
    "header_only": _header_only,
    "trickle": _trickle,
    "cut": _cut,
    "kill": _kill,
    "lost": _lost,
    "blank_tres": _blank_tres,
    "garbage": _garbage,
}
