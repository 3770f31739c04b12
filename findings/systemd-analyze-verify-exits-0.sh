#!/usr/bin/env bash
# systemd-analyze verify reports a memory limit that it ignores, and exits 0.
#
# Expected: A unit whose limit or key is not understood fails the check; a size of 1GB is a gigabyte.
# What happens: systemd wants 1G, warns that 1GB, a misspelt key and Slurm's 1-00:00:00 are ignored, and exits
#   0: the service would run without a limit. Exit 1 comes only where the program to start is missing.
# Why it matters here: Sizes of our config file are 100MB, those of the unit beside it 100M; who copies one
#   into a drop-in has no limit, and a CI that trusts the exit status does not see it. Look at what verify
#   prints.
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

fetch systemd=252.38-1~deb12u1 libsystemd-shared=252.38-1~deb12u1
analyze() { LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu/systemd" "$folder/usr/bin/systemd-analyze" "$@"; }
cat >"$folder/slurmwatchd.service" <<'END'
[Service]
ExecStart=/bin/true
MemoryMax=1GB
ReadWritePath=/var/log
TimeoutStopSec=1-00:00:00
END
status=0
said=$(analyze verify --man=no "$folder/slurmwatchd.service" 2>&1 | sed -n 's/.*slurmwatchd.service:[0-9]*: //p'; exit "${PIPESTATUS[0]}") || status=$?

expect "version" "$(analyze --version | head -1)" "systemd 252 (252.38-1~deb12u1)"
expect "said" "$said" "Invalid memory limit '1GB', ignoring: Invalid argument
Unknown key 'ReadWritePath' in section [Service], ignoring.
Failed to parse time value, ignoring: 1-00:00:00"
expect "exit status" "$status" 0
sed -i s,/bin/true,/nowhere, "$folder/slurmwatchd.service"
status=0
analyze verify --man=no "$folder/slurmwatchd.service" >"$folder/said" 2>&1 || status=$?
expect "exit status without the program" "$status" 1
