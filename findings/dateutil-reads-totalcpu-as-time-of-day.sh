#!/usr/bin/env bash
# dateutil takes the processor time 14:25.512 for half past a minute of today.
#
# Expected: `dateutil.parser.parse` refuses 14:25.512, or reads it as minutes, seconds and milliseconds.
# What happens: It answers today's date at 14:25:30: the minutes have become hours, and .512 a part of a
#   minute. From one day on, 1-02:03:04, it raises.
# Why it matters here: sacct prints TotalCPU under an hour as MM:SS.mmm. Code that sorts out 'what is a time'
#   by trying dateutil turns a quarter of an hour into half past two, and only for short jobs.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'python-dateutil==4.0.0'

cd "$folder"
venv/bin/python - <<'END'
from datetime import datetime

import dateutil
from dateutil import parser

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

DAY = datetime(2026, 11, 23)

expect("version", dateutil.__version__, "4.0.0")
expect("14:25.512", parser.parse("14:25.512", default=DAY).isoformat(), "2026-11-23T14:25:30")
expect("00:01.500", parser.parse("00:01.500", default=DAY).isoformat(), "2026-11-23T00:01:30")
try:
    seen = parser.parse("1-02:03:04", default=DAY).isoformat()
except parser.ParserError as error:
    seen = str(error)
expect("1-02:03:04", seen, "Unknown string format: 1-02:03:04")
END
