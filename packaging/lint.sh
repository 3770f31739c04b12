#!/bin/sh
# Check what is in packaging/ with the tools that will read it. A tool that is not installed is named and passed over.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

have() {
    command -v "$1" >/dev/null || { echo "packaging: no $1 here, not checked: $2"; return 1; }
}

if have systemd-analyze systemd/; then
    # verify wants the program to be there; any program will do.
    sed 's|^ExecStart=/usr/bin/slurmwatchd |ExecStart=/bin/true |' systemd/slurmwatchd.service \
        >"$scratch/slurmwatchd.service"
    complaints=$(systemd-analyze verify --man=no "$scratch/slurmwatchd.service" 2>&1) || true
    if [ -n "$complaints" ]; then
        echo "$complaints" >&2
        exit 1
    fi
    # Into a file and not through a pipe, whose exit status would be that of tail.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$scratch/slurmwatchd.service" \
        >"$scratch/exposure" || { cat "$scratch/exposure" >&2; exit 1; }
    tail -n 1 "$scratch/exposure"
fi
if have systemd-sysusers systemd/slurmwatchd.sysusers.conf; then
    systemd-sysusers --dry-run "$PWD/systemd/slurmwatchd.sysusers.conf" >/dev/null 2>&1
fi
if have promtool prometheus/; then
    promtool check rules prometheus/slurmwatchd.rules.yml
    promtool test rules prometheus/slurmwatchd.rules.test.yml
fi
if have logrotate logrotate/; then
    sed "s|/var/log/slurmwatchd|$scratch|; s|^    su .*|    su $(id -un) $(id -gn)|" logrotate/slurmwatchd \
        >"$scratch/logrotate.conf"
    complaints=$(logrotate -d -s "$scratch/state" "$scratch/logrotate.conf" 2>&1 | grep -i 'error' || true)
    if [ -n "$complaints" ]; then
        echo "$complaints" >&2
        exit 1
    fi
fi
if have man man/; then
    complaints=$(LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z man/slurmwatchd.1 2>&1 >/dev/null)
    if [ -n "$complaints" ]; then
        echo "$complaints" >&2
        exit 1
    fi
fi
for shell in bash zsh fish; do
    if have $shell completions/slurmwatchd.$shell; then
        $shell -n completions/slurmwatchd.$shell
    fi
done
echo "packaging: checked"
