#!/usr/bin/env bash
# duckdb with ignore_errors counts the line that is being written as a job.
#
# Expected: ignore_errors = true leaves out a line that is no JSON.
# What happens: It becomes a row of NULLs: count(*) is one too many, and so is every group NULL. Without the
#   option the whole read ends with 'Malformed JSON'. A tail of zero bytes, as a power loss leaves it, is such
#   a row as well.
# Why it matters here: The file is read while the daemon writes, so its last line may be a part. WHERE id IS
#   NOT NULL makes the option right; or read a copy of the whole lines.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.1'

cd "$folder"
venv/bin/python - <<'END'
import duckdb

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

LINES = '{"id":"a","job_id":"31"}\n{"id":"b","job_id":"32"}\n'

def ask(question):
    try:
        return duckdb.sql(question).fetchall()
    except duckdb.InvalidInputException as error:
        return str(error).split(" in file")[0]

expect("version", duckdb.__version__, "2.0.1")
for what, tail in (("a part of a line", '{"id":"c","job'), ("zero bytes", "\0" * 100)):
    with open("jobs.jsonl", "w") as file:
        file.write(LINES + tail)
    expect(f"{what}, as it comes", ask("SELECT count(*) FROM 'jobs.jsonl'"), "Invalid Input Error: Malformed JSON")
    lenient = "FROM read_json('jobs.jsonl', ignore_errors = true)"
    expect(f"{what}, ignore_errors", ask(f"SELECT count(*) {lenient}"), [(3,)])
    expect(f"{what}, the row", ask(f"SELECT id, job_id {lenient} ORDER BY id NULLS LAST")[-1], (None, None))
    expect(f"{what}, id IS NOT NULL", ask(f"SELECT count(*) {lenient} WHERE id IS NOT NULL"), [(2,)])
END
