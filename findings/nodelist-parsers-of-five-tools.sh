#!/usr/bin/env bash
# Four of five tools that expand Slurm's node lists by themselves lose or rename nodes, and raise nothing.
#
# Expected: n[1-2],gpu5 is three nodes, r[1-2]n[01-02] four, n[01-02] keeps its zeros, n[1-2]-ib0 its ending,
#   and login is a node.
# What happens: Four have two to four of the five wrong: lists after the first bracket are cut, second brackets
#   and endings dropped, zeros lost, a single host answered with nothing. The fifth, hostrange, has them right
#   and counts n[3-1] down, which Slurm refuses.
# Why it matters here: nodes in our lines is what scontrol (or ClusterShell) says. A join with such a tool's
#   names finds no partner for some of a job's nodes, and the loss looks like idle nodes. scontrol takes an
#   ending after the bracket from 23.11 on.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'py-hostlist==0.0.2.dev0' 'nodelist-inflator==0.2.0' 'slurm-usage==3.1.0' 'slurm-gpustat==0.0.15' 'termcolor==3.1.0' 'hostrange==0.1.0'

cd "$folder"
venv/bin/python - <<'END'
import hostrange
from hostlist.hostlist import expand
from nodelist_inflator.nodelist_infate import expand_hostnames
from slurm_gpustat.slurm_gpustat import parse_node_names
from slurm_usage import parse_node_list

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

LISTS = {
    "n[1-2],gpu5": "n1 n2 gpu5",
    "r[1-2]n[01-02]": "r1n01 r1n02 r2n01 r2n02",
    "n[01-02]": "n01 n02",
    "n[1-2]-ib0": "n1-ib0 n2-ib0",
    "login": "login",
}
TOOLS = {
    "py-hostlist 0.0.2.dev0": (
        lambda text: expand(text).split(","),
        ["n1 gpu5 n2 gpu5", "r1n[01-02] r2n[01-02]", "n01 n02", "n1-ib0 n2-ib0", ""],
    ),
    "nodelist-inflator 0.2.0": (expand_hostnames, ["n1 n2 gpu5", "r1 r2 n1 n2", "n1 n2", "n1 n2 -ib0", ""]),
    "slurm-usage 3.1.0": (parse_node_list, ["n1 n2", "r1 r2", "n01 n02", "n1 n2", "login"]),
    "slurm-gpustat 0.0.15": (parse_node_names, ["n1 n2 gpu5", "r1 r2", "n01 n02", "n1 n2", "login"]),
}
for tool, (nodes, known) in TOOLS.items():
    for text, answer in zip(LISTS, known, strict=True):
        expect(f"{tool}, {text}, in truth {LISTS[text]}", " ".join(nodes(text)), answer)
for text, truth in LISTS.items():
    expect(f"hostrange 0.1.0, {text}", " ".join(hostrange.expand(text)), truth)
expect("hostrange 0.1.0, n[3-1], which Slurm refuses", hostrange.expand("n[3-1]"), ["n3", "n2", "n1"])
END
