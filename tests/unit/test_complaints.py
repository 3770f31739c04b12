"""A complaint about slurm.conf is a warning; whatever else a command complains of fails its call."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from slurmwatchd.errors import CommandError, SacctError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.complaints import said
from slurmwatchd.sources.process import UNKEPT, Completed, TimedOutError
from slurmwatchd.sources.sacct.client import Sacct
from tests.unit.runners import FakeRunner, commands, done
from tests.unit.sacct_rows import FIELDS_22_05

CONTROL = "sacct: error: Ignoring ControlMachine since SlurmctldHost is set.\n"
CPUS = "sacct: error: NodeNames=n1 CPUs=16 match no Sockets, ignoring CPUs\n"
REFUSED = "sacct: error: Problem talking to the database: Connection refused\n"
HELP = " ".join(FIELDS_22_05).encode()


class Site:
    """A sacct that says what it is told to, and what the daemon tells of it."""

    def __init__(self, folder: Path) -> None:
        self.says, self.returncode = "", 0
        self.runner = FakeRunner(lambda _: done(b"answer\n", stderr=self.says, returncode=self.returncode))
        self.told: list[tuple[str, ...]] = []
        commands(self.runner, folder)
        self.commands = Commands.of(
            self.runner, bin_dir=str(folder), environ={}, tell=lambda _, lines: self.told.append(tuple(lines))
        )

    def configure(self, *, known: str, also: str = "", returncode: int = 0) -> None:
        """Let every call complain of slurm.conf, and those that are no `-V` of something else too."""
        self.says, self.returncode = known + also, returncode
        self.runner.version = done(b"slurm 22.05.8\n", stderr=known)

    async def ask(self, command: str = "sacct") -> Completed:
        return await self.commands.run(command, "-a", timeout_seconds=60)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_what_is_printed_without_asking_anybody_is_no_complaint_of_an_answer(site: Site) -> None:
    site.configure(known=CONTROL + CPUS)
    answer = await site.ask()
    assert (answer.complaints, answer.stderr, answer.stdout) == ((), "", b"answer\n")
    assert site.runner.versions == 1


async def test_what_is_left_over_stays_a_complaint_and_is_all_that_is_shown(site: Site) -> None:
    site.configure(known=CONTROL, also=REFUSED)
    answer = await site.ask()
    assert answer.complaints == (REFUSED.strip(),)
    assert answer.stderr == REFUSED


async def test_a_call_that_does_not_complain_costs_no_other(site: Site) -> None:
    await site.ask()
    assert site.runner.versions == 0


async def test_an_edited_slurm_conf_stops_nothing_and_hides_nothing(site: Site) -> None:
    site.configure(known=CONTROL)
    assert not (await site.ask()).complained
    site.configure(known=CPUS)
    assert not (await site.ask()).complained
    # The same words again, and now they are not about slurm.conf.
    site.configure(known="", also=CPUS + CONTROL)
    assert (await site.ask()).complaints == (CPUS.strip(), CONTROL.strip())


async def test_lines_are_compared_whole(site: Site) -> None:
    site.configure(known="sacct: error: Problem\n", also="sacct: error: Problem talking to the database\n")
    assert (await site.ask()).complaints == ("sacct: error: Problem talking to the database",)


async def test_what_stands_before_a_complaint_is_no_part_of_it(site: Site) -> None:
    site.says = "[2026-11-28T20:00:01.123] error: odd\n"
    site.runner.version = done(stderr="[2026-11-28T20:00:02.456] error: odd\n")
    assert not (await site.ask()).complained
    assert said("12:00 sacct: fatal: no error: here ") == "fatal: no error: here"


@pytest.mark.parametrize(
    "version",
    [
        done(stderr=CONTROL, returncode=1),
        TimedOutError("sacct gave no complete answer in 15 s and was killed"),
        CommandError("cannot start sacct: Cannot allocate memory"),
    ],
)
async def test_a_version_that_fails_excuses_nothing(site: Site, version: Completed | CommandError) -> None:
    """24.11's `sacct -V` with a token it cannot use prints its errors, and exits 1."""
    site.says, site.runner.version = CONTROL, version
    assert (await site.ask()).complaints == (CONTROL.strip(),)


async def test_complaints_that_were_not_kept_are_not_taken_for_known_ones(site: Site) -> None:
    site.configure(known=f"{CONTROL}{UNKEPT}\n")
    assert (await site.ask()).complaints == (UNKEPT,)


async def test_a_wrappers_noise_is_no_complaint(site: Site) -> None:
    site.says = "Loading module slurm/22.05\nwarning: old shell\n"
    answer = await site.ask()
    assert (answer.complained, answer.stderr, site.runner.versions) == (False, site.says, 0)


async def test_a_call_that_fails_tells_why_without_what_is_known(site: Site) -> None:
    site.configure(known=CONTROL)
    await site.ask()
    site.configure(known=CONTROL, also=REFUSED, returncode=1)
    answer = await site.ask()
    assert (answer.returncode, answer.stderr, site.runner.versions) == (1, REFUSED, 1)
    site.configure(known=CONTROL, returncode=1)
    assert (await site.ask()).stderr == CONTROL


async def test_each_complaint_is_told_once_whichever_command_has_it(site: Site) -> None:
    for _ in range(3):
        site.configure(known=CONTROL)
        await site.ask()
        site.configure(known=CONTROL.replace("sacct", "scontrol"))
        await site.ask("scontrol")
    control = said(CONTROL)
    assert site.told == [(control,)]
    assert site.commands.complaints.of == {"sacct": (control,), "scontrol": (control,)}
    site.configure(known=CONTROL + CPUS)
    await site.ask()
    await site.ask()
    assert site.told[1:] == [(control, said(CPUS))]
    site.configure(known="")
    await site.ask()
    await site.ask("scontrol")
    await site.ask()
    assert site.told[2:] == [()]
    assert site.commands.complaints.of == {}


async def test_what_fails_a_call_is_not_told_as_harmless(site: Site) -> None:
    site.configure(known="", also=REFUSED)
    await site.ask()
    assert (site.told, site.commands.complaints.of) == ([], {})


async def test_version_itself_needs_no_other_to_be_judged(site: Site) -> None:
    site.configure(known=CONTROL)
    answer = await site.commands.run("sacct", "-V", timeout_seconds=60)
    assert (answer.complained, answer.stdout, site.runner.versions) == (False, b"slurm 22.05.8\n", 1)


async def test_sacct_takes_an_answer_beside_a_complaint_and_refuses_one_beside_an_error(tmp_path: Path) -> None:
    says = CONTROL

    def answer(_: Sequence[str]) -> Completed:
        return done(HELP, stderr=says)

    runner = FakeRunner(answer, version=done(b"slurm 22.05.8\n", stderr=CONTROL))
    sacct = Sacct(commands(runner, tmp_path), timeout_seconds=60, spool_dir=tmp_path)
    assert "Account" in await sacct.available_fields()
    says = CONTROL + "sacct: error: slurmdbd: Unspecified error\n"
    with pytest.raises(SacctError, match=r"^sacct failed \(exit status 0\): sacct: error: slurmdbd: Unspecified"):
        await sacct.available_fields()
