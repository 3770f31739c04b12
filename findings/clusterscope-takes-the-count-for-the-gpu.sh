#!/usr/bin/env bash
# clusterscope takes the count of GPUs for their generation, and gives up at a node with two kinds of GRES.
#
# Expected: gpu:a100:4(S:0-1), as sinfo prints it, is four GPUs of the generation A100.
# What happens: get_gpu_generations splits at the colons and takes the third part: "4(S", where the node names its
#   sockets, and nothing at all where it does not. gpu:4, without a type, is an IndexError. The list of GPUs splits
#   a line at its comma, so that a node with gpu:a100:8,nvme:1 is a ValueError, and a GRES of another kind with a
#   type, nvme:tb:2, is a GPU called tb.
# Why it matters here: It is Meta's library by which jobs learn what cluster they are on. Who groups usage by its
#   generations groups by "4(S". alloc_tres of our events has each type by its name, and its count.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'clusterscope==0.0.32'

cd "$folder"
mkdir bin
# sinfo as Slurm 22.05 prints %G and %G,%P for one partition.
cat >bin/sinfo <<'END'
#!/bin/sh
case $* in
*%G,%P*) printf 'GRES,PARTITION\n%s,gpu*\n' "$(cat gres)" ;;
*%G*) printf 'GRES\n%s\n' "$(cat gres)" ;;
*) echo "slurm-wlm 22.05.8" ;;
esac
END
chmod +x bin/sinfo
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from clusterscope.cluster_info import SlurmClusterInfo

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def answer(ask):
    try:
        return ask()
    except (IndexError, ValueError) as error:
        return repr(error)

def seen(gres):
    Path("gres").write_text(gres)
    cluster = SlurmClusterInfo()
    gpus = answer(lambda: [(gpu.gpu_gen, gpu.gpu_count) for gpu in cluster.get_gpu_generation_and_count()])
    return answer(lambda: sorted(cluster.get_gpu_generations())), gpus

INDEX, UNPACK = "IndexError('list index out of range')", "ValueError('too many values to unpack (expected 2)')"
expect("version", version("clusterscope"), "0.0.32")
print("GRES: generations, GPUs")
for gres, known in {
    "gpu:a100:4": ([], [("a100", 4)]),
    "gpu:a100:4(S:0-1)": (["4(S"], [("a100", 4)]),
    "gpu:a100_1g.5gb:7(S:0)": (["7(S"], [("a100_1g.5gb", 7)]),
    "gpu:4": (INDEX, []),
    "gpu:a100:8,nvme:1": (["8,NVME"], UNPACK),
    "gpu:a100:4,gpu:v100:2": (["4,GPU"], UNPACK),
    "nvme:tb:2": ([], [("tb", 2)]),
    "(null)": ([], []),
}.items():
    expect(gres, seen(gres), known)
END
