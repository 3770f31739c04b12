#!/usr/bin/env bash
# Two of zstandard's ways to read a file give the first of two days, two others give both.
#
# Expected: cat monday.zst tuesday.zst is the lines of both days, as the format says and as zstd -dc,
#   backports.zstd and gzip do with theirs.
# What happens: decompress() and read_to_iter() end after the first frame, without a word of the rest; open()
#   and copy_stream() of the same package read on. backports.zstd, whose names are those of Python's own
#   module, reads both everywhere.
# Why it matters here: Rotated JSON-lines files are packed one by one and put together later; half of a month
#   is missing then, without an error. Read with open(), or with backports.zstd.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'zstandard==0.25.0' 'backports.zstd==1.8.0'

cd "$folder"
venv/bin/python - <<'END'
import io
from importlib.metadata import version

import zstandard
from backports import zstd

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

days = [b'{"job_id":"31","end":"2026-11-23T10:00:00Z"}\n', b'{"job_id":"32","end":"2026-11-24T10:00:00Z"}\n']
packed = b"".join(zstandard.ZstdCompressor().compress(day) for day in days)
with open("month.jsonl.zst", "wb") as file:
    file.write(packed)

for name, known in (("zstandard", "0.25.0"), ("backports.zstd", "1.8.0")):
    expect(name, version(name), known)
unpack = zstandard.ZstdDecompressor()
expect("zstandard, decompress(): lines", unpack.decompress(packed).count(b"\n"), 1)
expect("zstandard, read_to_iter(): lines", b"".join(unpack.read_to_iter(io.BytesIO(packed))).count(b"\n"), 1)
with zstandard.open("month.jsonl.zst", "rb") as file:
    expect("zstandard, open(): lines", file.read().count(b"\n"), 2)
copy = io.BytesIO()
unpack.copy_stream(io.BytesIO(packed), copy)
expect("zstandard, copy_stream(): lines", copy.getvalue().count(b"\n"), 2)
expect("backports.zstd, decompress(): lines", zstd.decompress(packed).count(b"\n"), 2)
with zstd.open("month.jsonl.zst") as file:
    expect("backports.zstd, open(): lines", file.read().count(b"\n"), 2)
END
