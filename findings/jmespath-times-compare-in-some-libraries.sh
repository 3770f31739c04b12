#!/usr/bin/env bash
# `[?end >= '2026-11-23T10:00:00Z']` of JMESPath finds the jobs in three libraries and none in two others.
#
# Expected: One query language has one answer: texts of times in UTC compare as texts, or the query is an error.
# What happens: The specification orders numbers alone. jmespath of PyPI and of npm and @metrichor/jmespath compare texts
#   as well; @jmespath-community/jmespath and AWS's powertools answer null to each comparison, so that the filter for
#   later jobs is empty, and its negation, `[?!(end >= ...)]`, has every job. Nothing is raised.
# Why it matters here: A filter that was tried out with one library keeps nothing, or everything, in another, such as a
#   lambda's powertools. Compare numbers: `seq`, or elapsed_seconds; or let the program compare times.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true}' >package.json
npm install --silent --no-audit --no-fund jmespath@0.16.0 @metrichor/jmespath@0.3.1 @jmespath-community/jmespath@1.3.0 \
    @aws-lambda-powertools/jmespath@2.36.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jmespath==1.1.0

cat >jobs.json <<'END'
[{"job_id": "4711_3", "seq": 1, "end": "2026-11-23T09:59:59Z"},
 {"job_id": "4712", "seq": 2, "end": "2026-11-23T10:00:01Z"},
 {"job_id": "4713", "seq": 3}]
END
cat >query.js <<'END'
const fs = require("fs");
const [library, query] = process.argv.slice(2);
const jobs = JSON.parse(fs.readFileSync("jobs.json", "utf8"));
const {search} = require(library);
const powertools = library === "@aws-lambda-powertools/jmespath";
console.log(JSON.stringify(powertools ? search(query, jobs) : search(jobs, query)));
END
cat >query.py <<'END'
import json
import sys

import jmespath

with open("jobs.json") as file:
    print(json.dumps(jmespath.search(sys.argv[1], json.load(file)), separators=(",", ":")))
END

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

later="[?end >= '2026-11-23T10:00:00Z'].job_id"
not_later="[?!(end >= '2026-11-23T10:00:00Z')].job_id"
# shellcheck disable=SC2016  # JMESPath's own quotes of a number
numbers='[?seq >= `2`].job_id'
expect "python, version" "$(venv/bin/python -c 'import jmespath; print(jmespath.__version__)')" 1.1.0
expect "python, $later" "$(venv/bin/python query.py "$later")" '["4712"]'
expect "python, $not_later" "$(venv/bin/python query.py "$not_later")" '["4711_3","4713"]'
version() { node -p "require('./node_modules/$1/package.json').version"; }
expect "npm, versions" "$(for name in jmespath @{metrichor,jmespath-community,aws-lambda-powertools}/jmespath; do
    version "$name"; done | xargs)" "0.16.0 0.3.1 1.3.0 2.36.0"
for library in jmespath @metrichor/jmespath; do
    expect "$library, $later" "$(node query.js "$library" "$later")" '["4712"]'
    expect "$library, $not_later" "$(node query.js "$library" "$not_later")" '["4711_3","4713"]'
done
for library in @jmespath-community/jmespath @aws-lambda-powertools/jmespath; do
    expect "$library, $later" "$(node query.js "$library" "$later")" '[]'
    expect "$library, $not_later" "$(node query.js "$library" "$not_later")" '["4711_3","4712","4713"]'
    expect "$library, $numbers" "$(node query.js "$library" "$numbers")" '["4712","4713"]'
done
