#!/usr/bin/env bash
# Debian's awk prints sums in six digits and stops counting at 2^31; datamash rounds at fourteen.
#
# Expected: `awk -F'|' '{sum += $2} END {print sum}'` over a column of seconds or bytes prints the sum.
# What happens: mawk, which is awk on Debian and Ubuntu, prints integers from 2^31 on with six digits, 1.23469e+14,
#   and `printf "%d"` gives 2147483647 for every larger sum; BusyBox's printf gives -2147483648. "%.0f" is right
#   both of them. GNU datamash prints fourteen digits: 1.2346878901234e+14.
# Why it matters here: CPUTimeRAW of one large job and the bytes of a small one are past 2^31, and nothing says
#   that digits are gone. Use "%.0f", or jq over our lines.
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

fetch mawk=1.3.4.20200120-3.1 busybox=1:1.35.0-4+deb12u1+b1 datamash=1.7-2
mawk=$folder/usr/bin/mawk
busybox=$folder/bin/busybox
datamash=$folder/usr/bin/datamash
printf '%s\n' '101|5000000000' '102|7000000000' '103|123456789012345' >"$folder/cputimeraw"
sum() {  # the format of printf, and the awk
    "${@:2}" -F'|' "{sum += \$2} END {printf \"$1\", sum}" "$folder/cputimeraw"
}

expect "mawk, version" "$("$mawk" -W version 2>&1 | head -1)" "mawk 1.3.4 20200120"
expect "mawk, print" "$("$mawk" -F'|' '{sum += $2} END {print sum}' "$folder/cputimeraw")" "1.23469e+14"
expect "mawk, %d" "$(sum %d "$mawk")" "2147483647"
expect "mawk, %.0f" "$(sum %.0f "$mawk")" "123468789012345"
expect "busybox, version" "$("$busybox" | head -1 | cut -d' ' -f1,2)" "BusyBox v1.35.0"
expect "busybox, %d" "$(sum %d "$busybox" awk)" "-2147483648"
expect "busybox, %.0f" "$(sum %.0f "$busybox" awk)" "123468789012345"
expect "datamash, version" "$("$datamash" --version | head -1)" "datamash (GNU datamash) 1.7"
expect "datamash, sum" "$("$datamash" -t'|' sum 2 <"$folder/cputimeraw")" "1.2346878901234e+14"
