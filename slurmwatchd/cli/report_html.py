"""A report as one HTML file: plots in SVG, a table, no script; it prints well.

Names in it are the site's and its users'. Everything is put together as a tree of elements, so whatever a name
holds is text when the tree is written, and what a page could not hold at all is shown escaped.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from slurmwatchd.config.units import spoken_duration
from slurmwatchd.model.outcomes import FAILURES, Outcome, failed
from slurmwatchd.model.reports import TOTAL, ReportLine
from slurmwatchd.model.terminal_text import shown

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2433 }
body { max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p { color: #5a6478; margin: .3rem 0 }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none }
.figures li { border: 1px solid #d9dee8; border-radius: .4rem; padding: .5rem .9rem; min-width: 7rem }
.figures b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.figures span { color: #5a6478; font-size: .85rem }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: #1d2433 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .87rem }
th, td { text-align: right; padding: .3rem .35rem; border-bottom: 1px solid #e4e8ef }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 2px solid #9aa5b8; vertical-align: bottom }
tr.total td { font-weight: 600; border-top: 2px solid #9aa5b8 }
.legend span { display: inline-block; margin-right: 1rem; font-size: .85rem; color: #1d2433 }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: .15em }
.wide { overflow-x: auto }
@media print {
  body { margin: 0; max-width: none; font-size: 12px }
  section { break-inside: avoid }
  .wide { overflow: visible }
}
"""

_USED, _IDLE, _LOST = "#2b6cb0", "#a9c7e8", "#c2413b"
_COLOURS = {
    Outcome.COMPLETED.value: "#3a8f5c",
    Outcome.FAILED.value: "#c2413b",
    Outcome.OUT_OF_MEMORY.value: "#d9772b",
    Outcome.TIME_LIMIT.value: "#e0b13a",
    Outcome.NODE_FAILURE.value: "#6b2d5c",
    Outcome.BOOT_FAILURE.value: "#8a5a8a",
    Outcome.PREEMPTED.value: "#5b7fa6",
    Outcome.REQUEUED.value: "#8fb0d0",
}
_OTHER = "#b8bfcc"
"""Of what was cancelled, and all else that is no one's fault."""

_WIDTH, _LABEL, _VALUE, _STEP, _HEIGHT = 900, 190, 110, 24, 16
_LONGEST = 28
_GPU = "gres/gpu:"


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a bar."""

    size: float
    colour: str
    text: str


def render(lines: Sequence[ReportLine], *, by: str, span: tuple[str, str], currency: str, made: str) -> bytes:
    """Return the page.

    Args:
        lines: The report's, that of all together last.
        by: What they are grouped by.
        span: From and until when, as people read it.
        currency: Of the prices.
        made: When it is made, as people read it.
    """
    html = Element("html", lang="en")
    head, body = SubElement(html, "head"), SubElement(html, "body")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = f"Jobs by {by}, {span[0]} to {span[1]}"
    SubElement(head, "style").text = _STYLE
    SubElement(body, "h1").text = f"Jobs by {by}"
    SubElement(body, "p").text = f"{span[0]} to {span[1]}, made {made} by slurmwatchd"
    *parts, total = lines
    _figures(body, total, currency)
    if total.cpu_hours:
        _chart(body, "CPU hours", parts, _cpu_parts, lambda line: f"{line.cpu_hours:,.0f} h")
        _legend(body, [("used, or use unknown", _USED), ("idle", _IDLE), ("lost to failures", _LOST)])
    if total.gpu_hours:
        _chart(body, "GPU hours", parts, _gpu_parts, lambda line: f"{line.gpu_hours:,.0f} h")
        _legend(body, [("all others", _USED), ("lost to failures", _LOST)])
    if total.attempts and by != "outcome":
        _chart(body, "How jobs ended", parts, _outcome_parts, lambda line: f"{line.attempts:,}", shares=True)
        named = [(name.replace("_", " "), colour) for name, colour in _COLOURS.items() if name in total.outcomes]
        _legend(body, [*named, ("cancelled and all else", _OTHER)])
    _table(body, lines, by, currency)
    _notes(body)
    text: bytes = tostring(html, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + text + b"\n"


def _figures(body: Element, total: ReportLine, currency: str) -> None:
    figures = SubElement(body, "ul", {"class": "figures"})
    for name, text in (
        ("jobs ended", f"{total.attempts:,}"),
        ("CPU hours", f"{total.cpu_hours:,.0f}"),
        ("GPU hours", f"{total.gpu_hours:,.0f}" if total.gpu_hours else ""),
        ("CPU efficiency", _percent(total.cpu_efficiency)),
        ("CPU hours lost", f"{total.lost_cpu_hours:,.0f}"),
        ("median wait", _duration(total.wait_median_seconds)),
        ("kWh", f"{total.energy_kwh:,.0f}" if total.energy_kwh else ""),
        (currency or "price", "" if total.price is None else f"{total.price:,.2f}"),
        ("kg CO2", f"{total.co2_kilograms:,.0f}" if total.co2_kilograms else ""),
    ):
        if text:
            item = SubElement(figures, "li")
            SubElement(item, "b").text = text
            SubElement(item, "span").text = name


def _cpu_parts(line: ReportLine) -> list[_Part]:
    # What was lost was partly used: of the rest as large a share is idle as of all.
    rest = line.cpu_hours - line.lost_cpu_hours
    idle = rest * max(0.0, 1 - (1.0 if line.cpu_efficiency is None else min(1.0, line.cpu_efficiency)))
    return [
        _Part(rest - idle, _USED, f"used, or use unknown: {rest - idle:,.0f} h"),
        _Part(idle, _IDLE, f"idle: {idle:,.0f} h"),
        _Part(line.lost_cpu_hours, _LOST, f"lost to failures: {line.lost_cpu_hours:,.0f} h"),
    ]


def _gpu_parts(line: ReportLine) -> list[_Part]:
    rest = line.gpu_hours - line.lost_gpu_hours
    return [
        _Part(rest, _USED, f"{rest:,.0f} h"),
        _Part(line.lost_gpu_hours, _LOST, f"lost to failures: {line.lost_gpu_hours:,.0f} h"),
    ]


def _outcome_parts(line: ReportLine) -> list[_Part]:
    ordered = sorted(line.outcomes.items(), key=lambda pair: list(Outcome).index(Outcome(pair[0])))
    named = [pair for pair in ordered if pair[0] in _COLOURS]
    others = [pair for pair in ordered if pair[0] not in _COLOURS]
    return [
        _Part(count, _COLOURS.get(name, _OTHER), f"{name.replace('_', ' ')}: {count:,}")
        for name, count in (*named, *others)
    ]


def _chart(
    body: Element,
    title: str,
    lines: Sequence[ReportLine],
    parts_of: Callable[[ReportLine], Sequence[_Part]],
    text_of: Callable[[ReportLine], str],
    *,
    shares: bool = False,
) -> None:
    """Draw a bar for each line: as long as it is large, or with its shares all of one length."""
    section = SubElement(body, "section")
    SubElement(section, "h2").text = title
    every = [(line, parts_of(line)) for line in lines]
    drawn = [(line, parts) for line, parts in every if any(part.size > 0 for part in parts)]
    size = f"0 0 {_WIDTH} {max(1, len(drawn)) * _STEP}"
    svg = SubElement(section, "svg", {"viewBox": size, "role": "img", "aria-label": title})
    room = _WIDTH - _LABEL - _VALUE
    most = max((sum(part.size for part in parts) for _, parts in drawn), default=0.0)
    for number, (line, parts) in enumerate(drawn):
        top = number * _STEP
        whole = sum(part.size for part in parts) if shares else most
        name = _name(line.key)
        label = SubElement(svg, "text", {"x": f"{_LABEL - 8}", "y": f"{top + 13}", "text-anchor": "end"})
        label.text = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        SubElement(label, "title").text = name
        left = float(_LABEL)
        for part in parts:
            width = room * part.size / whole
            if width > 0:
                place = {"x": f"{left:.1f}", "y": f"{top + 1}", "width": f"{width:.1f}", "height": f"{_HEIGHT}"}
                rect = SubElement(svg, "rect", {**place, "fill": part.colour})
                SubElement(rect, "title").text = f"{name}: {part.text}"
            left += width
        SubElement(svg, "text", {"x": f"{left + 6:.1f}", "y": f"{top + 13}"}).text = text_of(line)


def _legend(body: Element, entries: Iterable[tuple[str, str]]) -> None:
    legend = SubElement(body, "p", {"class": "legend"})
    for text, colour in entries:
        entry = SubElement(legend, "span")
        SubElement(entry, "i", style=f"background: {colour}; print-color-adjust: exact").tail = text


def _table(body: Element, lines: Sequence[ReportLine], by: str, currency: str) -> None:
    total = lines[-1]
    columns: list[tuple[str, Callable[[ReportLine], str]]] = [
        (by, lambda line: _name(line.key)),
        ("jobs", lambda line: f"{line.attempts:,}"),
        ("failed", lambda line: f"{failed(line.outcomes):,}"),
        ("CPU h", lambda line: _hours(line.cpu_hours)),
        ("CPU eff.", lambda line: _percent(line.cpu_efficiency)),
        ("memory eff.", lambda line: _percent(line.memory_efficiency)),
        ("node h", lambda line: _hours(line.node_hours)),
        ("lost CPU h", lambda line: _hours(line.lost_cpu_hours)),
        ("median wait", lambda line: _duration(line.wait_median_seconds)),
        ("95 % wait", lambda line: _duration(line.wait_95th_seconds)),
    ]
    if total.gpu_hours:
        columns.append(("GPU h", lambda line: _hours(line.gpu_hours)))
        typed = [name for name in total.tres_hours if name.startswith(_GPU)]
        columns += [(f"{name.removeprefix(_GPU)} h", _tres_hours(name)) for name in typed]
    if total.energy_kwh:
        columns.append(("kWh", lambda line: _hours(line.energy_kwh)))
    if total.price is not None:
        columns.append((currency or "price", lambda line: f"{line.price or 0:,.2f}"))
    # Where Slurm accounts no energy, 0 kg would be a claim.
    if total.co2_kilograms:
        columns.append(("kg CO2", lambda line: _hours(line.co2_kilograms or 0)))
    section = SubElement(body, "section")
    SubElement(section, "h2").text = "In numbers"
    table = SubElement(SubElement(section, "div", {"class": "wide"}), "table")
    head = SubElement(SubElement(table, "thead"), "tr")
    rows = SubElement(table, "tbody")
    for title, _ in columns:
        SubElement(head, "th", scope="col").text = shown(title)
    for line in lines:
        row = SubElement(rows, "tr", {"class": "total"} if line is total and line.key == TOTAL else {})
        for _, text_of in columns:
            SubElement(row, "td").text = text_of(line)


def _notes(body: Element) -> None:
    for text in (
        "Jobs count in the hour of their end; hours are those within the span. What still runs is in neither.",
        f"Failed: {', '.join(FAILURES).replace('_', ' ')}. Their hours are lost.",
        "Efficiency is used over allocated, weighted by hours, of jobs whose usage is known.",
    ):
        SubElement(body, "p").text = text


def _tres_hours(name: str) -> Callable[[ReportLine], str]:
    return lambda line: _hours(line.tres_hours.get(name, 0.0))


def _name(key: str) -> str:
    return shown(key)


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if 0 < hours < 10 else f"{hours:,.0f}"  # noqa: PLR2004 - small ones have a digit more


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else spoken_duration(seconds)
