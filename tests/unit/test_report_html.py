"""The page of a report: well-formed, without a script, and names in it are text whatever they hold."""

import re
from html.parser import HTMLParser

from slurmwatchd.cli import report_html
from slurmwatchd.model.reports import Rates, ReportLine, Tally, lines
from slurmwatchd.model.sums import AMOUNTS

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\x1b[31m\x00'


def made(*keys: str) -> list[ReportLine]:
    tallies = {}
    for number, key in enumerate(keys, 1):
        tallies[key] = Tally()
        amounts = {"attempts": 9.0, "cpu_seconds": 3600.0 * number, "gpu_seconds": 60.0, "energy_joules": 1e7}
        tallies[key].add("completed", [amounts.get(name, 0.0) for name in AMOUNTS])
        tallies[key].add("cancelled", [1.0 if name == "attempts" else 0.0 for name in AMOUNTS])
    return lines(tallies, Rates(prices={"cpu": 2.0}, grams_per_kwh=300))


def page(*keys: str) -> str:
    text = report_html.render(
        made(*keys), by="account", span=("2026-11-01 00:00", "2026-12-01 00:00"), currency="EUR", made="now"
    )
    return text.decode()


class Seen(HTMLParser):
    """Elements, their attributes, and texts."""

    VOID = frozenset({"meta", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_one_file_without_a_script_that_loads_nothing() -> None:
    text = page("physics", "chemistry")
    seen = Seen(text)
    assert seen.open == []
    assert text.startswith("<!DOCTYPE html>\n")
    assert set(seen.tags) == {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "b", "span", "i", "section",
        "svg", "text", "rect", "div", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert not re.search(r"https?:|url\(|@import|javascript", text)
    assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in seen.attributes)


def test_names_are_text_whatever_they_hold() -> None:
    text = page(HOSTILE, "physics")
    seen = Seen(text)
    assert not {"script", "img"} & set(seen.tags)
    assert '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\\x1b[31m\\x00' in seen.texts
    assert "\x1b" not in text
    assert "\x00" not in text


def test_numbers_are_in_the_table_and_bars_are_as_long_as_they_are_large() -> None:
    seen = Seen(page("physics", "chemistry"))
    place = seen.texts.index("physics", seen.texts.index("In numbers"))
    assert seen.texts[place + 1 : place + 4] == ["10", "0", "1.0"]
    assert "6.00" in seen.texts
    widths = [value for name, value in seen.attributes if name == "width"]
    # Of the CPU hours one account has half of the other's; both are whole where shares are drawn.
    assert widths[:2] == ["300.0", "600.0"]


def test_the_page_says_which_outcomes_count_as_failed() -> None:
    assert (
        "Failed: failed, out of memory, time limit, deadline, node failure, boot failure. Their hours are lost."
        in page("physics")
    )


def test_no_co2_is_claimed_where_no_energy_was_accounted() -> None:
    assert "kg CO2" in page("physics")
    tally = Tally()
    tally.add("completed", [1.0 if name == "attempts" else 0.0 for name in AMOUNTS])
    without = lines({"physics": tally}, Rates(grams_per_kwh=300))
    span = ("2026-11-01 00:00", "2026-12-01 00:00")
    assert b"CO2" not in report_html.render(without, by="account", span=span, currency="", made="now")


def test_an_empty_report_is_a_page_too() -> None:
    assert "total" in Seen(page()).texts
