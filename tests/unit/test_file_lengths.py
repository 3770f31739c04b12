"""A Python file of over 400 lines holds two things, and is two files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 400


def test_no_file_has_more_than_400_lines() -> None:
    files = [
        path for room in ("slurmwatchd", "simslurm", "tests", "tools") for path in (ROOT / room).rglob("*.py")
    ]
    assert len(files) > 500
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
