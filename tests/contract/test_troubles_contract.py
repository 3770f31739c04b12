"""What sacct shows of a database in trouble: mostly nothing, and nothing that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slurmwatchd.sources.sacct.arguments import TERMINAL_STATES
from tests.contract import cast
from tests.contract.trouble import FEW, START, answered, trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.sites import Done, Site
    from tests.contract.trouble import Trouble

ASK = ("-a", "-X", "-D", "-P", "--local", "-o", "jobidraw")
NOTHING = (0, b"JobIDRaw\n", b"")


@pytest.fixture(scope="class")
def trouble(site: Site) -> Iterator[Trouble]:
    made = trouble_of(site)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="class")
def _limit(trouble: Trouble) -> Iterator[None]:
    with trouble.limited():
        yield


def window(site: Site, rows: int) -> Done:
    states = ("-s", TERMINAL_STATES, "-S", f"uts{START}", "-E", f"uts{START + rows - 1}")
    return site.run("sacct", *ASK, *states)


def by_id(site: Site, first: int, count: int, *options: str) -> Done:
    names = ",".join(str(first + number) for number in range(count))
    times = ("-S", f"uts{START - 99_999}", "-E", f"uts{START + 99_999}")
    return site.run("sacct", "-a", "-D", "-P", "-j", names, *times, *options, "-o", "jobidraw")


def seen(done: Done) -> tuple[int, bytes, bytes]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("_limit")
class TestLimitedStatements:
    """All that is asked while MariaDB ends the statements that take long."""

    @pytest.mark.contract("statement-cut")
    def test_a_window_is_empty_and_nothing_says_so(self, site: Site, trouble: Trouble) -> None:
        assert seen(window(site, trouble.rows)) == NOTHING

    @pytest.mark.contract("cut-is-whole")
    def test_an_answer_has_all_of_its_rows_or_none(self, site: Site, trouble: Trouble) -> None:
        sizes = [trouble.rows // part for part in (1, 2, 4, 8, 16)]
        answers = {rows: window(site, rows) for rows in sizes}
        answers[FEW] = answered(lambda: window(site, FEW))
        whole = {rows for rows, done in answers.items() if done.stdout.count(b"\n") == rows + 1}
        none = {rows for rows, done in answers.items() if done.stdout == NOTHING[1]}
        assert FEW in whole
        assert trouble.rows in none
        assert whole | none == set(answers)
        assert {(done.returncode, done.stderr) for done in answers.values()} == {(0, b"")}

    @pytest.mark.contract("cut-by-id")
    def test_a_few_jobs_are_answered_by_their_ids(self, site: Site, trouble: Trouble) -> None:
        done = answered(lambda: by_id(site, trouble.first, 3, "-X"))
        header, *rows = done.stdout.split()
        assert (done.returncode, done.stderr, header) == (0, b"", b"JobIDRaw")
        assert sorted(map(int, rows)) == [trouble.first, trouble.first + 1, trouble.first + 2]

    @pytest.mark.contract("cut-steps")
    def test_one_job_with_many_steps_empties_the_whole_list(self, site: Site, trouble: Trouble) -> None:
        one = answered(lambda: by_id(site, trouble.first, 1))
        assert one.stdout.startswith(b"JobIDRaw\n%d\n" % trouble.first)
        assert seen(by_id(site, trouble.first, 3)) == NOTHING


class TestOpenJobs:
    """The same for the list of open jobs."""

    @pytest.mark.contract("cut-open")
    def test_the_list_of_open_jobs_is_empty_and_nothing_says_so(self, site: Site, trouble: Trouble) -> None:
        # Early enough for none to have been eligible later, and for who was open then to be so still.
        now = ("-S", f"uts{START + 99_999}", "-E", f"uts{START + 100_000}")
        with trouble.opened():
            assert site.run("sacct", *ASK, *now).stdout.count(b"\n") >= trouble.rows + 1
            with trouble.limited():
                assert seen(site.run("sacct", *ASK, *now)) == NOTHING


ROW = ("-X", "-n", "-P", "-j", str(cast.FIRST_ID + 510), "-o", "jobidraw,qos,alloctres")
TRES = "billing=8,cpu=8,energy=77,gres/gpu:a100=4,gres/gpu=4,mem=1500M,node=2"


class TestLists:
    """What slurmdbd's lists of names are needed for, and the connection to it."""

    @pytest.mark.contract("tres-list-gone")
    def test_without_its_list_of_tres_the_columns_are_blank(self, site: Site, trouble: Trouble) -> None:
        with trouble.without("tres"):
            assert seen(site.run("sacct", *ROW)) == (0, b"%d|normal|\n" % (cast.FIRST_ID + 510), b"")
            # What gives it away: the list itself is empty, which it never is.
            assert seen(site.run("sacctmgr", "-nP", "show", "tres", "format=type")) == (0, b"", b"")
        assert site.ask(*ROW).endswith(f"|{TRES}\n")

    @pytest.mark.contract("qos-list-gone")
    def test_without_its_list_of_qos_each_is_unknown(self, site: Site, trouble: Trouble) -> None:
        with trouble.without("qos"):
            assert site.ask(*ROW) == f"{cast.FIRST_ID + 510}|Unknown|{TRES}\n"
            assert seen(site.run("sacctmgr", "-nP", "show", "qos", "format=name")) == (0, b"", b"")
        assert site.ask(*ROW) == f"{cast.FIRST_ID + 510}|normal|{TRES}\n"

    @pytest.mark.contract("connection-lost")
    def test_an_answer_that_breaks_off_has_no_rows_and_says_so(self, site: Site, trouble: Trouble) -> None:
        done = trouble.lost(*ASK, "-s", TERMINAL_STATES, "-S", f"uts{START}", "-E", f"uts{START + 99}")
        assert (done.returncode, done.stdout) == (0 if site.full < (23, 11, 4) else 1, b"JobIDRaw\n")
        lines = done.stderr.decode().splitlines()
        assert "sacct: error: DBD_GET_JOBS_COND failure: Unspecified error" in lines
