#!/usr/bin/env bash
# Three databases make three things of an array task's id as a number, and none refuses it.
#
# Expected: 4711_3 is no number: a cast fails, TRY_CAST gives NULL, and a comparison with 47113 finds 47113.
# What happens: DuckDB and PostgreSQL (since 16) take underscores between digits, as their literals have them, and
#   make task 3 of 4711 the job 47113; SQLite stops at the underscore and makes it 4711, the array. In DuckDB a
#   number in the condition is enough, without a cast: job_id = 47113 finds the task as well, and so does a join
#   with a table that keeps ids as numbers. One heterogeneous job, 12+0, ends the same question with an error.
# Why it matters here: job_id is text as sacct prints it. TRY_CAST is the usual filter for plain jobs, and lets
#   tasks of arrays pass under another job's id. Compare with text, or use job_id_raw.
# Needs: Node.js 20 or newer with npm, and the npm registry (PostgreSQL comes compiled to WebAssembly).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.1'

cd "$folder"
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.17 >/dev/null
cat >postgresql.mjs <<'END'
import { PGlite } from "@electric-sql/pglite";
const database = new PGlite();
const rows = await database.query(process.argv[2], [], { rowMode: "array" });
console.log(JSON.stringify(rows.rows[0]));
await database.close();
END
printf '{"job_id":"%s"}\n' 4711_3 47113 >jobs.jsonl
venv/bin/python - <<'END'
import json
import sqlite3
import subprocess

import duckdb

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def in_duckdb(question):
    try:
        return [row[0] for row in duckdb.sql(question).fetchall()]
    except duckdb.ConversionException as error:
        return str(error).splitlines()[0]

def in_postgresql(question):
    return json.loads(subprocess.check_output(["node", "postgresql.mjs", question]))

expect("duckdb, version", duckdb.__version__, "2.0.1")
expect("duckdb, TRY_CAST", in_duckdb("SELECT TRY_CAST('4711_3' AS BIGINT)"), [47113])
expect("duckdb, job_id = '47113'", in_duckdb("SELECT job_id FROM 'jobs.jsonl' WHERE job_id = '47113'"), ["47113"])
expect("duckdb, job_id = 47113", in_duckdb("SELECT job_id FROM 'jobs.jsonl' WHERE job_id = 47113 ORDER BY job_id"), ["47113", "4711_3"])
duckdb.sql("CREATE TABLE tickets AS SELECT 47113 AS job")
joined = in_duckdb("SELECT job_id FROM 'jobs.jsonl' JOIN tickets ON job_id = job ORDER BY job_id")
expect("duckdb, joined with a table of numbers", joined, ["47113", "4711_3"])
with open("jobs.jsonl", "a") as file:
    file.write('{"job_id":"12+0"}\n')
refused = in_duckdb("SELECT job_id FROM 'jobs.jsonl' WHERE job_id = 47113")
known = "Conversion Error: Could not convert string '12+0' to INT32 when casting from source column job_id"
expect("duckdb, job_id = 47113 beside 12+0", refused, known)

expect("PostgreSQL, version", in_postgresql("SHOW server_version"), ["18.7"])
expect("PostgreSQL, cast", in_postgresql("SELECT '4711_3'::bigint"), [47113])
expect("PostgreSQL, pg_input_is_valid", in_postgresql("SELECT pg_input_is_valid('4711_3', 'bigint')"), [True])

expect("SQLite, CAST", sqlite3.connect(":memory:").execute("SELECT CAST('4711_3' AS INTEGER)").fetchone(), (4711,))
END
