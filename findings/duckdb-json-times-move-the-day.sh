#!/usr/bin/env bash
# duckdb moves a job's end into another month, by the machine's time zone.
#
# Expected: The text 2026-10-31T23:30:00Z is read as that moment, and its day is the 31st.
# What happens: duckdb 2.0 makes such a column TIMESTAMP WITH TIME ZONE, and day(), month() and date_trunc()
#   then count in the session's zone, which is the machine's. Up to 1.5 the same call gave a TIMESTAMP in UTC.
# Why it matters here: A report by day or month made on a laptop in Berlin has other totals than the same one
#   on a server in UTC, and changed with an upgrade of duckdb. The recipe begins with SET TimeZone='UTC'.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.5.6 2.0.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "duckdb==$version"
done

cat >"$folder/jobs.jsonl" <<'END'
{"id":"a","job_id":"812","end":"2026-10-31T23:30:00Z"}
END

cd "$folder"
for version in 1.5.6 2.0.1; do
    TZ=Europe/Berlin "$version/bin/python" - <<'END'
import duckdb

def expect(what, seen, known):
    print(f"{duckdb.__version__}, {what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

QUESTION = """
    SELECT typeof("end") AS type, strftime("end", '%Y-%m') AS month, day("end") AS day FROM 'jobs.jsonl'
"""
zoned = duckdb.__version__ != "1.5.6"
seen = duckdb.sql(QUESTION).fetchall()[0]
expect("on a machine in Berlin", seen, ("TIMESTAMP WITH TIME ZONE", "2026-11", 1) if zoned else ("TIMESTAMP", "2026-10", 31))
duckdb.sql("SET TimeZone = 'UTC'")
expect("with SET TimeZone = 'UTC'", duckdb.sql(QUESTION).fetchall()[0][1:], ("2026-10", 31))
END
done
