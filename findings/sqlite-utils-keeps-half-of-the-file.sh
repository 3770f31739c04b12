#!/usr/bin/env bash
# sqlite-utils stops at the first line with a new field, and keeps the hundred lines before it.
#
# Expected: An import that fails leaves the table as it was, or takes the new field, as it does within the
#   first hundred lines.
# What happens: The columns come from the first batch of 100. A field that is first met later is an error and
#   exit status 1, with the batches before it in the table; a second run then fails on their ids. --alter adds
#   the column.
# Why it matters here: Absent means absent in our lines: reservation, restarts or cancelled_by_uid often come
#   late. The recipe gives --alter, and --ignore so that it can be run again.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sqlite-utils==4.2.1'

cd "$folder"
venv/bin/python - <<'END'
import json
import subprocess

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def run(*words):
    done = subprocess.run(["venv/bin/sqlite-utils", *words], capture_output=True, text=True)
    return done.returncode, (done.stdout.strip() or done.stderr.strip()).splitlines()[0] if done.stdout.strip() or done.stderr.strip() else ""

def write(late):
    with open("jobs.jsonl", "w") as file:
        for number in range(1, 151):
            field = {"reservation": "upgrade"} if number == late else {}
            file.write(json.dumps({"id": f"event-{number}", "job_id": str(number)} | field) + "\n")

def rows(database):
    return run(database, "SELECT count(*) FROM jobs", "--raw")[1]

INSERT = ("jobs", "jobs.jsonl", "--nl", "--pk", "id", "--silent")
expect("version", run("--version")[1], "sqlite-utils, version 4.2.1")
write(late=100)
expect("new field in line 100", (run("insert", "a.db", *INSERT)[0], rows("a.db")), (0, "150"))
write(late=150)
expect("new field in line 150", run("insert", "b.db", *INSERT), (1, "Error: table jobs has no column named reservation"))
expect("rows kept, of 150", rows("b.db"), "100")
expect("with --alter --ignore, into the same table", (run("insert", "b.db", *INSERT, "--alter", "--ignore")[0], rows("b.db")), (0, "150"))
END
