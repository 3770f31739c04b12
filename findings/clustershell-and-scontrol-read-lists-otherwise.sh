#!/usr/bin/env bash
# ClusterShell takes two names with a blank between them for one node, and knows signs that Slurm refuses.
#
# Expected: The grammar is one: what scontrol show hostnames expands, NodeSet expands to the same nodes, and
#   what one refuses the other does.
# What happens: 'n1 n2' is two nodes for scontrol and one, with a blank in its name, for NodeSet. n[1-9/4] (a
#   step), n[1-3]!n2 (without) and n[1-3]&n2 (both) are errors for scontrol and sets for NodeSet; an order
#   such as n3,n1 is lost.
# Why it matters here: Where there is no scontrol, slurmwatchd expands with ClusterShell. Slurm's own lists
#   have commas and no such sign, so both agree on NodeList; a list that a person types may not.
# Needs: Debian 12 with fetched package lists (apt-get update), python3 with venv, and PyPI.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ClusterShell==1.9.3
fetch() {  # each Debian package into the temporary folder, nothing is installed
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$@")
    for package in "$folder"/*.deb; do dpkg -x "$package" "$folder"; rm "$package"; done
}
fetch slurm-client=22.05.8-4+deb12u3 slurm-wlm-basic-plugins=22.05.8-4+deb12u3
export LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu/slurm-wlm:$folder/usr/lib/$(uname -m)-linux-gnu"
export SLURM_CONF=$folder/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=alpha
SlurmctldHost=localhost
AuthType=auth/none
PluginDir=$folder/usr/lib/$(uname -m)-linux-gnu/slurm-wlm
NodeName=n[1-9]
PartitionName=long Nodes=ALL
END
scontrol() { "$folder/usr/bin/scontrol" "$@"; }
hostnames() {  # the nodes in one line, and the exit status
    local status=0 nodes
    nodes=$(scontrol show hostnames "$1" 2>"$folder/said") || status=$?
    echo "${nodes//$'\n'/ } (exit $status)"
}

nodeset() {
    "$folder/venv/bin/python" -c '
import sys
from ClusterShell.NodeSet import NodeSet, RESOLVER_NOGROUP
print(*NodeSet(sys.argv[1], resolver=RESOLVER_NOGROUP), sep="|")' "$1"
}
both() { echo "$(hostnames "$1" | sed 's/ (exit 0)//; s/ /|/g') and $(nodeset "$1")"; }

expect "version" "$(scontrol --version)" "slurm-wlm 22.05.8"
expect "n[1-3],login" "$(both 'n[1-3],login')" "n1|n2|n3|login and login|n1|n2|n3"
expect "n1 n2" "$(both 'n1 n2')" "n1|n2 and n1 n2"
expect "n[1-9/4]" "$(both 'n[1-9/4]')" " and n1|n5|n9"
expect "n[1-3]!n2" "$(both 'n[1-3]!n2')" " and n1|n3"
expect "n[1-3]&n2" "$(both 'n[1-3]&n2')" " and n2"
expect "n3,n1" "$(both 'n3,n1')" "n3|n1 and n1|n3"
