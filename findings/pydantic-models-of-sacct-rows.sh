#!/usr/bin/env bash
# pydantic reads Slurm's texts into typed models as other values: a task as a job, minutes as hours, G as 10^9.
#
# Expected: A model whose fields are int, timedelta and ByteSize takes a row of sacct or squeue as it is meant, or
#   raises, as it does at 1-02:03:04 and 12+0.
# What happens: int takes the underscore of 4711_3 for one of Python's number literals: the job 47113. timedelta takes
#   squeue's 10:00 for ten hours, since it reads hours and minutes where Slurm writes minutes and seconds. ByteSize has
#   K, M, G, T in thousands: 7 % too little at 4G, 9 % at 1.50T. msgspec refuses the first two.
# Why it matters here: Such a model is how Python programs check what a command prints, and a row that passes counts as
#   checked. Our job_id is text (job_id_raw is the number), durations are seconds, memory is bytes, both as numbers.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pydantic==2.14.4' 'msgspec==0.23.0'

cd "$folder"
venv/bin/python - <<'END'
from datetime import timedelta

import msgspec
import pydantic

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

class Row(pydantic.BaseModel):
    job_id: int = 0
    elapsed: timedelta = timedelta()
    req_mem: pydantic.ByteSize = 0

def read(**fields):
    try:
        row = Row(**fields)
    except pydantic.ValidationError as error:
        return error.errors()[0]["type"]
    value = getattr(row, *fields)
    return int(value.total_seconds()) if isinstance(value, timedelta) else int(value)

def other(kind, text):
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        return "refused"

expect("pydantic, msgspec", [pydantic.VERSION, msgspec.__version__], ["2.14.4", "0.23.0"])
expect("job 4711", read(job_id="4711"), 4711)
expect("task 4711_3", read(job_id="4711_3"), 47113)
expect("component 12+0", read(job_id="12+0"), "int_parsing")
expect("two hours, 02:03:04", read(elapsed="02:03:04"), 7384)
expect("ten minutes, 10:00, in seconds", read(elapsed="10:00"), 36000)
expect("a day, 1-02:03:04", read(elapsed="1-02:03:04"), "time_delta_parsing")
expect("4G, 4294967296 bytes", read(req_mem="4G"), 4000000000)
expect("1.50T, 1649267441664 bytes", read(req_mem="1.50T"), 1500000000000)
expect("msgspec of 4711_3 and 10:00", [other(int, "4711_3"), other(timedelta, "10:00")], ["refused", "refused"])
END
