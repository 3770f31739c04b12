#!/usr/bin/env bash
# in2csv writes the array task 4711_3 as 47113, and a job named no as False.
#
# Expected: `in2csv --format ndjson` writes text fields as they stand.
# What happens: csvkit guesses a type for each column, also where JSON says text. A column of ids of which
#   each is plain or N_M becomes Decimal, and Python's Decimal takes an underscore for a digit separator;
#   names no and n/a become False and nothing, the account none is emptied.
# Why it matters here: Two users' jobs get one id in the CSV that goes to the accounts office. --no-inference
#   keeps the text.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'csvkit==2.2.0' 'agate==1.14.2'

cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"4711_3","name":"no","account":"none"}
{"job_id":"47113","name":"n/a","account":"none"}
{"job_id":"812","name":"yes","account":"none"}
END

cd "$folder"
venv/bin/python - <<'END'
import subprocess

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def in2csv(*options):
    command = ["venv/bin/in2csv", "--format", "ndjson", *options, "jobs.jsonl"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]

version = subprocess.run(["venv/bin/in2csv", "--version"], capture_output=True, text=True, check=True).stdout
expect("version", version.strip(), "in2csv 2.2.0")
expect("as it comes", in2csv(), ["47113,False,", "47113,,", "812,True,"])
expect("with --no-inference", in2csv("--no-inference"), ["4711_3,no,", "47113,,", "812,yes,"])
expect("with --blanks as well", in2csv("--no-inference", "--blanks"), ["4711_3,no,none", "47113,n/a,none", "812,yes,none"])
END
