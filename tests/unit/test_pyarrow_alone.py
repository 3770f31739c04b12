"""Commands that use pyarrow load neither numpy nor pandas; everyone else has all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from slurmwatchd.store.archive import pyarrow_alone

ALONE = "import sys; from slurmwatchd.store.archive.pyarrow_alone import import_pyarrow_alone as alone; alone(); "
HEAVY = (
    "print(*(name for name in ('numpy', 'pandas') if name in sys.modules), sys.modules.get('numpy', 0) is None)"
)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_column_is_made_without_numpy() -> None:
    pytest.importorskip("numpy")
    column = "import pyarrow as pa; assert pa.array([1, None], pa.int64()).to_pylist() == [1, None]; "
    assert run(ALONE + column + HEAVY) == "False\n"
    # And who wants it afterwards finds it.
    assert run(ALONE + "import numpy; " + HEAVY) == "numpy False\n"


def test_parquet_is_written_without_numpy(tmp_path: Path) -> None:
    file = tmp_path / "jobs.parquet"
    writing = (
        "import sys; from slurmwatchd.cli.export_writers import *; "
        f"stream = open({str(file)!r}, 'wb'); writer = writer_of(ExportFormat.PARQUET, stream); "
        "writer.write([{'job_id': '1', 'end': '2026-11-20T08:09:10Z', 'nodes': ['n1']}]); writer.close(); "
        "stream.close(); "
    )
    # pyarrow.compute is twenty megabytes.
    assert run(writing + HEAVY + "; print('pyarrow.compute' in sys.modules)") == "False\nFalse\n"
    assert file.read_bytes()[-4:] == b"PAR1"


def test_where_numpy_is_there_already_nothing_is_changed() -> None:
    pytest.importorskip("numpy")
    program = f"import numpy; {ALONE}import pyarrow as pa; print(pa.array([1, 2]).to_numpy().sum())"
    assert run(program) == "3\n"


@pytest.mark.parametrize(
    ("folder", "works"),
    [
        ("pyarrow-18.0.0.dist-info", True), ("pyarrow-26.0.1.dist-info", True), ("pyarrow-9.dist-info", False),
        ("pyarrow-17.0.0.dist-info", False), ("pyarrow-x.dist-info", False), ("other-26.0.1.dist-info", False),
    ],
)  # fmt: skip
def test_an_older_pyarrow_gets_its_numpy(
    folder: str, *, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    assert pyarrow_alone.works_alone() is works
