#!/usr/bin/env bash
# `sort -h` puts 4000M of memory before 3G.
#
# Expected: `sacct -n -P -o ReqMem,JobID | sort -h` orders jobs by their memory, as it orders what du prints.
# What happens: sort compares the units first, and the numbers only where the units are the same, as its manual
#   says of numbers that were scaled before. sacct scales only where nothing is lost: 4096M is 4G, 4000M stays as it
#   is and comes before 3G, and 2500000K before 900M. `tail` picks the wrong jobs, without an error.
# Why it matters here: Operators look for the hungriest jobs like this. Put `numfmt --from=iec --field=1` in front of
#   `sort -n` (not --from=auto: its 4G is 4,000,000,000), or sort by our alloc_tres.mem_bytes.
# Needs: Debian 12 with fetched package lists (apt-get update).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

fetch() {  # each Debian package into the temporary folder, nothing is installed
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$@")
    for package in "$folder"/*.deb; do dpkg -x "$package" "$folder"; rm "$package"; done
}

fetch coreutils=9.1-1
sizes() { printf '%s\n' 1.50T 4000M 3G 2500000K 900M; }

expect "version" "$("$folder/usr/bin/sort" --version | head -1)" "sort (GNU coreutils) 9.1"
expect "sort -h" "$(sizes | LC_ALL=C "$folder/usr/bin/sort" -h | paste -sd' ')" "2500000K 900M 4000M 3G 1.50T"
expect "numfmt and sort -n" "$(sizes | "$folder/usr/bin/numfmt" --from=iec | "$folder/usr/bin/sort" -n | paste -sd' ')" \
    "943718400 2560000000 3221225472 4194304000 1649267441664"
expect "numfmt --from=iec 4G" "$("$folder/usr/bin/numfmt" --from=iec 4G)" "4294967296"
expect "numfmt --from=auto 4G" "$("$folder/usr/bin/numfmt" --from=auto 4G)" "4000000000"
