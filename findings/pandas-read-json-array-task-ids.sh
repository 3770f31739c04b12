#!/usr/bin/env bash
# pandas reads the array task 4711_3 as the job 47113.
#
# Expected: `pandas.read_json(lines=True)` leaves a JSON string alone: `job_id` is text in every line of the
#   file.
# What happens: Where every id of the file is plain or of the form N_M, pandas turns the whole column into
#   integers, and an underscore counts as Python's digit separator. Job names 007 and 1e5, where all names
#   look like numbers, become 7 and 100000.
# Why it matters here: An array task is counted with another user's job, silently; it happens only in
#   files without a heterogeneous job or a cancelled pending array, whose ids keep the column text. The recipe
#   is dtype=False.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pandas==3.1.1' 'numpy==2.4.6'

cat >"$folder/jobs.jsonl" <<'END'
{"id":"a","job_id":"4711_3","job_id_raw":4715,"user":"ann","name":"007","gpu_hours":100}
{"id":"b","job_id":"47113","job_id_raw":47113,"user":"bob","name":"1e5","gpu_hours":1}
{"id":"c","job_id":"812","job_id_raw":812,"user":"bob","name":"42","gpu_hours":5}
END

cd "$folder"
venv/bin/python - <<'END'
import pandas

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

expect("version", pandas.__version__, "3.1.1")
naive = pandas.read_json("jobs.jsonl", lines=True)
expect("job_id, as it comes", naive["job_id"].tolist(), [47113, 47113, 812])
expect("name, as it comes", naive["name"].tolist(), [7, 100000, 42])
expect("GPU hours of job 47113", int(naive.loc[naive["job_id"] == 47113, "gpu_hours"].sum()), 101)
right = pandas.read_json("jobs.jsonl", lines=True, dtype=False)
expect("job_id with dtype=False", right["job_id"].tolist(), ["4711_3", "47113", "812"])
expect("name with dtype=False", right["name"].tolist(), ["007", "1e5", "42"])
END
