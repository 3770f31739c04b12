#!/usr/bin/env bash
# scontrol show hostnames exits 0 over a list that it cannot read, and forgets the good lists beside it.
#
# Expected: An invalid list is an exit status other than 0; the valid ones given with it are expanded.
# What happens: One bad range empties the whole answer; the error stands on stderr and the exit status is 0. A
#   list that was cut, n[1-, is one node n]. sacct's own 'None assigned' for a job that never started is two
#   nodes.
# Why it matters here: A script that expands NodeList this way takes an error for a job without nodes. The
#   daemon looks at stderr and at the count of nodes, and halves a batch until it knows the bad one.
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

expect "version" "$(scontrol --version)" "slurm-wlm 22.05.8"
expect "n[1-3],login" "$(hostnames 'n[1-3],login')" "n1 n2 n3 login (exit 0)"
expect "n[1-3],n[3-1]" "$(hostnames 'n[1-3],n[3-1]')" " (exit 0)"
expect "said" "$(tail -1 "$folder/said")" "Invalid hostlist: n[1-3],n[3-1]"
expect "n[1-" "$(hostnames 'n[1-')" "n] (exit 0)"
expect "None assigned" "$(hostnames 'None assigned')" "None assigned (exit 0)"
expect "nodes in it" "$(scontrol show hostnames 'None assigned' | wc -l)" 2
