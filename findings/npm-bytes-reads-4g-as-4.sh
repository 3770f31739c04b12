#!/usr/bin/env bash
# bytes of npm reads Slurm's 4G as four bytes.
#
# Expected: 4G is 4 GiB, as 4GB is for bytes, or it is refused (null), as `bytes` refuses a text without a number.
# What happens: A unit must end with b. Of anything else the leading whole number is taken as bytes: 4G is 4, 1.5T is
#   1, 4000M is 4000, and of AllocTRES's mem=62.50G 62 is left. bytes-iec, its fork, says null.
# Why it matters here: It is the usual parser of sizes in Node.js. ReqMem, MaxRSS and the amounts of TRES from sacct
#   are written so; a limit compared with them never holds. Our fields are whole bytes (max_rss_bytes, mem_bytes in
#   alloc_tres).
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund bytes@3.1.2 bytes-iec@3.1.1 >/dev/null
cat >read.mjs <<'END'
import bytes from "bytes";
import iec from "bytes-iec";
console.log(process.argv[2] === "iec" ? iec(process.argv[3]) : bytes(process.argv[3]));
END
version() { node -p "require('./node_modules/$1/package.json').version"; }

expect "version" "$(version bytes)" "3.1.2"
expect "version of bytes-iec" "$(version bytes-iec)" "3.1.1"
expect "4GB" "$(node read.mjs bytes 4GB)" "4294967296"
expect "4G" "$(node read.mjs bytes 4G)" "4"
expect "4000M" "$(node read.mjs bytes 4000M)" "4000"
expect "1.5T" "$(node read.mjs bytes 1.5T)" "1"
expect "62.50G" "$(node read.mjs bytes 62.50G)" "62"
expect "no number" "$(node read.mjs bytes none)" "null"
expect "4G for bytes-iec" "$(node read.mjs iec 4G)" "null"
