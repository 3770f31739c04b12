"""What Slurm's commands say, and what they keep to themselves, when there is no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from slurmwatchd.errors import NodelistError, SacctError
from slurmwatchd.sources.commands import Commands
from slurmwatchd.sources.process import SystemProcessRunner
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacctmgr import Limits, Sacctmgr
from slurmwatchd.sources.scontrol import Scontrol
from slurmwatchd.sources.sdiag import Sdiag
from tests.contract.cast import FIRST_ID, WINDOWS
from tests.contract.sites import ORDINARY, ORDINARY_UID, RANGE_SECONDS
from tests.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.sites import Site

AT = WINDOWS + 1000
ASK = ("-a", "-X", "-D", "-P", "-s", "CD", "-o", "jobidraw")


async def emptied(commands: Commands) -> int | None:
    """Return the size of the agent's queue: what is on its way to slurmdbd gets its time to arrive."""
    patience = Patience()
    while (size := await Sdiag(commands).queue_size()) and not patience.is_over():  # noqa: ASYNC110 - sdiag tells nobody
        await anyio.sleep(0.05)
    return size


@pytest.mark.contract("unknown-cluster")
async def test_an_unknown_cluster_is_an_empty_answer_without_a_word(site: Site) -> None:
    done = site.run("sacct", *ASK, "-M", "nosuch", "-S", f"uts{AT}", "-E", f"uts{AT + 1}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"JobIDRaw\n", b"")
    known = site.ask(*ASK, "-M", site.cluster, "-S", f"uts{AT}", "-E", f"uts{AT + 1}")
    assert known == f"JobIDRaw\n{FIRST_ID + 1}\n"


@pytest.mark.contract("agent-queue")
async def test_no_record_is_held_back_while_all_is_well(site: Site) -> None:
    assert await emptied(site.commands) == 0


@pytest.mark.contract("limits")
async def test_without_limits_there_are_none(site: Site) -> None:
    limits = await Sacctmgr(site.commands).limits()
    assert limits is not None
    assert (limits.query_seconds, limits.purge_seconds, limits.slurm_user) == (None, None, "slurm")
    # 26.05 says "none" whatever it is; of 25.05 and 25.11 nobody knows.
    assert limits.private == (frozenset() if site.release <= (24, 11) else None)


@pytest.mark.contract("levels")
async def test_any_user_is_told_roots_level_and_the_own_one(site: Site) -> None:
    ask = ("-nP", "show", "user", f"{ORDINARY},root", "format=user,adminlevel")
    done = site.run("sacctmgr", *ask, uid=ORDINARY_UID)
    assert (done.returncode, done.stderr) == (0, b"")
    assert dict(line.split("|") for line in done.stdout.decode().split()).pop("root") == "Administrator"
    asker = Sacctmgr(site.commands, user=ORDINARY)
    assert await asker.is_operator(Limits()) is False
    assert await Sacctmgr(site.commands, user="nosuch").is_operator(Limits()) is False


@pytest.fixture
def complaining(site: Site) -> Iterator[Commands]:
    with site.complaining() as folder:
        yield Commands.of(SystemProcessRunner(), bin_dir=str(folder))


QUESTIONS = {
    "sacct": ("-X", "-S", f"uts{AT}", "-E", f"uts{AT + 1}"),
    "scontrol": ("show", "hostnames", "n[1-2]"),
    "sacctmgr": ("-n", "show", "cluster"),
    "sdiag": (),
}


@pytest.mark.contract("complaints")
@pytest.mark.parametrize("command", QUESTIONS)
async def test_a_complaint_about_slurm_conf_is_printed_with_version_too(
    complaining: Commands, command: str
) -> None:
    line = f"{command}: error: Ignoring ControlMachine since SlurmctldHost is set.\n"
    for arguments in (QUESTIONS[command], ("-V",)):
        argv = [complaining.path(command), *arguments]
        done = await complaining.runner.run(argv, env=complaining.env, timeout_seconds=60)
        assert (done.returncode, done.stderr, bool(done.stdout)) == (0, line, True)
    answer = await complaining.run(command, *QUESTIONS[command], timeout_seconds=60)
    assert (answer.complaints, answer.stderr) == ((), "")


@pytest.mark.contract("complaints")
async def test_the_daemon_reads_beside_a_complaint(site: Site, complaining: Commands) -> None:
    sacct = Sacct(complaining, timeout_seconds=60, spool_dir=site.folder)
    await sacct.answers()
    with pytest.raises(SacctError, match=r"^sacct failed .exit status 1.: sacct: error: Invalid field requested"):
        async with sacct.answer_to(["-o", "nosuch"], timeout_seconds=60):
            pass
    expanded = await Scontrol(complaining).expand(["n[1-2]", "n[2-1]", "m[7-9]"])
    assert isinstance(expanded.pop("n[2-1]"), NodelistError)
    assert expanded == {"n[1-2]": ("n1", "n2"), "m[7-9]": ("m7", "m8", "m9")}
    assert (await Sacctmgr(complaining).only_cluster(), await emptied(complaining)) == (site.cluster, 0)
    assert set(complaining.complaints.of) == {"sacct", "scontrol", "sacctmgr", "sdiag"}


@pytest.fixture(scope="class")
def _outage(site: Site) -> Iterator[None]:
    with site.slurmdbd_down():
        yield


@pytest.fixture(scope="class")
def _restrictions(site: Site) -> Iterator[None]:
    with site.restricted():
        yield


@pytest.mark.usefixtures("_outage")
class TestSlurmdbdDown:
    """All that is asked while slurmdbd is down, in one outage."""

    @pytest.mark.contract("slurmdbd-down")
    async def test_sacct_fails_at_once_with_errors_and_no_header(self, site: Site) -> None:
        done = site.run("sacct", *ASK, "-S", f"uts{AT}", "-E", f"uts{AT + 1}")
        assert (done.returncode, done.stdout) == (1, b"")
        lines = done.stderr.decode().splitlines()
        assert len(lines) >= 3
        assert all(line.startswith("sacct: error: ") for line in lines)
        assert "failed to open persistent connection to" in lines[0]
        assert "Connection refused" in lines[0]
        with pytest.raises(SacctError, match="exit status 1"):
            await site.sacct.answers()

    @pytest.mark.contract("version")
    async def test_version_asks_nobody(self, site: Site) -> None:
        assert (await site.sacct.version()).endswith(site.version)

    @pytest.mark.contract("field-list-offline")
    def test_helpformat_asks_slurmdbd_until_24_11(self, site: Site) -> None:
        done = site.run("sacct", "--helpformat")
        assert (done.returncode, bool(done.stdout)) == ((1, False) if site.release < (25, 5) else (0, True))

    @pytest.mark.contract("limits-down")
    async def test_sacctmgr_prints_half_of_its_answer_and_exits_0(self, site: Site) -> None:
        done = site.run("sacctmgr", "-nP", "show", "configuration")
        assert done.returncode == 0
        assert b"SlurmDBD configuration:" not in done.stdout
        assert await Sacctmgr(site.commands).limits() is None

    @pytest.mark.contract("agent-queue")
    async def test_records_are_held_back(self, site: Site) -> None:
        held = await Sdiag(site.commands).queue_size()
        assert held is not None
        assert held > 0


@pytest.mark.usefixtures("_restrictions")
class TestRestricted:
    """All that is asked under MaxQueryTimeRange and PrivateData, in one configuration."""

    @pytest.mark.contract("limits")
    async def test_any_user_is_told_the_limits(self, site: Site) -> None:
        done = site.run("sacctmgr", "-nP", "show", "configuration", uid=ORDINARY_UID)
        assert done.returncode == 0
        limits = await Sacctmgr(site.commands).limits()
        assert limits is not None
        assert limits.query_seconds == RANGE_SECONDS
        assert limits.purge_seconds == 1000 * 30 * 86_400
        # 26.05 says "none" all the same, and obeys.
        assert limits.private == (frozenset({"jobs"}) if site.release < (26, 5) else None)

    @pytest.mark.contract("too-wide")
    def test_an_ordinary_user_may_not_ask_for_more_than_the_range(self, site: Site) -> None:
        def ask(seconds: int, uid: int) -> tuple[int, bytes]:
            window = ("-S", f"uts{AT}", "-E", f"uts{AT + seconds}")
            done = site.run("sacct", *ASK, *window, uid=uid)
            return done.returncode, done.stderr

        status, complaint = ask(RANGE_SECONDS + 1, ORDINARY_UID)
        assert status == (95 if site.full < (23, 11, 4) else 1)
        assert b"sacct: error: " in complaint
        assert b"Too wide of a date range in query" in complaint
        assert ask(RANGE_SECONDS, ORDINARY_UID) == (0, b"")
        assert ask(RANGE_SECONDS + 1, 0) == (0, b"")

    @pytest.mark.contract("private-data")
    def test_other_peoples_jobs_are_hidden_without_a_word(self, site: Site) -> None:
        window = ("-S", f"uts{AT}", "-E", f"uts{AT + 1}")
        done = site.run("sacct", *ASK, *window, uid=ORDINARY_UID)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"JobIDRaw\n", b"")
        assert site.ask(*ASK, *window) == f"JobIDRaw\n{FIRST_ID + 1}\n"
