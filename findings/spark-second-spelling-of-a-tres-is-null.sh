#!/usr/bin/env bash
# Spark reads the GPUs of a100 as NULL where another line says A100.
#
# Expected: Two keys that differ in case are two fields, or an error names them.
# What happens: Field names are compared without case by default: the first spelling met is the field, and
#   values under the other one are NULL, in silence. spark.sql.caseSensitive=true keeps both. A line that was
#   cut is a row of NULLs with its text in _corrupt_record.
# Why it matters here: A type is spelled as gres.conf of each cluster, or of each year, spells it. GPU hours
#   of one spelling are missing from the sum. The recipe sets case and gives the schema, alloc_tres as a map.
# Needs: python3 3.11 with venv, PyPI (about 450 MB), and Java 17.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyspark==4.3.0'

cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"31","alloc_tres":{"cpu":2,"gres/gpu:A100":4}}
{"job_id":"32","alloc_tres":{"cpu":2,"gres/gpu:a100":2}}
END

cd "$folder"
venv/bin/python - <<'END'
import os

from pyspark.sql import SparkSession

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
           "spark.driver.memory": "1g", "spark.ui.showConsoleProgress": "false"}
builder = SparkSession.builder.master("local[1]")
for key, value in options.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
PATH = f"file://{os.getcwd()}/jobs.jsonl"

def tres(**options):
    return [row.asDict(recursive=True)["alloc_tres"] for row in spark.read.json(PATH, **options).orderBy("job_id").collect()]

expect("version", spark.version, "4.3.0")
expect("as it comes", tres(), [{"cpu": 2, "gres/gpu:A100": 4}, {"cpu": 2, "gres/gpu:A100": None}])
mapped = tres(schema="job_id STRING, alloc_tres MAP<STRING, BIGINT>")
expect("as a map", mapped, [{"cpu": 2, "gres/gpu:A100": 4}, {"cpu": 2, "gres/gpu:a100": 2}])
spark.conf.set("spark.sql.caseSensitive", "true")
expect("caseSensitive, GPUs of the second", tres()[1]["gres/gpu:a100"], 2)
spark.stop()
END
