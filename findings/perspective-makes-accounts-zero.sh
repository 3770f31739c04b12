#!/usr/bin/env bash
# Perspective makes every account 0 where the first one is 1e5.
#
# Expected: In JSON a text is a text: "account":"1e5" is the account 1e5.
# What happens: Types are guessed from the contents of texts. After whole numbers, a text makes the column text, but of
#   the numbers: 007 is the text 7. After 1e5, or the user nan, the column is float, and every text in it is 0.0: the
#   account physics and the user ada are 0, without an error. A table that began with plain job ids refuses the line of
#   an array task, 4711_3, with an error.
# Why it matters here: It shows streams of JSON lines as live pivot tables, so it is a natural window onto our events.
#   All accounts but one are a single row of zeros then. Create the table with a schema ({"account": "string"}).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'perspective-python==5.6.1'

cd "$folder"
venv/bin/python - <<'END'
import json
from importlib.metadata import version

import perspective

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

client = perspective.Server().new_local_client()

def lines(key, values):
    return "\n".join(json.dumps({"id": str(number), key: value}) for number, value in enumerate(values))

def read(key, *values):
    table = client.table(lines(key, values), format="ndjson")
    return table.schema()[key], [row[key] for row in table.view().to_json()]

expect("version", version("perspective-python"), "5.6.1")
expect("account 007 among others", read("account", "007", "physics"), ("string", ["7", "physics"]))
expect("account 1e5 among others", read("account", "1e5", "physics", "chem"), ("float", [100000.0, 0.0, 0.0]))
expect("user nan among others", read("user", "nan", "ada", "bob"), ("float", [None, 0.0, 0.0]))
expect("the others alone", read("account", "physics", "chem"), ("string", ["physics", "chem"]))

table = client.table(lines("job_id", ["4711"]), format="ndjson")
try:
    table.update(lines("job_id", ["4711_3"]), format="ndjson")
    answer = "taken"
except perspective.PerspectiveError as error:
    answer = "of type string to column" in str(error) and "refused"
expect("an array task after a plain job", answer, "refused")

table = client.table({"id": "string", "account": "string"})
table.update(lines("account", ["007", "1e5", "nan"]), format="ndjson")
expect("with a schema", [row["account"] for row in table.view().to_json()], ["007", "1e5", "nan"])
END
