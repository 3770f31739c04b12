"""`python -m tools.pages`: write every rendered page, and name those that changed."""

import sys

from tools.pages import PAGES, ROOT, rendered

for name in PAGES:
    present, wanted = rendered(name)
    if present != wanted:
        (ROOT / name).write_text(wanted, encoding="utf-8")
        sys.stdout.write(f"{name}: written\n")
