#!/usr/bin/env bash
# Three libraries that print tables print the step 4711.10 as 4711.1, and 4711_3.2 as 47113.2.
#
# Expected: A cell that holds a text is printed as it stands.
# What happens: texttable and beautifultable take each text that Python's float() reads for a number, and tabulate does
#   where a whole column is such. Steps become numbers: 4711.0 is the job 4711, 4711.10 is 4711.1 (4711.100 in
#   texttable), the tasks' step 4711_3.2 is 47113.2; the account 007 is 7 and 1e5 is 100000, and bytes are 3.436e+10
#   in texttable. A step named batch keeps tabulate from it, so that it comes and goes with the jobs shown.
# Why it matters here: Reports of sacct or of our lines are printed so, and look right. For tabulate,
#   disable_numparse=True; for texttable, set_cols_dtype(["t", ...]); for beautifultable, detect_numerics=False.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'tabulate==0.10.0' 'texttable==1.7.2' 'beautifultable==1.1.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from beautifultable import BeautifulTable
from tabulate import tabulate
from texttable import Texttable

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def by_tabulate(cells, **options):
    return tabulate([[cell] for cell in cells], tablefmt="plain", **options).split()

def by_texttable(cells, kinds=("a",)):
    table = Texttable()
    table.set_deco(0)
    table.set_cols_dtype(kinds)
    for cell in cells:
        table.add_row([cell])
    return table.draw().split()

def by_beautifultable(cells, **options):
    table = BeautifulTable(**options)
    table.set_style(BeautifulTable.STYLE_NONE)
    for cell in cells:
        table.rows.append([cell])
    return str(table).split()

STEPS = ["4711.0", "4711.1", "4711.10", "4711_3.2"]
ACCOUNTS = ["007", "1e5", "34359738368"]
names = ("tabulate", "texttable", "beautifultable")
expect("versions", [version(name) for name in names], ["0.10.0", "1.7.2", "1.1.0"])
expect("tabulate, steps", by_tabulate(STEPS), ["4711", "4711.1", "4711.1", "47113.2"])
expect("tabulate, with a batch step", by_tabulate([*STEPS, "4711.batch"]), [*STEPS, "4711.batch"])
expect("tabulate, accounts", by_tabulate(["007", "1e5"]), ["7", "100000"])
expect("tabulate, disable_numparse", by_tabulate(STEPS, disable_numparse=True), STEPS)
expect("texttable, steps", by_texttable([*STEPS, "4711.batch"]), ["4711", "4711.100", "4711.100", "47113.200", "4711.batch"])
expect("texttable, accounts and bytes", by_texttable(ACCOUNTS), ["7", "100000", "3.436e+10"])
expect("texttable, dtype t", by_texttable(STEPS, ["t"]), STEPS)
expect("beautifultable, steps", by_beautifultable(STEPS), ["4711.0", "4711.1", "4711.1", "47113.2"])
expect("beautifultable, accounts", by_beautifultable(ACCOUNTS), ["7", "100000.0", "34359738368"])
expect("beautifultable, detect_numerics", by_beautifultable(STEPS, detect_numerics=False), STEPS)
END
