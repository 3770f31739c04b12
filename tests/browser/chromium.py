"""Debian's Chromium, driven over the site of this folder, and axe-core from npm."""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.site import BAD_NODE, FIRST_HOSTILE, NAMES
from tests.patience import HANGS_SECONDS

AXE = "axe-core@4.10.3"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
NARROW, WIDE = 400, 1400
WIDTHS = (NARROW, WIDE)
SCHEMES = ("light", "dark")
HOSTILE_JOBS = tuple(f"/jobs/{FIRST_HOSTILE + number}" for number in range(len(NAMES)))
PATHS = (
    "/", "/overview", "/overview?since=7d", "/coverage", "/jobs", "/jobs?user=mallory", "/jobs?since=nonsense",
    *HOSTILE_JOBS, "/jobs/910001", "/nodes", "/nodes/n03", f"/nodes/{BAD_NODE}", "/nodes/nowhere",
    "/report?since=-14d", "/report?by=day&since=-14d", "/daemon",
)  # fmt: skip
EXAMINED = (
    "/", "/overview", "/coverage", "/jobs?user=mallory", "/jobs?since=nonsense", "/jobs/910001", "/nodes",
    "/nodes/n03", "/report?since=-14d", "/daemon",
)  # fmt: skip
"""A page of each kind; to examine one takes a second."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the site is, and who may log in: scope to token."""

    address: str
    tokens: dict[str, str]


def chromium() -> str | None:
    """Return Debian's Chromium, or another; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def serving(folder: Path) -> Iterator[Address]:
    """Serve the site from a process of its own."""
    argv = [sys.executable, "-m", "tests.browser.site", str(folder)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin, process.stdout:
            yield Address(**json.loads(process.stdout.readline()))
    finally:
        process.wait(HANGS_SECONDS)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start it."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def page(
    started: Browser, site: Address, *, width: int, scheme: str, scope: str = "all", lax: bool = False
) -> Iterator[Page]:
    """Open a page for somebody who is logged in.

    Args:
        started: The browser.
        site: What to look at.
        width: In pixels.
        scheme: `light` or `dark`.
        scope: Whose login.
        lax: Whether the page's policy is not enforced: axe-core could not run else.
    """
    context = started.new_context(
        http_credentials={"username": scope.replace(":", "."), "password": site.tokens[scope]},
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=lax,
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def axe(folder: Path) -> str | None:
    """Return axe-core's text; None where npm cannot get it."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    done = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, check=False, capture_output=True, timeout=120
    )
    packed = next(iter(folder.glob("axe-core-*.tgz")), None)
    if done.returncode or packed is None:
        return None
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
