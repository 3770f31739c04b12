#!/usr/bin/env bash
# jc splits `sacct -P` at blanks, colons or commas: a quoted word in one job's name is enough.
#
# Expected: `sacct -P | jc --csv` finds the pipe between the fields, which each line has as often as the header.
# What happens: It takes Python's guess of the delimiter from the first 1,024 characters, and the guess looks for quotes
#   first. With a job named `plot 'loss' now`, or `train "big" model`, it is the blank: lines are torn at blanks, and
#   the whole header is one name. Without a header (sacct -n, --csv-ih), colons and commas are preferred to pipes, so
#   that ExitCode, Elapsed or AllocTRES are torn where each line has as many of them. The exit status is 0.
# Why it matters here: Users name jobs as they like, and any name in the first lines decides for all. There is no option
#   for the delimiter. Use `slurmwatchd export`, or our JSON lines.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'jc==1.26.1'

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

read_by_jc() {  # an option, and sacct's lines
    printf '%s\n' "${@:2}" | "$folder/venv/bin/jc" "$1"
}

header='JobID|JobName|State'
expect "version" "$("$folder/venv/bin/jc" --version | sed -n 's/^jc version: *//p')" "1.26.1"
expect "plain names" "$(read_by_jc --csv "$header" '4711_3|train|FAILED')" \
    '[{"JobID":"4711_3","JobName":"train","State":"FAILED"}]'
expect "a word in quotes" "$(read_by_jc --csv "$header" "4711_3|plot 'loss' now|FAILED" '4712|train|COMPLETED')" \
    '[{"JobID|JobName|State":"4711_3|plot","null":["loss","now|FAILED"]},{"JobID|JobName|State":"4712|train|COMPLETED"}]'
expect "in double quotes" "$(read_by_jc --csv "$header" '4711_3|train "big" model|FAILED')" \
    '[{"JobID|JobName|State":"4711_3|train","null":["big","model|FAILED"]}]'
expect "without header, Elapsed" "$(read_by_jc --csv-ih '4711_3|00:10:00|FAILED' '4712|1-02:03:04|FAILED')" \
    '[{"c0":"4711_3|00","c1":"10","c2":"00|FAILED"},{"c0":"4712|1-02","c1":"03","c2":"04|FAILED"}]'
expect "without header, TRES" "$(read_by_jc --csv-ih '4711_3|cpu=4,mem=16G|FAILED' '4712|cpu=8,mem=4G|FAILED')" \
    '[{"c0":"4711_3|cpu=4","c1":"mem=16G|FAILED"},{"c0":"4712|cpu=8","c1":"mem=4G|FAILED"}]'
