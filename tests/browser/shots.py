"""Take the pictures of docs/pages/: `python -m tests.browser.shots [--all] [FOLDER]`.

With `--all`, each page is taken narrow and wide, light and dark.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import chromium
from tests.browser.chromium import NARROW, SCHEMES, WIDE, WIDTHS

DOCS = Path(__file__).parents[2] / "docs" / "pages"
KEPT = (
    ("overview", "/overview", WIDE, "light", 860),
    ("coverage", "/coverage", WIDE, "light", 760),
    ("node", "/nodes/n05", WIDE, "dark", 760),
    ("job-narrow", "/jobs/910001", NARROW, "dark", 800),
)
_COLOURS = 96

PATHS = ("/", "/overview", "/coverage", "/jobs", "/jobs/910001", "/nodes", "/nodes/n05", "/report", "/daemon")


def main(arguments: list[str]) -> None:
    """Take them."""
    every = "--all" in arguments
    folder = Path(next((word for word in arguments if not word.startswith("-")), DOCS))
    folder.mkdir(exist_ok=True)
    shots = list(KEPT)
    if every:
        shots = [
            (f"{path.strip('/').replace('/', '-') or 'home'}-{width}-{scheme}", path, width, scheme, 900)
            for path in PATHS
            for width in WIDTHS
            for scheme in SCHEMES
        ]
    program = chromium.chromium()
    if program is None:
        sys.exit("no Chromium here: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as site_folder,
        chromium.serving(Path(site_folder)) as site,
        chromium.browser(program) as browser,
    ):
        for name, path, width, scheme, height in shots:
            with chromium.page(browser, site, width=width, scheme=scheme) as page:
                page.set_viewport_size({"width": width, "height": height})
                page.goto(f"{site.address}{path}")
                with Image.open(io.BytesIO(page.screenshot())) as picture:
                    # A page has few colours: a palette makes the file a third as large.
                    picture.convert("RGB").quantize(_COLOURS).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
