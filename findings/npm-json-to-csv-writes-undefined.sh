#!/usr/bin/env bash
# Of two libraries that make CSV of JSON, one writes the words undefined and null, the other leaves commas away.
#
# Expected: A field that a job has not is an empty cell, and each row has as many cells as the header.
# What happens: json-2-csv writes `undefined` for it, and `null` for a start of null, as text among numbers and times.
#   Its csv2json takes the words for what they say: a job named `null` or a user `undefined` has none afterwards, the
#   job 4712 is a number, the account 1e5 is 100000. jsonexport ends a row at its last value: a field that only later
#   lines have is a column at the end, and the rows before are shorter than the header.
# Why it matters here: alloc_tres differs from job to job, so that most cells of such a table are absent. Write CSV with
#   `slurmwatchd export`; or give json-2-csv {emptyFieldValue: ""}, and jsonexport all columns in {headers: [...]}.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund json-2-csv@5.6.0 jsonexport@3.2.0 >/dev/null
version() { node -p "require('./node_modules/$1/package.json').version"; }
cat >jobs.json <<'END'
[{"job_id": "4712", "start": null, "alloc_tres": {"cpu": 4}},
 {"job_id": "4711_3", "start": "2026-11-23T10:00:00Z", "alloc_tres": {"cpu": 8, "gres/gpu": 2}}]
END
cat >convert.js <<'END'
const jobs = JSON.parse(require("fs").readFileSync("jobs.json", "utf8"));
const {json2csv, csv2json} = require("json-2-csv");
const jsonexport = require("jsonexport");
const one = (text) => JSON.stringify(csv2json(json2csv([text])));
const headers = ["job_id", "start", "alloc_tres.cpu", "alloc_tres.gres/gpu"];
const ways = {
    "json-2-csv": () => json2csv(jobs),
    "json-2-csv, empty": () => json2csv(jobs, {emptyFieldValue: ""}),
    jsonexport: () => jsonexport(jobs),
    "jsonexport, headers": () => jsonexport(jobs, {headers}),
    "there and back": () => one({job_id: "4712", name: "null", user: "undefined", account: "1e5", array: "4711_3"}),
};
Promise.resolve(ways[process.argv[2]]()).then((text) => console.log(text));
END
rows() { node convert.js "$1" | paste -sd ' '; }

expect "version of json-2-csv" "$(version json-2-csv)" "5.6.0"
expect "version of jsonexport" "$(version jsonexport)" "3.2.0"
expect "json-2-csv" "$(rows json-2-csv)" "job_id,start,alloc_tres.cpu,alloc_tres.gres/gpu\
 4712,null,4,undefined 4711_3,2026-11-23T10:00:00Z,8,2"
expect "json-2-csv, emptyFieldValue" "$(rows 'json-2-csv, empty')" "job_id,start,alloc_tres.cpu,alloc_tres.gres/gpu\
 4712,,4, 4711_3,2026-11-23T10:00:00Z,8,2"
expect "there and back" "$(rows 'there and back')" '[{"job_id":4712,"name":null,"account":100000,"array":"4711_3"}]'
expect "jsonexport" "$(rows jsonexport)" "job_id,start,alloc_tres.cpu,alloc_tres.gres/gpu\
 4712,,4 4711_3,2026-11-23T10:00:00Z,8,2"
expect "jsonexport, headers" "$(rows 'jsonexport, headers')" "job_id,start,alloc_tres.cpu,alloc_tres.gres/gpu\
 4712,,4, 4711_3,2026-11-23T10:00:00Z,8,2"
