#!/usr/bin/env bash
# Miller puts a MIG type inside another GPU type on the way from CSV back to JSON.
#
# Expected: JSON to CSV and back gives the keys of before, since both are Miller's own default.
# What happens: Writing CSV joins nested keys with a point, and reading it splits keys at every point:
#   gres/gpu:a100_1g.5gb comes back as the type a100_1g with a part 5gb in it.
# Why it matters here: Slurm's names of MIG slices have points. A pipeline that passes through CSV loses those
#   GPUs in every sum that goes by key, without an error. --flatsep with a separator that no TRES has, such
#   as ::, keeps them, given on both ways.
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

fetch miller=6.6.0-2+b3
mlr=$folder/usr/bin/mlr
cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"1","alloc_tres":{"cpu":2,"gres/gpu:a100_1g.5gb":2}}
END
back=$("$mlr" --ijsonl --ocsv cat "$folder/jobs.jsonl" | "$mlr" --icsv --ojsonl cat)

expect "version" "$("$mlr" --version)" "mlr 6.6.0"
expect "there and back" "$back" '{"job_id": 1, "alloc_tres": {"cpu": 2, "gres/gpu:a100_1g": {"5gb": 2}}}'
safe=$("$mlr" --ijsonl --ocsv --flatsep :: cat "$folder/jobs.jsonl" | "$mlr" --icsv --ojsonl --flatsep :: cat)
expect "with another separator" "$safe" '{"job_id": 1, "alloc_tres": {"cpu": 2, "gres/gpu:a100_1g.5gb": 2}}'
