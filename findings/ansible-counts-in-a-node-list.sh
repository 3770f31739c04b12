#!/usr/bin/env bash
# Ansible runs on other nodes than the node list names, where a group is called like the nodes.
#
# Expected: `ansible 'gpu[01-03]'` means the nodes gpu01 to gpu03, or is refused. An inventory writes such ranges
#   with a colon, [01:03].
# What happens: In a pattern the brackets count the hosts of a group, from zero: with a group gpu of gpu01 to gpu12,
#   gpu[01-03] is gpu02, gpu03 and gpu04. The hyphen has "been removed", says a warning, and works. Where no
#   group has the name, no host matches, with exit status 0: gpu[01-03],cn05 is cn05 alone. -i 'gpu[01-03],' is one
#   host of that name.
# Why it matters here: node_list of a failed job is at hand when nodes are to be drained or restarted, and groups
#   are often called like their nodes. Join nodes with commas, or use `slurmwatchd expand`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'ansible-core==2.19.14'

cd "$folder"
export HOME=$folder ANSIBLE_NOCOLOR=1 LC_ALL=C.UTF-8

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

printf '%s\n' '[gpu]' 'gpu[01:12]' '[cpu]' 'cn[01:12]' >inventory
hosts() { venv/bin/ansible "$@" --list-hosts 2>/dev/null | sed 1d | xargs; }

expect "version" "$(venv/bin/ansible --version | sed -n 1p)" "ansible [core 2.19.14]"
expect "gpu[01-03]" "$(hosts 'gpu[01-03]' -i inventory)" "gpu02 gpu03 gpu04"
expect "gpu[01-03], warning" "$(venv/bin/ansible 'gpu[01-03]' -i inventory --list-hosts 2>&1 | grep -c 'instead of \[x-y\] which has been removed')" 1
expect "cn[01-03], and exit status" "$(venv/bin/ansible 'cn[01-03]' -i inventory --list-hosts 2>/dev/null | xargs) $?" "hosts (0): 0"
expect "cn[01-03],gpu07" "$(hosts 'cn[01-03],gpu07' -i inventory)" "gpu07"
expect "gpu01,gpu02,gpu03" "$(hosts 'gpu01,gpu02,gpu03' -i inventory)" "gpu01 gpu02 gpu03"
expect "-i 'gpu[01-03],'" "$(hosts all -i 'gpu[01-03],')" "gpu[01-03]"
