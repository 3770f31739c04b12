"""The pages for people: every link leads somewhere, and every file they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
}
ADDRESS = "https://github.com/slurmwatchd/slurmwatchd"


def anchors(text: str) -> set[str]:
    """The anchors GitHub makes of a page's headings."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_to_a_heading(name: str) -> None:
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        target, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://")):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            missing.append(link)
    assert missing == []


def test_the_files_that_contributing_names_are_there() -> None:
    text = PAGES["CONTRIBUTING.md"]
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]*|[\w.]+\.(?:md|toml))`", text))
    assert {"slurmwatchd/model/records.py", "simslurm/versions.py", "pyproject.toml", "tools/"} <= named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_issue_forms_ask_for_what_a_fault_needs() -> None:
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    for asked in ("sacct -V", "slurmwatchd status --json", "slurmwatchd --version", "Log lines"):
        block = form.partition(asked)[2].partition("\n  - type:")[0]
        assert "required: true" in block, asked


def test_the_forms_lead_to_pages_that_are_there() -> None:
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text(encoding="utf-8")
    pages = re.findall(rf"{ADDRESS}/blob/main/(\S+)", text)
    assert pages == ["docs/troubleshooting.md"]
    assert all((ROOT / page).exists() for page in pages)
