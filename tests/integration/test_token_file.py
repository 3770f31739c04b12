"""A daemon without munge: the token in its file is good, expires, is emptied, is renewed."""

from pathlib import Path

import pytest

from slurmwatchd.errors import SacctError, TokenError
from tests.integration.rig import Rig
from tests.tokens import token

HOUR = 3600


@pytest.mark.parametrize(
    ("version", "said"),
    [("22.05.8", "Unspecified error"), ("26.05.5", "Protocol authentication error")],
)
async def test_nothing_is_taken_as_read_on_a_bad_token_and_nothing_is_lost(
    tmp_path: Path, version: str, said: str
) -> None:
    file = tmp_path / "token"
    with Rig(tmp_path, version=version, slurm={"jwt_file": str(file)}) as rig:
        expires = rig.now + HOUR
        file.write_text(f"SLURM_JWT={token({'sun': 'root', 'exp': expires})}\n")
        rig.ended(20, job_name="on the good one")
        async with rig.daemon() as daemon:
            await daemon.watchers[0].once()
            assert rig.ask_store("SELECT count(*) FROM jobs") == [(1,)]
            assert daemon.metrics.token_expiry._value.get() == expires
            read = rig.watermark()

            rig.move(2 * HOUR)
            rig.ended(20, job_name="on the expired one")
            # The test's clock begins at 06:00.
            refused = (
                rf"^sacct failed: the token of root expired 2026-11-24T07:00:00Z \(exit status \d+\): .*{said}"
            )
            with pytest.raises(SacctError, match=refused):
                await daemon.watchers[0].once()
            file.write_text("\n")
            with pytest.raises(TokenError, match=r"it is empty$"):
                await daemon.watchers[0].once()
            assert rig.watermark() == read

            file.write_text(token({"sun": "root"}))
            await daemon.watchers[0].once()
            assert daemon.metrics.token_expiry._value.get() == 0
        assert rig.watermark() > read
        assert rig.ask_store("SELECT count(*) FROM jobs") == [(2,)]
