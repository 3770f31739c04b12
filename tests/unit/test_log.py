"""Log lines as a person, the journal and a machine would read them."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurmwatchd.telemetry import log
from tests.patience import HANGS_SECONDS

ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n")


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in ("aiosqlite", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def logfmt_stream(level: log.LogLevel = "info") -> io.StringIO:
    logging.getLogger().handlers.clear()  # pytest's own raise where ours must not
    stream = io.StringIO()
    log.configure(level=level, stream=stream)
    return stream


def json_stream(level: log.LogLevel = "info") -> io.StringIO:
    stream = io.StringIO()
    log.configure(format="json", level=level, stream=stream)
    return stream


def fail_in_a_library() -> None:
    raise ValueError("no\nlist")


def test_a_logfmt_line_dates_names_and_tells() -> None:
    stream = logfmt_stream()
    log.get_logger("slurmwatchd.daemon.delivery").info(
        "sink_stalled", sink="jobs", retry_seconds=4, reason="disk full", fatal=False, since=None
    )
    line = stream.getvalue()
    assert re.match(r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info ", line)
    assert line.partition(" ")[2] == (
        "level=info event=sink_stalled logger=slurmwatchd.daemon.delivery"
        ' sink=jobs retry_seconds=4 reason="disk full" fatal=false since=""\n'
    )


def test_a_json_line_has_the_same_fields() -> None:
    stream = json_stream()
    log.get_logger("slurmwatchd.daemon.delivery").warning("sink_stalled", sink="jobs", retry_seconds=4)
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert list(line.items()) == [
        ("level", "warning"),
        ("event", "sink_stalled"),
        ("logger", "slurmwatchd.daemon.delivery"),
        ("sink", "jobs"),
        ("retry_seconds", 4),
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("new\nlevel=error event=forged", r'"new\nlevel=error event=forged"'),
        ('quote" back\\slash', r'"quote\" back\\slash"'),
        ("a=b", '"a=b"'),
        ("\x1b[2Jcleared\x00\x85\u2028", r'"\u001b[2Jcleared\u0000\u0085\u2028"'),
        ("\u202egpj.exe", r'"\u202egpj.exe"'),
        ("half \udcff", r'"half \udcff"'),
        ("\U000e0001tag", r'"\U000e0001tag"'),
        ("Größe", "Größe"),
        ("", '""'),
        (b"raw\xff", r'"b\'raw\\xff\'"'.replace(r"\'", "'")),
    ],
)
def test_a_hostile_value_stays_inside_its_quotes(value: object, written: str) -> None:
    stream = logfmt_stream()
    log.get_logger("t").info("job", name=value)
    assert stream.getvalue().endswith(f" event=job logger=t name={written}\n")
    assert ONE_LINE.fullmatch(stream.getvalue())


@pytest.mark.parametrize("value", ["new\nline", "\x00\x1b\x85\u2028", "half \udcff", b"raw\xff", float("nan")])
def test_a_hostile_value_leaves_strict_one_line_json(value: object) -> None:
    stream = json_stream()
    log.get_logger("t").info("job", name=value, inside={"list": [value]})
    assert ONE_LINE.fullmatch(stream.getvalue())
    assert stream.getvalue().isascii()
    assert not re.search(r"(?<!\\)\\ud", stream.getvalue())
    assert set(json.loads(stream.getvalue())) == {"ts", "level", "event", "logger", "name", "inside"}


def test_a_hostile_key_cannot_forge_a_field() -> None:
    stream = logfmt_stream()
    log.get_logger("t").info("job", **{"a b=1\n": 1, "level": "error", "": 2})
    assert stream.getvalue().endswith(" level=info event=job logger=t a_b_1_=1 level_=error _=2\n")


def test_a_value_that_cannot_be_shown_costs_only_itself() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    stream = logfmt_stream()
    log.get_logger("t").info("job", name=Broken(), user="ada")
    assert stream.getvalue().endswith(' name="<unprintable Broken>" user=ada\n')


@pytest.mark.parametrize("stream_of", [logfmt_stream, json_stream])
def test_a_huge_value_is_cut_before_the_journal_splits_the_line(
    stream_of: Callable[[], io.StringIO],
) -> None:
    stream = stream_of()
    log.get_logger("t").info("job", name="x" * 1_000_000, nodes=["n1"] * 100_000)
    assert "...(+998000 characters)" in stream.getvalue()
    assert "...(+598000 characters)" in stream.getvalue()
    assert len(stream.getvalue()) < 10_000


def test_an_exception_is_one_line_with_its_place() -> None:
    stream = logfmt_stream()
    try:
        fail_in_a_library()
    except ValueError:
        log.get_logger("t").exception("poll_failed", cluster="tux")
    assert ONE_LINE.fullmatch(stream.getvalue())
    assert re.search(
        r' level=error event=poll_failed logger=t cluster=tux exception="ValueError: no\\nlist"'
        r" exception_at=[\w.]*test_log:\d+\n$",
        stream.getvalue(),
    )


def test_at_debug_an_exception_brings_its_traceback_in_one_field() -> None:
    stream = json_stream(level="debug")
    try:
        fail_in_a_library()
    except ValueError as error:
        log.get_logger("t").error("poll_failed", exc_info=error)
    assert ONE_LINE.fullmatch(stream.getvalue())
    told = json.loads(stream.getvalue())["traceback"]
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith("ValueError: no\nlist\n")


def test_a_group_of_exceptions_tells_what_is_in_it() -> None:
    stream = logfmt_stream()
    group = ExceptionGroup("unhandled", [OSError(28, "full"), ExceptionGroup("", [KeyError("a")])])
    log.get_logger("t").error("task_died", exc_info=group)
    assert stream.getvalue().endswith(""" exception="OSError: [Errno 28] full; KeyError: 'a'"\n""")


def test_a_library_speaks_through_the_same_door() -> None:
    stream = logfmt_stream()
    try:
        fail_in_a_library()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("cannot %s\nthis", "serve")
    assert re.search(
        r'Z level=error event="cannot serve\\nthis" logger=uvicorn.error exception="ValueError: ',
        stream.getvalue(),
    )
    assert ONE_LINE.fullmatch(stream.getvalue())


def test_a_library_whose_arguments_do_not_fit_still_gets_its_line() -> None:
    stream = logfmt_stream()
    logging.getLogger("lib").warning("%d of %d", 1)  # noqa: PLE1206  that is the point
    assert stream.getvalue().endswith(' level=warning event="%d of %d" logger=lib\n')


def test_a_warning_is_a_line() -> None:
    stream = logfmt_stream()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old\nway", UserWarning, stacklevel=1)
    assert ONE_LINE.fullmatch(stream.getvalue())
    assert "UserWarning: old\\nway" in stream.getvalue()


def test_the_level_hides_and_a_reload_shows() -> None:
    stream = logfmt_stream()
    logger = log.get_logger("t")
    logger.debug("hidden")
    log.configure(level="debug", stream=stream)
    logger.debug("shown")
    assert re.fullmatch(r"ts=\S+ level=debug event=shown logger=t\n", stream.getvalue())


def test_sqlite_calls_are_not_told_at_debug() -> None:
    stream = logfmt_stream(level="debug")
    logging.getLogger("aiosqlite").debug("executing")
    assert stream.getvalue() == ""


def test_the_web_server_tells_of_faults_and_not_of_its_own_starting() -> None:
    stream = logfmt_stream()
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert re.fullmatch(
        r'ts=\S+ level=warning event="Invalid HTTP request received." logger=uvicorn.error\n', stream.getvalue()
    )


def test_a_failure_that_goes_on_is_news_once_an_hour_and_after_each_success() -> None:
    repeats = log.Repeats()
    assert repeats.is_news("down", 10.0)
    assert not repeats.is_news("down", 3609.0)
    assert repeats.is_news("down", 3610.0)
    assert repeats.is_news("refused", 3611.0)
    assert repeats.is_news("down", 3612.0)
    repeats.reset()
    assert repeats.is_news("down", 3613.0)


def test_without_configure_nothing_goes_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    log.get_logger("slurmwatchd.quiet").info("unseen")
    assert capfd.readouterr().out == ""


def journal_environ(stream: io.TextIOWrapper) -> dict[str, str]:
    status = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


def test_the_journal_gets_a_priority_and_no_second_date(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as stream:
        log.configure(stream=stream, environ=journal_environ(stream), level="debug")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            log.get_logger("t").log(level, "event")
        assert (tmp_path / "journal").read_text().splitlines() == [
            "<7>level=debug event=event logger=t",
            "<6>level=info event=event logger=t",
            "<4>level=warning event=event logger=t",
            "<3>level=error event=event logger=t",
            "<3>level=critical event=event logger=t",
        ]


def test_json_keeps_its_date_in_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as stream:
        log.configure(format="json", stream=stream, environ=journal_environ(stream))
        log.get_logger("t").info("event")
        assert (tmp_path / "journal").read_text().startswith('<6>{"ts":"')


def test_a_shell_that_inherited_the_journal_variable_is_not_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+", encoding="utf-8") as stream:
        log.configure(stream=stream, environ={"JOURNAL_STREAM": "9:12345"})
        log.get_logger("t").info("event")
        assert (tmp_path / "file").read_text().startswith("ts=")


def test_a_closed_stream_does_not_raise() -> None:
    stream = logfmt_stream()
    stream.close()
    log.get_logger("t").error("nobody_reads")


def test_a_reader_that_went_away_costs_neither_the_daemon_nor_its_exit_status() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = (
        "from slurmwatchd.telemetry import log\n"
        "log.configure()\n"
        "for _ in range(10_000): log.get_logger('t').info('nobody_reads', filler='x' * 100)\n"
        "print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=writer,
        check=False,
        timeout=HANGS_SECONDS,
        cwd=Path(__file__).parents[2],
    )
    os.close(writer)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_after_a_full_pipe_took_half_a_line_the_next_starts_on_its_own() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb", buffering=0) as drain, os.fdopen(writer, "w", encoding="utf-8") as stream:
        log.configure(stream=stream)
        size = os.write(writer, b"." * 1_000_000)
        page = len(drain.read(4096))
        log.get_logger("t").info("long", one="y" * 2000, two="y" * 2000, three="y" * 2000)
        assert drain.read(size - page) == b"." * (size - page)
        assert re.fullmatch(
            rb"ts=\S+ level=info event=long logger=t one=y+ two=y+ three=y{1,1999}", drain.read(size)
        )
        log.get_logger("t").info("next")
        assert re.fullmatch(rb"\nts=\S+ level=info event=next logger=t\n", drain.read(size))
