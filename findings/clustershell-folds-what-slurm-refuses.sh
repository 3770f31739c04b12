#!/usr/bin/env bash
# ClusterShell and python-hostlist fold names into a list that Slurm 22.05 cannot read.
#
# Expected: A folded list is one that the other tools of the field expand to the same nodes.
# What happens: n1-ib0,n2-ib0 becomes n[1-2]-ib0 in both; scontrol of 22.05 prints an error for it, no node,
#   and exits 0. Slurm itself leaves such names apart.
# Why it matters here: Names with an ending (interfaces, domains) are common where a list goes back to sbatch
#   -w or scontrol. From 23.11 on Slurm takes them. slurmwatchd hands on node_list as Slurm wrote it; compact
#   folds with scontrol, and as ClusterShell does where there is none.
# Needs: Debian 12 with fetched package lists (apt-get update), python3 with venv, and PyPI.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ClusterShell==1.9.3 python-hostlist==2.3.0
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

clustershell=$("$folder/venv/bin/python" -c 'from ClusterShell.NodeSet import NodeSet; print(NodeSet("n1-ib0,n2-ib0"))')
hostlist=$("$folder/venv/bin/python" -c 'import hostlist; print(hostlist.collect_hostlist(["n1-ib0", "n2-ib0"]))')

expect "version" "$(scontrol --version)" "slurm-wlm 22.05.8"
expect "ClusterShell 1.9.3" "$clustershell" "n[1-2]-ib0"
expect "python-hostlist 2.3.0" "$hostlist" "n[1-2]-ib0"
expect "scontrol's own fold" "$(scontrol show hostlist n1-ib0,n2-ib0)" "n1-ib0,n2-ib0"
expect "scontrol's answer to the folded list" "$(hostnames "$clustershell")" " (exit 0)"
expect "said" "$(tail -1 "$folder/said")" "Invalid hostlist: n[1-2]-ib0"
