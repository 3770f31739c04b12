"""`report`, and `jobs --arrays`: what they say of a store that the pipeline filled."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slurmwatchd.model.clock import rfc3339
from slurmwatchd.store.archive import arrow
from tests.integration.asked import Ran, run, run_on_terminal, zone
from tests.integration.rig import Rig

pytestmark = pytest.mark.usefixtures("utc")

DAYS = ("--since", "2026-11-20", "--until", "2026-11-25")


def report(rig: Rig, *arguments: object) -> Ran:
    return run("report", "--store", rig.store, *DAYS, *arguments)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text('[report]\ncurrency = "EUR"\nprices = { cpu = 0.5 }\n', encoding="utf-8")
    return file


def test_lines_are_accounts_with_the_largest_first_and_a_total_last(filled: Rig) -> None:
    ran = report(filled)
    assert ran.code == 0, ran.err
    names = ran.column("ACCOUNT")
    assert names[-1] == "total"
    jobs = dict(zip(names, ran.column("JOBS"), strict=True))
    assert (jobs["physics"], jobs["total"]) == ("2", "10")
    assert dict(zip(names, ran.column("FAILED"), strict=True))["physics"] == "2"
    assert "█" not in ran.out


def test_json_has_the_hours_it_is_of_and_what_was_never_read(filled: Rig) -> None:
    answer = json.loads(report(filled, "--format", "json", "--by", "outcome").out)
    assert (answer["by"], answer["since"], answer["until"]) == (
        "outcome", "2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z",
    )  # fmt: skip
    counts = {line["outcome"]: line["attempts"] for line in answer["lines"]}
    assert answer["total"]["attempts"] == sum(counts.values()) == 10
    assert (counts["failed"], counts["time_limit"]) == (1, 1)
    assert answer["attempts_not_summed"] == 0
    assert answer["unread"]


def test_csv_has_a_column_for_each_outcome(filled: Rig) -> None:
    rows = list(csv.DictReader(io.StringIO(report(filled, "--format", "csv", "--by", "user").out)))
    bob = next(row for row in rows if row["user"] == "bob")
    assert (bob["attempts"], bob["attempts_failed"], bob["attempts_completed"]) == ("2", "1", "0")
    assert rows[-1]["user"] == "total"


def test_hours_are_those_of_the_span_and_days_those_of_the_zone(filled: Rig) -> None:
    # Number 19 ran for three days until 2026-11-24 05:26:40: a full day of them is 24 hours of each CPU.
    def hours(*arguments: object) -> float:
        total = json.loads(run("report", "--store", filled.store, "-f", "json", *arguments).out)["total"]
        return float(total["elapsed_hours"])

    assert hours("--since", "2026-11-22", "--until", "2026-11-23") == pytest.approx(24.0)
    with zone("America/New_York"):
        days = report(filled, "--by", "day").column("DAY")
        assert days[:-1] == sorted(days[:-1])


def test_prices_come_from_the_configuration(filled: Rig, prices: Path) -> None:
    ran = report(filled, "--config", prices, "--format", "json")
    answer = json.loads(ran.out)
    assert answer["currency"] == "EUR"
    assert answer["total"]["price"] == pytest.approx(answer["total"]["cpu_hours"] / 2)
    assert "EUR" in report(filled, "--config", prices).out.splitlines()[0]


def test_prices_are_those_of_a_configuration_that_has_a_fault_elsewhere(filled: Rig, prices: Path) -> None:
    plain = json.loads(report(filled, "-f", "json", "--config", prices).out)["total"]["price"]
    assert plain > 0
    prices.write_text(prices.read_text() + '[sinks.s]\ntype = "of a package that is not here"\n')
    assert json.loads(report(filled, "-f", "json", "--config", prices).out)["total"]["price"] == plain


def test_a_fault_of_the_prices_is_named(
    filled: Rig, prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices.write_text("[report]\nprices = { cpu = -1 }\n")
    fault = f"{prices}: report.prices.cpu: must be at least 0, not -1"
    ran = report(filled, "--config", prices)
    assert (ran.code, ran.out, ran.err) == (78, "", f"slurmwatchd: {fault}\n")
    # Whoever names the store alone need not be able to mend the service's file.
    monkeypatch.setenv("SLURMWATCHD_CONFIG", str(prices))
    ran = report(filled, "-f", "json")
    assert (ran.code, json.loads(ran.out)["total"].get("price")) == (0, None)
    assert f"slurmwatchd: {fault}: the report has no prices\n" in ran.err


def test_what_neither_sums_nor_archive_have_is_said(filled: Rig, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(filled.store)) as source, closing(sqlite3.connect(path)) as store:
        source.backup(store)
        first, last = store.execute('SELECT min("end"), max("end") FROM jobs').fetchone()
        (began,) = store.execute("SELECT horizon FROM horizons").fetchone()
        # As retention leaves it: the store has no attempt of before any more, and the sums have them all.
        store.execute("UPDATE horizons SET horizon = ?", (last + 1,))
        store.execute("DELETE FROM coverage")
        store.commit()
    # The archive goes back further than the sums of a store that was lost once, but not up to them.
    old = tmp_path / "archive" / "day=2020-01-01" / "sim-1.parquet"
    old.parent.mkdir(parents=True)
    pq.write_table(arrow.schema(pa).empty_table(), old)
    begin = first // 3600 * 3600
    spans = (begin, began, 1_577_923_199, 1_577_836_799)

    def said(*archive: object) -> list[list[tuple[str | None, str]]]:
        found = []
        for since in spans:
            ran = run("report", "--store", path, "--since", f"@{since}", "--format", "json", *archive)
            stretches = [(stretch["start"], stretch["end"]) for stretch in json.loads(ran.out)["unread"]]
            found.append([stretch for stretch in stretches if stretch[1] is not None])
            assert ran.err.count("were never read") == len(found[-1])
        return found

    before = (None, rfc3339(began))
    # Between the two nothing ended: the sums have all of it.
    assert began < begin
    assert said() == [[], [], [before], [before]]
    between = ("2020-01-02T00:00:00Z", rfc3339(began))
    assert said("--archive", tmp_path / "archive") == [
        [], [], [between], [(None, "2020-01-01T00:00:00Z"), between],
    ]  # fmt: skip


def test_a_terminal_has_bars_and_a_page_plots(filled: Rig) -> None:
    shown = run_on_terminal("report", "--store", filled.store, *DAYS, columns=120, NO_COLOR="1").out
    assert "█" in shown
    assert max(map(len, shown.splitlines())) <= 120
    page = report(filled, "--format", "html", "--by", "user").out
    assert page.startswith("<!DOCTYPE html>")
    assert "<svg" in page
    assert "<script" not in page


def test_mistakes(filled: Rig) -> None:
    assert report(filled, "--by", "node").code == 2
    assert "ends before it begins" in run("report", "--store", filled.store, "--since", "1h", "--until", "2h").err
    nothing = run("report", "--store", filled.store, "--since", "2020-01-01", "--until", "2020-01-02")
    assert (nothing.code, nothing.column("ACCOUNT")) == (0, ["total"])


def test_an_array_is_one_row_with_its_outcomes(filled: Rig) -> None:
    ran = run("jobs", "--store", filled.store, "--arrays")
    assert (ran.code, ran.column("JOB"), ran.column("ATTEMPTS")) == (0, ["14"], ["1"])
    answer = json.loads(run("jobs", "--store", filled.store, "--arrays", "--json").out)
    assert [(job["job_id"], job["outcomes"]) for job in answer["jobs"]] == [("14", {"completed": 1})]
    assert run("jobs", "--store", filled.store, "--arrays", "--user", "bob").column("JOB") == []
    assert "comes first" in run("jobs", "--store", filled.store, "--arrays", "--longest").err
    assert "'nodes' is not a field" in run("jobs", "--store", filled.store, "--arrays", "-o", "nodes").err
