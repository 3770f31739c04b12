"""Which fields are asked for: found out once for each version of sacct, and remembered."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from slurmwatchd.errors import SacctError, SacctOutputError, SlurmwatchError
from slurmwatchd.sources.process import Completed
from slurmwatchd.sources.sacct.client import Sacct
from slurmwatchd.sources.sacct.fields import Layout
from slurmwatchd.sources.sacct.layouts import Layouts
from tests.unit.runners import FakeRunner, commands, done
from tests.unit.sacct_rows import FIELDS_22_05

OLD = list(FIELDS_22_05)
NEW = [*(name for name in OLD if name != "Reserved"), "Planned", "SLUID"]
DOWN = done(stderr="sacct: error: Problem talking to the database: Connection refused\n", returncode=1)


class Memory:
    """A store's memory, in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.kept.get(key)

    async def put(self, key: str, value: str) -> None:
        self.kept[key] = value


class Installed:
    """The sacct that is installed now; `down` is slurmdbd's state."""

    def __init__(self, folder: Path) -> None:
        self.version = "slurm 22.05.8"
        self.names = OLD
        self.down = False
        self.runner = FakeRunner(self._answer, version=None)
        self.sacct = Sacct(commands(self.runner, folder), timeout_seconds=300, spool_dir=folder)

    def _answer(self, arguments: Sequence[str]) -> Completed | SlurmwatchError:
        if arguments == ("-V",) or list(arguments) == ["-V"]:
            return done(f"{self.version}\n".encode())
        return DOWN if self.down else done(" ".join(self.names).encode())

    def asked(self) -> list[str]:
        return [call[0] for call in self.runner.calls]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


async def test_the_first_call_asks_for_version_and_fields(installed: Installed) -> None:
    layouts = Layouts(installed.sacct, Memory())
    layout = await layouts.current(check=True)
    assert layout.fields == Layout(OLD).fields
    assert layouts.version == "slurm 22.05.8"
    assert installed.asked() == ["-V", "--helpformat"]


async def test_later_calls_ask_for_the_version_only(installed: Installed) -> None:
    layouts = Layouts(installed.sacct, Memory())
    first = await layouts.current(check=True)
    assert await layouts.current(check=True) is first
    assert await layouts.current(check=False) is first
    assert installed.asked() == ["-V", "--helpformat", "-V"]


async def test_another_version_is_asked_for_its_own_fields(installed: Installed) -> None:
    layouts = Layouts(installed.sacct, Memory())
    await layouts.current(check=True)
    installed.version, installed.names = "slurm 24.11.5", NEW
    assert (await layouts.current(check=False)).fields == Layout(OLD).fields
    layout = await layouts.current(check=True)
    assert set(layout.fields) == set(NEW)
    assert layouts.version == "slurm 24.11.5"


async def test_a_daemon_that_starts_while_slurmdbd_is_down_still_knows_what_to_ask_for(
    installed: Installed,
) -> None:
    memory = Memory()
    await Layouts(installed.sacct, memory).current(check=True)
    installed.down = True
    assert (await Layouts(installed.sacct, memory).current(check=True)).fields == Layout(OLD).fields


async def test_a_version_never_met_cannot_be_learnt_while_slurmdbd_is_down(installed: Installed) -> None:
    installed.down = True
    layouts = Layouts(installed.sacct, Memory())
    with pytest.raises(SacctError, match="Connection refused"):
        await layouts.current(check=True)
    installed.down = False
    assert (await layouts.current(check=False)).fields == Layout(OLD).fields


@pytest.mark.parametrize(
    "error",
    [
        SacctError("sacct failed", returncode=1, stderr='sacct: error: Invalid field requested: "Reserved"'),
        SacctOutputError("sacct's header is not the one requested"),
    ],
)
async def test_an_answer_that_says_the_layout_is_wrong_makes_it_be_asked_for_again(
    installed: Installed, error: SacctError
) -> None:
    memory = Memory()
    layouts = Layouts(installed.sacct, memory)
    await layouts.current(check=True)
    installed.names = NEW
    layouts.doubt(error)
    assert set((await layouts.current(check=False)).fields) == set(NEW)
    assert set((await Layouts(installed.sacct, memory).current(check=True)).fields) == set(NEW)


async def test_an_outage_does_not_cast_doubt_on_the_layout(installed: Installed) -> None:
    layouts = Layouts(installed.sacct, Memory())
    first = await layouts.current(check=True)
    layouts.doubt(SacctError("sacct failed", returncode=1, stderr="sacct: error: Connection refused"))
    assert await layouts.current(check=False) is first


async def test_a_doubted_layout_is_not_taken_from_memory_until_sacct_has_answered(installed: Installed) -> None:
    layouts = Layouts(installed.sacct, Memory())
    await layouts.current(check=True)
    layouts.doubt(SacctOutputError("sacct's header is not the one requested"))
    installed.down = True
    with pytest.raises(SacctError):
        await layouts.current(check=False)
    installed.down, installed.names = False, NEW
    assert set((await layouts.current(check=False)).fields) == set(NEW)


@pytest.mark.parametrize("names", [["JobID", "State"], OLD[:-1], OLD[1:]])
async def test_a_list_that_is_not_whole_is_refused_and_not_kept(installed: Installed, names: list[str]) -> None:
    installed.names = names
    memory = Memory()
    with pytest.raises(SacctOutputError, match=r"left out .* fields that every release has: "):
        await Layouts(installed.sacct, memory).current(check=True)
    assert memory.kept == {}


async def test_half_a_list_that_was_kept_is_asked_for_again(installed: Installed) -> None:
    memory = Memory()
    memory.kept["sacct fields: slurm 22.05.8"] = '["Cluster", "JobIDRaw", "Submit", "JobID", "State"]'
    assert (await Layouts(installed.sacct, memory).current(check=True)).fields == Layout(OLD).fields
    assert installed.asked() == ["-V", "--helpformat"]
