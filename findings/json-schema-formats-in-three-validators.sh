#!/usr/bin/env bash
# Three JSON Schema validators disagree on what a valid event is.
#
# Expected: format: uuid and format: date-time are checked, or the validator says that it does not.
# What happens: fastjsonschema checks date-time and lets any text pass as uuid. jsonschema with its own
#   FORMAT_CHECKER checks uuid and lets 'Unknown' pass as a time until another package (rfc3339-validator) is
#   there. jsonschema-rs checks both once asked to, and takes the leap second 23:59:60Z, which jsonschema with
#   that package refuses.
# Why it matters here: A site that holds our lines to the shipped schema learns less than it thinks: sacct's
#   Unknown in a time passes one of three, a job id in the place of id another. Ask jsonschema-rs for
#   validate_formats, and install rfc3339-validator beside jsonschema.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'jsonschema==4.26.0' 'jsonschema-rs==0.61.2' 'fastjsonschema==2.22.3'

cd "$folder"
venv/bin/python - <<'END'
import subprocess
import sys

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

CODE = """
import fastjsonschema, jsonschema, jsonschema_rs
schema = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "properties": {"id": {"type": "string", "format": "uuid"}, "end": {"type": "string", "format": "date-time"}},
}
quick = fastjsonschema.compile(schema)
def quick_valid(event):
    try:
        return bool(quick(event) or True)
    except fastjsonschema.JsonSchemaValueException:
        return False
schema = schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
plain = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
rust = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
for event in ({"id": "31"}, {"end": "Unknown"}, {"end": "2026-12-31T23:59:60Z"}):
    print(*(int(valid(event)) for valid in (quick_valid, plain.is_valid, rust.is_valid)))
"""
EVENTS = ("id 31", "end Unknown", "end at a leap second")

def table():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return dict(zip(EVENTS, done.stdout.splitlines(), strict=True))

expect("valid by fastjsonschema, jsonschema, jsonschema-rs", table(), {"id 31": "1 0 0", "end Unknown": "0 1 0", "end at a leap second": "1 1 1"})
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "rfc3339-validator==0.1.4"], check=True)
expect("with rfc3339-validator 0.1.4", table(), {"id 31": "1 0 0", "end Unknown": "0 0 0", "end at a leap second": "1 0 1"})
END
