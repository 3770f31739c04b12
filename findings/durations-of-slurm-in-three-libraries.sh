#!/usr/bin/env bash
# Three libraries read Slurm's durations as milliseconds, as nothing, or without the days.
#
# Expected: 1-02:03:04 is one day and two hours (93,784 seconds), or it is refused, as Luxon refuses it.
# What happens: parse-duration (npm) takes the first number for milliseconds: a day is 1.002003 ms, a year 365 ms.
#   moment (npm) has 0 for what it does not know, which is all that has days, and reads 10:00 as ten hours where Slurm
#   means ten minutes. timelength (PyPI) leaves the days out: a run of a year took 0 seconds. None of them raises.
# Why it matters here: Elapsed, TimeLimit and TotalCPU of sacct are such texts. Load the _seconds fields of our lines.
#   pytimeparse (PyPI) reads them all.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'timelength==3.0.4' 'pytimeparse==1.1.10'

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund parse-duration@2.1.9 moment@2.31.0 luxon@3.7.2 >/dev/null
cat >read.mjs <<'END'
import { readFileSync } from "node:fs";
import { Duration } from "luxon";
import moment from "moment";
import parse from "parse-duration";
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
console.log(`versions ${["parse-duration", "moment", "luxon"].map(version).join(" ")}`);
for (const text of process.argv.slice(2)) {
    const luxon = Duration.fromISOTime(text);
    const seconds = luxon.isValid ? luxon.as("seconds") : "invalid";
    console.log(`${text} ${parse(text)} ${moment.duration(text).asSeconds()} ${seconds}`);
}
END
cat >read.py <<'END'
import sys
from importlib.metadata import version

from pytimeparse import parse
from timelength import TimeLength

print("versions", version("timelength"), version("pytimeparse"))
for text in sys.argv[1:]:
    print(text, f"{TimeLength(text).result.seconds:.0f} {parse(text):.0f}")
END
texts=(1-02:03:04 365-00:00:00 02:03:04 10:00)
mapfile -t node < <(node read.mjs "${texts[@]}")
mapfile -t python < <(venv/bin/python read.py "${texts[@]}")

expect "parse-duration, moment, luxon" "${node[0]}" "versions 2.1.9 2.31.0 3.7.2"
expect "timelength, pytimeparse" "${python[0]}" "versions 3.0.4 1.1.10"
echo "text: milliseconds of parse-duration, seconds of moment, of luxon; of timelength, of pytimeparse"
expect "a day and two hours" "${node[1]}; ${python[1]#* }" "1-02:03:04 1.002003 0 invalid; 7384 93784"
expect "a year" "${node[2]}; ${python[2]#* }" "365-00:00:00 365 0 invalid; 0 31536000"
expect "two hours" "${node[3]}; ${python[3]#* }" "02:03:04 2.0030040000000002 7384 7384; 7384 7384"
expect "ten minutes" "${node[4]}; ${python[4]#* }" "10:00 10 36000 36000; 600 600"
