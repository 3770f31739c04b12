"""Every page in Chromium, with hostile job names: nothing runs, nothing sticks out, nobody is kept out.

`make test-browser`. Without Chromium, or without axe-core from npm, the tests are skipped and say so.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog

from tests.browser import chromium
from tests.browser.chromium import EXAMINED, HOSTILE_JOBS, NARROW, PATHS, SCHEMES, WIDE, WIDTHS, Address
from tests.browser.site import NAMES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ERRORS = {"/jobs?since=nonsense": 400, "/nodes/nowhere": 404}
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with chromium.serving(tmp_path_factory.mktemp("site")) as address:
        yield address


@pytest.fixture(scope="session")
def started() -> Iterator[Browser]:
    program = chromium.chromium()
    if program is None:
        pytest.skip("NO CHROMIUM HERE: the pages were not looked at; on Debian: apt-get install chromium")
    with chromium.browser(program) as browser:
        yield browser


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    text = chromium.axe(tmp_path_factory.mktemp("axe"))
    if text is None:
        pytest.skip(f"NO {chromium.AXE} FROM npm: the pages were not examined")
    return text


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_and_nothing_sticks_out(started: Browser, site: Address, width: int) -> None:
    said: list[str] = []
    asked: set[str] = set()

    def note(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    with chromium.page(started, site, width=width, scheme="light") as page:
        page.on("dialog", note)
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        for path in PATHS:
            answer = page.goto(f"{site.address}{path}")
            assert answer is not None
            assert answer.status == ERRORS.get(path, 200), path
            sizes = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert sizes[0] <= sizes[1], (path, sizes)
            assert page.locator("h1").count() == 1, path
            # Nothing that a name holds became an element, and what a reader sees is what stands there.
            assert page.locator("main script, main img, main iframe, [onerror], [onclick]").count() == 0, path
            assert page.locator("a[href^='javascript:' i]").count() == 0, path
    # Chromium notes each answer that is an error; nothing else is said.
    assert [text for text in said if "Failed to load resource" not in text] == []
    assert {url for url in asked if not url.startswith(site.address)} == set()


def test_a_name_is_shown_as_it_is_with_escapes_for_what_cannot_be_seen(started: Browser, site: Address) -> None:
    with chromium.page(started, site, width=WIDE, scheme="light") as page:
        for path, name in zip(HOSTILE_JOBS, NAMES, strict=True):
            page.goto(f"{site.address}{path}")
            shown = page.locator("p.jobname").text_content()
            # sacct cuts nothing off, Slurm keeps 255 bytes.
            expected = (
                name
                if name.isprintable()
                else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
            )
            assert shown is not None
            assert expected.startswith(shown) if len(name) == 255 else shown == expected


def test_whoever_follows_the_policy_of_the_page_runs_no_script(started: Browser, site: Address) -> None:
    """As if something hostile had got past the escaping: Chromium does not run it."""
    with chromium.page(started, site, width=WIDE, scheme="light") as page:
        page.goto(f"{site.address}/jobs")
        page.evaluate(
            """() => { const made = document.createElement('script');
                       made.textContent = 'window.ran = 1'; document.body.append(made);
                       document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = 1">'); }"""
        )
        # The image fails at once, and what it would run comes before what follows.
        page.wait_for_function("document.images[0].complete")
        assert page.evaluate("window.ran === undefined")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_fault(started: Browser, site: Address, axe: str, width: int, scheme: str) -> None:
    found = []
    with chromium.page(started, site, width=width, scheme=scheme, lax=True) as page:
        for path in EXAMINED:
            page.goto(f"{site.address}{path}")
            page.evaluate(axe)
            faults = page.evaluate("axe.run()")["violations"]
            found += [
                (path, fault["id"], fault["nodes"][0]["html"][:120])
                for fault in faults
                if fault["impact"] in SERIOUS
            ]
    assert found == []


def test_everything_is_reached_by_keyboard(started: Browser, site: Address) -> None:
    with chromium.page(started, site, width=WIDE, scheme="light") as page:
        page.goto(f"{site.address}/jobs?user=mallory")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        reached: set[str] = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate("document.activeElement.name || document.activeElement.getAttribute('href') || ''")
            )
        assert {"/coverage", "user", "outcome", "since", HOSTILE_JOBS[0]} <= reached
        page.fill("input[name=user]", "nobody-here")
        page.press("input[name=user]", "Enter")
        assert "user=nobody-here" in page.url
        assert "No job matches" in page.inner_text("main")


FOCUSABLE = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex]'
)].filter(
    e => e.checkVisibility({visibilityProperty: true}) && e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden')"""
FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
    const marked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const seen = box.width > 0 && box.right > 0 && box.left < innerWidth;
    return [e.dataset.nth ?? '', marked && seen, e.outerHTML.slice(0, 100)];
}"""
CUT_OFF = """() => [...document.querySelectorAll('main *')].filter(e => {
    const style = getComputedStyle(e);
    return /auto|scroll|hidden|clip/.test(style.overflowX + style.overflowY) && e.checkVisibility()
        && !e.closest('svg') && style.position !== 'absolute'
        && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1);
}).map(e => e.outerHTML.slice(0, 120))"""
PAPER = 957
"""The pixels across that Chromium lays out for A4: a third more than it has, and then it shrinks all."""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", EXAMINED)
def test_each_page_is_walked_through_by_keyboard(started: Browser, site: Address, path: str, width: int) -> None:
    with chromium.page(started, site, width=width, scheme="light") as page:
        page.goto(f"{site.address}{path}")
        wanted = page.evaluate(f"({FOCUSABLE})().map((e, n) => (e.dataset.nth = n)).length")
        reached: list[str] = []
        unmarked: list[str] = []
        for _ in range(wanted + 1):
            page.keyboard.press("Tab")
            number, is_marked, text = page.evaluate(FOCUSED)
            if number:
                reached.append(number)
                unmarked += [] if is_marked else [text]
        # Each once, in the order in which they stand, and with a mark where the reader looks.
        assert wanted > 5
        assert reached[:wanted] == [str(number) for number in range(wanted)]
        assert unmarked == []


@pytest.mark.parametrize("path", EXAMINED)
def test_each_page_fits_on_paper_with_all_it_says(started: Browser, site: Address, path: str) -> None:
    with chromium.page(started, site, width=PAPER, scheme="dark") as page:
        page.goto(f"{site.address}{path}")
        page.emulate_media(media="print", color_scheme="light")
        sizes = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert sizes[0] <= sizes[1]
        # What is to be scrolled on a screen cannot be on paper.
        assert page.evaluate(CUT_OFF) == []
        assert not page.locator("header nav").is_visible()
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper in {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}


def test_print_shows_all_rows_and_neither_menu_nor_form(started: Browser, site: Address) -> None:
    with chromium.page(started, site, width=WIDE, scheme="light") as page:
        page.goto(f"{site.address}/overview")
        page.emulate_media(media="print")
        assert not page.locator("header nav").is_visible()
        table = page.locator(".numbers").first
        assert table.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
        page.goto(f"{site.address}/jobs")
        page.emulate_media(media="print")
        assert not page.locator("form").is_visible()


def test_a_user_sees_only_their_own_in_the_browser_too(started: Browser, site: Address) -> None:
    with chromium.page(started, site, width=NARROW, scheme="dark", scope="user:ada") as page:
        for path in ("/overview", "/jobs", "/jobs?user=mallory", "/nodes", "/coverage", "/daemon"):
            answer = page.goto(f"{site.address}{path}")
            assert answer is not None
            assert answer.status == 200, path
            assert "mallory" not in page.inner_text("main"), path
        for path in (HOSTILE_JOBS[0], "/report"):
            answer = page.goto(f"{site.address}{path}")
            assert answer is not None
            assert answer.status in {403, 404}, path
