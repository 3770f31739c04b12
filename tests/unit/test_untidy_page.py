"""The page on the real clusters has what is untidy about each, and nothing that is not."""

import re
from pathlib import Path

from tests.real_slurm import jobs, untidy, untidy_jobs
from tests.real_slurm.releases import RELEASES

PAGE = Path(jobs.__file__).with_name("README.md")
MODULES = {"untidy.py": untidy, "untidy_jobs.py": untidy_jobs, "jobs.py": jobs}
ROW = re.compile(r"^\| (.+?) \| (yes|no) \| (yes|no) \| (yes|no) \| `(\w+\.py)`: `(\w+)` \|$", re.MULTILINE)


def test_each_habit_of_each_release_is_on_the_page() -> None:
    said = {name: answers for _, *answers, file, name in ROW.findall(PAGE.read_text()) if file == "untidy.py"}
    for name in ("old_controller", "wrapper", "cron"):
        assert said[name] == ["yes" if getattr(untidy.HABITS[v], name) else "no" for v in RELEASES]
    # 17 is not 2 x 8 x 1; of 16, which is said without a topology, nothing complains.
    assert said["topology"] == ["yes" if "CPUs=17" in untidy.HABITS[v].topology else "no" for v in RELEASES]


def test_what_the_page_names_is_there() -> None:
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) == 12
    fields = set(untidy.Habits.__dataclass_fields__)
    for *_, file, name in rows:
        assert name in fields or hasattr(MODULES[file], name), (file, name)
