#!/usr/bin/env bash
# pandas leaves the user nan and the account NA out of a table of usage.
#
# Expected: A column of names is read as it is written, and groupby().sum() adds up to the whole.
# What happens: read_csv takes nan, NA, null, None, n/a and a dozen more for missing values, in columns of text too,
#   and groupby leaves missing keys out, without a warning: the parts are less than the whole. In another case they
#   are texts: Nan, na. keep_default_na=False reads them all, and the None of a job that never started with them.
# Why it matters here: sacct's text and our CSV are read like this for bills. nan is a login somewhere, and a job is
#   called None where a variable was not set. Give keep_default_na=False, or read our JSON lines or Parquet.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pandas==3.1.1'

cd "$folder"
cat >sacct.txt <<'END'
JobID|User|Account|JobName|CPUTimeRAW|Start
101|ann|phys|train|3600|2026-11-23T10:00:00
102|nan|phys|None|7200|2026-11-23T11:00:00
103|Nan|NA|train|100|2026-11-23T12:00:00
104|bob|na|null|20|2026-11-23T12:00:00
105|bob|phys|held|0|None
END
venv/bin/python - <<'END'
import pandas

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def usage(key, **options):
    jobs = pandas.read_csv("sacct.txt", sep="|", **options)
    return jobs.groupby(key)["CPUTimeRAW"].sum().to_dict()

expect("version", pandas.__version__, "3.1.1")
expect("seconds in all", int(pandas.read_csv("sacct.txt", sep="|")["CPUTimeRAW"].sum()), 10920)
expect("seconds by user", usage("User"), {"Nan": 100, "ann": 3600, "bob": 20})
expect("seconds by account", usage("Account"), {"na": 20, "phys": 10800})
expect("seconds by job name", usage("JobName"), {"held": 0, "train": 3700})
expect("seconds by user, keep_default_na=False", usage("User", keep_default_na=False), {"Nan": 100, "ann": 3600, "bob": 20, "nan": 7200})
jobs = pandas.read_csv("sacct.txt", sep="|", keep_default_na=False, na_values={"Start": ["None", "Unknown"]})
expect("jobs without a start, named as such", jobs["JobID"][jobs["Start"].isna()].to_list(), [105])
END
