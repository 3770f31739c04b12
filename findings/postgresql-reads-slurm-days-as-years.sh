#!/usr/bin/env bash
# PostgreSQL takes the days of a Slurm duration for years.
#
# Expected: '1-02:03:04'::interval is one day, two hours, three minutes and four seconds, or an error.
# What happens: Two numbers with a hyphen are years and months, as SQL has them, and the rest is the time. So
#   1-02:03:04 becomes 1 year 2 mons 03:04:00, and a limit of 10-00:00:00 becomes ten years, without an error.
#   Hours above 11 are refused as months: a trial with 1-13:00:00 shows it, one with 7-00:00:00 does not.
#   14:25, which in TotalCPU is minutes and seconds, is 14 hours; with a fraction, 14:25.512, it is minutes.
# Why it matters here: Sites load sacct's own Elapsed and TotalCPU beside our lines. A column of intervals takes
#   nearly all of them, and sums to centuries. Use elapsed_seconds, timelimit_seconds, usage.cpu_seconds.
# Needs: Node.js 20 or newer with npm, and the npm registry (PostgreSQL comes compiled to WebAssembly).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.17 >/dev/null
cat >ask.mjs <<'END'
import { PGlite } from "@electric-sql/pglite";
const database = new PGlite();
for (const question of process.argv.slice(2)) {
    try {
        const answer = await database.query(question, [], { rowMode: "array" });
        console.log(answer.rows[0][0]);
    } catch (error) {
        console.log(error.message);
    }
}
await database.close();
END
durations=(1-02:03:04 10-00:00:00 7-00:00:00 1-13:00:00 02:03:04 14:25 14:25.512)
known=("1 year 2 mons 03:04:00" "10 years" "7 years" 'interval field value out of range: "1-13:00:00"'
    "02:03:04" "14:25:00" "00:14:25.512")
questions=("SHOW server_version")
for duration in "${durations[@]}"; do questions+=("SELECT '$duration'::interval::text"); done
mapfile -t seen < <(node ask.mjs "${questions[@]}")

expect "version" "${seen[0]}" "18.7"
for number in "${!durations[@]}"; do
    expect "${durations[number]}" "${seen[number + 1]}" "${known[number]}"
done
