#!/usr/bin/env bash
# orjson reads the integer 18446744073709551616 as a float, without a word.
#
# Expected: An integer is read as an int, as Python's json does, or refused, as orjson refuses to write it.
# What happens: Up to 2^64 - 1 it is an int, one more a float that stands for 4,000 integers around it.
#   Writing the int back raises, writing the float gives 1.8446744073709552e19.
# Why it matters here: Slurm's energy and memory counters that ran below zero come as 2^64 less a little,
#   rounded up to 18446744073709551616 in sacct's text; a reader that compares int with int finds them unequal
#   to themselves. The daemon keeps such values as text under raw.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'orjson==3.13.0'

cd "$folder"
venv/bin/python - <<'END'
import json

import orjson

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

expect("version", orjson.__version__, "3.13.0")
expect("2^64 - 1", orjson.loads("18446744073709551615"), 18446744073709551615)
expect("2^64 by json", repr(json.loads("18446744073709551616")), "18446744073709551616")
expect("2^64 by orjson", repr(orjson.loads("18446744073709551616")), "1.8446744073709552e+19")
expect("two counters, 1,000 apart", orjson.loads("18446744073709551616") == orjson.loads("18446744073709552616"), True)
try:
    seen = orjson.dumps(2**64)
except orjson.JSONEncodeError as error:
    seen = str(error)
expect("writing 2^64", seen, "Integer exceeds 64-bit range")
END
