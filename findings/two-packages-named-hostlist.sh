#!/usr/bin/env bash
# python-hostlist and py-hostlist are both imported as hostlist, and one hides the other.
#
# Expected: pip says that two packages claim one module name, or both can be used.
# What happens: python-hostlist installs the file hostlist.py, py-hostlist the folder hostlist/. Both installs
#   succeed, `pip check` is content, and the folder wins whichever came first: expand_hostlist is gone.
# Why it matters here: Tools of this field ask for either. A notebook's environment that got both has lost the
#   parser that agrees with Slurm and kept the one that does not; slurmwatchd uses ClusterShell and neither of
#   them.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'python-hostlist==2.3.0'

cd "$folder"
venv/bin/python - <<'END'
import subprocess
import sys

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return (done.stdout or done.stderr).strip().splitlines()[-1]

EXPAND = "import hostlist; print(hostlist.expand_hostlist('n[1-2],login'))"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
expect("python-hostlist 2.3.0 alone", python(EXPAND), "['n1', 'n2', 'login']")
installed = subprocess.run([*PIP, "install", "--quiet", "py-hostlist==0.0.2.dev0"], capture_output=True, text=True)
expect("py-hostlist 0.0.2.dev0 beside it: exit status", installed.returncode, 0)
expect("pip check", subprocess.run([*PIP, "check"], capture_output=True, text=True).stdout.strip(), "No broken requirements found.")
expect("the same call again", python(EXPAND), "AttributeError: module 'hostlist' has no attribute 'expand_hostlist'")
END
