"""`Store.report`: the same lines for scripts, and as a DataFrame."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slurmwatchd import connector
from slurmwatchd.store.database import open_database
from slurmwatchd.store.intake import Intake
from tests.unit.attempts import NOW, batch
from tests.unit.test_store_sums import ran

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

START, END = (datetime.fromtimestamp(moment, UTC) for moment in (NOW - 86_400, NOW))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    async with open_database(tmp_path / "store.db") as database:
        intake = await Intake.load(database)
        await intake.commit(
            batch(
                ran(1, user="ann", account="physics", seconds=3600),
                ran(2, user="bob", account="physics", seconds=7200, state="FAILED", outcome="failed"),
                ran(3, user="bob", account="chemistry", seconds=1800, partition="gpu"),
            )
        )
    return tmp_path / "store.db"


def test_a_question_of_a_wrong_type_is_refused_and_not_answered_with_nothing() -> None:
    with pytest.raises(ValueError, match=r"^states: 'FAILD' is not one of BOOT_FAIL, CANCELLED, .*, SUSPENDED$"):
        connector.Question(states=("FAILD",))
    with pytest.raises(ValueError, match=r"^outcomes: 'fail' is not one of completed, failed, .*, unknown$"):
        connector.Question(outcomes=("fail",))
    with pytest.raises(TypeError, match=r"^users: must be a list such as \['ann'\], not 'ann'$"):
        connector.Question(users="ann")  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"^ended_from: must be epoch seconds, such as int\(moment.timestamp\(\)\)"
    ):
        connector.Question(ended_from=START)  # type: ignore[arg-type]


def test_lines_and_a_total(path: Path) -> None:
    with connector.open(path) as store:
        report = store.report(START, END, by="user", rates=connector.Rates(prices={"cpu": 2.0}))
        assert [(line.key, line.attempts, line.cpu_hours, line.price) for line in report] == [
            ("bob", 2, 10.0, 20.0), ("ann", 1, 4.0, 8.0), ("total", 3, 14.0, 28.0),
        ]  # fmt: skip
        assert (report.total.lost_cpu_hours, len(report), report[0].outcomes) == (
            8.0,
            3,
            {"completed": 1, "failed": 1},
        )
        assert repr(report) == "<report by user: 2 lines and a total>"
        assert store.report(START, END, partitions=["gpu"]).total.attempts == 1
        assert [line.key for line in store.report(START, END, by="user", top=1)] == ["bob", "(others)", "total"]
        with pytest.raises(ValueError, match=r"^outcomes: 'fail' is not one of completed, failed, .*, unknown$"):
            store.report(START, END, outcomes=["fail"])
        with pytest.raises(ValueError, match="cannot report by 'node'"):
            store.report(START, END, by="node")
        with pytest.raises(ValueError, match="is before the start"):
            store.report(END, START)
        with pytest.raises(TypeError, match=r"^partitions: must be a list such as \['gpu'\], not 'gpu'$"):
            store.report(START, END, partitions="gpu")


async def test_the_same_with_an_event_loop(path: Path) -> None:
    async with connector.open_async(path) as store:
        report = await store.report(START, END, by="account")
    assert [line.key for line in report] == ["physics", "chemistry", "total"]


def test_a_dataframe_has_a_row_a_line(path: Path) -> None:
    pytest.importorskip("pandas")
    with connector.open(path) as store:
        frame = store.report(START, END, by="user").to_dataframe()
        empty = store.report(START, END, by="user", users=["nobody"]).to_dataframe()
    assert list(frame.index) == ["bob", "ann"]
    assert frame.index.name == "user"
    assert frame.loc["bob", "attempts_failed"] == 1
    assert frame["hours_gres/gpu:a100"].sum() == 3.5
    assert len(empty) == 0
