#!/usr/bin/env bash
# Nushell gives each cell of sacct's output a type of its own, so that one column holds texts and numbers.
#
# Expected: `from csv` has one type for each column: JobID is text, as one row of it is 4711_3.
# What happens: Each cell is guessed by itself. 4711_3 stays a text beside the number 4712: where JobID == "4712" finds
#   nothing and says nothing, and sort-by puts all numbers before all texts. The user 007 is 7, the user nan is NaN, the
#   job called 1e5 is 100000.0, and to csv writes them so.
# Why it matters here: sacct --parsable2 and our CSV export are what it is given. --no-infer keeps the texts. Our JSON
#   lines (open --raw, lines, from json) have types that nothing guesses.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund nushell@0.115.1 >/dev/null
cat >sacct.txt <<'END'
JobID|User|State|Elapsed|JobName
4711_3|007|COMPLETED|1-02:03:04|1e5
4712|nan|CANCELLED by 1000|00:10:00|train
4713|ada|COMPLETED|02:03:04|train
END
printf '{"job_id":"4711_3","user":"007"}\n{"job_id":"4712","user":"nan"}\n' >jobs.jsonl
nu() { node_modules/.bin/nu --no-config-file --commands "$1"; }
rows="open --raw sacct.txt | from csv --separator '|'"

expect "version" "$(nu 'version | get version')" "0.115.1"
expect "JobID" "$(nu "$rows | get JobID | to json --raw")" '["4711_3",4712,4713]'
expect "where JobID == \"4711_3\"" "$(nu "$rows | where JobID == '4711_3' | length")" "1"
expect "where JobID == \"4712\"" "$(nu "$rows | where JobID == '4712' | length")" "0"
expect "sorted by JobID" "$(nu "$rows | sort-by JobID | get JobID | to json --raw")" '[4712,4713,"4711_3"]'
expect "users" "$(nu "$rows | group-by User --to-table | get User | to json --raw")" '["7","NaN","ada"]'
expect "written again" "$(nu "$rows | first | to csv --noheaders")" "4711_3,7,COMPLETED,1-02:03:04,100000.0"
expect "--no-infer, where JobID == \"4712\"" "$(nu "$rows --no-infer | where JobID == '4712' | length")" "1"
expect "JSON lines" "$(nu 'open --raw jobs.jsonl | lines | each { from json } | to json --raw')" \
    '[{"job_id":"4711_3","user":"007"},{"job_id":"4712","user":"nan"}]'
