"""Questions that fail while they read: their thread is free again."""

from collections.abc import Callable

import anyio
import pytest

from slurmwatchd.daemon.web.api.problems import ProblemError
from slurmwatchd.daemon.web.api.questions import Asking, Questions
from slurmwatchd.store.read.reader import StoreReader
from tests.integration.rig import Rig
from tests.patience import HANGS_SECONDS


@pytest.mark.parametrize("error", [TypeError, MemoryError, lambda text: ProblemError(400, text)])
async def test_a_question_that_fails_among_rows_leaves_its_thread_free(
    filled: Rig, error: Callable[[str], Exception]
) -> None:
    def half_read(store: StoreReader, _: Asking) -> None:
        rows = store.each("SELECT id FROM jobs")
        next(rows)
        raise error("half-way")

    asked = Questions(filled.store, seconds=HANGS_SECONDS)
    with anyio.fail_after(HANGS_SECONDS):
        for _ in range(5):
            with pytest.raises((TypeError, MemoryError, ProblemError)):
                await asked.ask(half_read, who="a")
            assert (await asked.ask(lambda store, _: store.rows("SELECT 1 AS one")[0]["one"], who="a")) == 1
    asked.close()
