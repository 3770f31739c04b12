#!/usr/bin/env bash
# logrotate with dateext rotates a file by size once a day, and then lets it grow.
#
# Expected: size 100M rotates each time that the file is larger.
# What happens: dateext is one for the whole machine on many distributions, and names a rotated file by its
#   day. The second rotation of a day finds the name taken: error, exit 1, 'skipping rotation'; the file grows
#   until midnight.
# Why it matters here: A busy cluster writes more than a size a day. Our logrotate file says nodateext; a site
#   that writes its own with size needs that, or a dateformat with the time.
# Needs: Debian 12 with fetched package lists (apt-get update), not at midnight.
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

fetch logrotate=3.21.0-1
cat >"$folder/rotation" <<END
$folder/jobs.jsonl {
    size 10
    rotate 5
    dateext
    create
}
END
rotate() {
    local status=0
    echo "$1 and more than ten bytes" >>"$folder/jobs.jsonl"
    "$folder/usr/sbin/logrotate" --state "$folder/state" "$folder/rotation" 2>"$folder/said" || status=$?
    echo "exit $status, $(wc -l <"$folder/jobs.jsonl") lines left"
}
expect "version" "$("$folder/usr/sbin/logrotate" --version 2>&1 | head -1)" "logrotate 3.21.0"
expect "first rotation" "$(rotate one)" "exit 0, 0 lines left"
expect "second of the day" "$(rotate two)" "exit 1, 1 lines left"
expect "third of the day" "$(rotate three)" "exit 1, 2 lines left"
expect "said" "$(sed "s,$folder/jobs.jsonl-[0-9]*,FILE," "$folder/said")" "error: destination FILE already exists, skipping rotation"
sed -i s/dateext/nodateext/ "$folder/rotation"
expect "with nodateext" "$(rotate four)" "exit 0, 0 lines left"
