#!/usr/bin/env bash
# duckdb and pyarrow turn job names that look like dates into dates, and one more job changes the type back or ends the read.
#
# Expected: JSON text stays text: the name 2026-10-31 is that name.
# What happens: Where all names of the sample look like dates, duckdb makes the column DATE and pyarrow a
#   timestamp. The next name, train, is an error in duckdb once it lies behind the sample, and makes pyarrow's
#   column text, so that two files of one week do not go together.
# Why it matters here: Nightly jobs are named by their date. Names given as 08:15:00 become TIME in duckdb.
#   The recipe declares name, job_id and the other texts VARCHAR.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.1' 'pyarrow==26.0.1'

cd "$folder"
venv/bin/python - <<'END'
import json

import duckdb
import pyarrow
import pyarrow.json

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def write(path, names):
    with open(path, "w") as file:
        file.writelines(json.dumps({"job_id": str(number), "name": name}) + "\n" for number, name in enumerate(names))

def ask(question):
    try:
        return duckdb.sql(question).fetchall()
    except duckdb.Error as error:
        return "JSON transform error in line 30001" if "JSON transform error" in str(error) and "line 30001" in str(error) else str(error)

write("night.jsonl", ["2026-10-31", "2026-11-01"])
write("clock.jsonl", ["08:15:00", "12:30:00"])
write("week.jsonl", ["2026-10-31", "train"])
write("later.jsonl", ["2026-10-31"] * 30_000 + ["train"])

expect("duckdb", duckdb.__version__, "2.0.1")
for path, known in (("night", "DATE"), ("clock", "TIME"), ("week", "VARCHAR")):
    expect(f"{path}.jsonl", ask(f"SELECT DISTINCT typeof(name) FROM '{path}.jsonl'"), [(known,)])
expect("later.jsonl", ask("SELECT count(*) FROM 'later.jsonl' WHERE name IS NOT NULL"), "JSON transform error in line 30001")
declared = "read_json('later.jsonl', columns = {job_id: 'VARCHAR', name: 'VARCHAR'})"
expect("later.jsonl, declared", ask(f"SELECT count(*) FROM {declared} WHERE name IS NOT NULL"), [(30_001,)])

expect("pyarrow", pyarrow.__version__, "26.0.1")
for path, known in (("night", "timestamp[s]"), ("clock", "string"), ("week", "string")):
    expect(f"{path}.jsonl", str(pyarrow.json.read_json(f"{path}.jsonl").schema.field("name").type), known)
END
