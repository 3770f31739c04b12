"""What `import slurmwatchd` gives, and what it costs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import slurmwatchd

LIGHT = """
import sys
import slurmwatchd
assert slurmwatchd.__version__
heavy = {"pandas", "pyarrow", "numpy", "pydantic", "starlette", "uvicorn", "asyncio", "anyio", "aiosqlite",
         "sqlite3", "click", "structlog", "prometheus_client", "ClusterShell", "slurmwatchd.connector"}
print(sorted(heavy & set(sys.modules)))
"""

CONNECTOR = """
import sys
from slurmwatchd import Slurm
assert Slurm(from_string="JobIDRaw|NodeList\\n7|n1\\n").get_job_nodes() == {"n1"}
heavy = {"pandas", "pyarrow", "numpy", "pydantic", "starlette", "uvicorn", "click", "structlog",
         "prometheus_client", "ClusterShell"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("script", [LIGHT, CONNECTOR], ids=["import slurmwatchd", "Slurm"])
def test_nothing_heavy_is_imported_before_it_is_used(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", slurmwatchd.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert name in dir(slurmwatchd)
    value = getattr(slurmwatchd, name)
    assert name == "__version__" or value.__doc__


def test_the_names_that_scripts_import() -> None:
    from slurmwatchd import connector  # noqa: PLC0415 - what is tested

    assert slurmwatchd.Slurm is connector.Slurm
    assert slurmwatchd.open_store is connector.open
    assert slurmwatchd.jobs_running_between is connector.jobs_running_between
    assert set(slurmwatchd.__all__) == {
        "AsyncStore", "Event", "EventKind", "JobRecord", "JobUsage", "NodelistError", "Order", "Question",
        "SacctError", "Slurm", "SlurmEncoder", "SlurmNotFoundError", "SlurmwatchError", "Store", "StoreError",
        "Totals", "__version__", "compact_nodelist", "expand_nodelist", "jobs_running_between", "open_store",
        "open_store_async", "parse_sacct",
    }  # fmt: skip


def test_every_name_of_the_original_is_here() -> None:
    from slurmwatchd import connector  # noqa: PLC0415 - what is tested

    functions = ("expand_nodelist", "compact_nodelist", "jobs_running_between", "parse_sacct", "_RECAST_KEY_MAP")
    assert all(hasattr(connector, name) for name in ("Slurm", "SlurmEncoder", *functions))
    methods = (
        "load", "load_keys", "load_cache", "load_str", "get_job_ids", "get_job_nodes", "get_job_startend",
        "to_json", "from_json", "to_dataframe", "save_cache", "_recast_keys",
    )  # fmt: skip
    assert all(callable(getattr(connector.Slurm, name)) for name in methods)


def test_the_page_of_the_connector_names_all_of_it() -> None:
    from slurmwatchd import connector  # noqa: PLC0415 - what is tested

    page = (Path(__file__).parents[2] / "docs" / "connector.md").read_text()
    methods = [name for name in vars(connector.Slurm) if not name.startswith("_")]
    store = [name for name in vars(connector.Store) if not name.startswith("_")]
    names = {*connector.__all__, *methods, *store} - {"AsyncStore", "Order", "Store", "Totals", "close", "load"}
    assert len(names) > 25
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", page)] == []


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        slurmwatchd.nothing  # noqa: B018
