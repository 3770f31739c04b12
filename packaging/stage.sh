#!/bin/sh
# Put what a package brings besides Python's modules where it belongs below a root:
#   stage.sh SHARE ROOT INTERPRETER ZSH      SHARE is the wheel's, ZSH the folder of zsh's functions
set -eu
share=$1 root=$2 interpreter=$3 zsh=$4
repository=$(cd "$(dirname "$0")/.." && pwd)

put() { install -D -m 0644 "$1" "$root/$2"; }
put "$share/slurmwatchd/slurmwatchd.service" usr/lib/systemd/system/slurmwatchd.service
put "$share/slurmwatchd/slurmwatchd.sysusers.conf" usr/lib/sysusers.d/slurmwatchd.conf
put "$share/slurmwatchd/slurmwatchd.toml" etc/slurmwatchd/slurmwatchd.toml
put "$share/slurmwatchd/slurmwatchd.logrotate" etc/logrotate.d/slurmwatchd
put "$share/man/man1/slurmwatchd.1" usr/share/man/man1/slurmwatchd.1
put "$share/bash-completion/completions/slurmwatchd" usr/share/bash-completion/completions/slurmwatchd
put "$share/zsh/site-functions/_slurmwatchd" "$zsh/_slurmwatchd"
put "$share/fish/vendor_completions.d/slurmwatchd.fish" usr/share/fish/vendor_completions.d/slurmwatchd.fish
put "$share/slurmwatchd/slurmwatchd.rules.yml" usr/share/slurmwatchd/slurmwatchd.rules.yml
cp -r "$share/slurmwatchd/grafana" "$root/usr/share/slurmwatchd/grafana"
cp -r "$repository/packaging/shippers" "$root/usr/share/slurmwatchd/shippers"

install -d "$root/usr/bin"
printf '%s\n' "#!$interpreter -I" 'import sys' 'from slurmwatchd.cli import main' 'sys.exit(main())' \
    >"$root/usr/bin/slurmwatchd"
chmod 0755 "$root/usr/bin/slurmwatchd"
