#!/usr/bin/env bash
# petl leaves out every field that the first line of the file has not.
#
# Expected: `petl.fromjson(lines=True)` has the fields of all lines, with None where one is absent.
# What happens: The header is the first line's keys: a reservation in the second line is not in the table, and
#   nothing says so. header= names what is wanted.
# Why it matters here: Absent means absent in our lines, so nearly each job has a field that the first one
#   lacks. Usage, reservation and cancelled_by_uid vanish first.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'petl==1.7.30'

cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"31"}
{"job_id":"32","reservation":"upgrade"}
END

cd "$folder"
venv/bin/python - <<'END'
import petl

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def table(**options):
    return [tuple(row) for row in petl.fromjson("jobs.jsonl", lines=True, **options)]

expect("version", petl.__version__, "1.7.30")
expect("as it comes", table(), [("job_id",), ("31",), ("32",)])
expect("with header=", table(header=["job_id", "reservation"]), [("job_id", "reservation"), ("31", None), ("32", "upgrade")])
END
