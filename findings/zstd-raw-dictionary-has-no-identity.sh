#!/usr/bin/env bash
# zstd opens a body with the wrong dictionary, and gives another job, where the dictionary is plain content.
#
# Expected: A body that was compressed with one dictionary is refused with another: 'Dictionary mismatch'.
# What happens: That holds for trained dictionaries, which have an id of their own. Plain content, the first
#   lines of a file say, works nearly as well as a dictionary, but its id is 0, which means none: the wrong
#   one is taken, and a mix of two jobs comes out, without an error.
# Why it matters here: A store renews its dictionary as fields change, so several live side by side. Train
#   them, and keep the frame's checksum, which refuses the mix.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'zstandard==0.25.0'

cd "$folder"
venv/bin/python - <<'END'
import json
from importlib.metadata import version

import zstandard
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdCompressor, ZstdDecompressor, ZstdError

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def line(number, user):
    return json.dumps({"event": "job_ended", "cluster": "alpha", "job_id": str(number), "user": user, "partition": "long"}).encode()

def read(frame, dictionary):
    try:
        return ZstdDecompressor(dict_data=dictionary).decompress(frame)
    except ZstdError as error:
        return str(error)

old = [line(number, "ann") for number in range(1000, 1400)]
new = [line(number, "bob") for number in range(5000, 5400)]
text = line(1399, "ann")

expect("version", version("zstandard"), "0.25.0")
trained = [zstandard.train_dictionary(4096, lines) for lines in (old, new)]
frame = ZstdCompressor(dict_data=trained[0]).compress(text)
expect("trained: has an id", zstandard.get_frame_parameters(frame).dict_id > 0, True)
expect("trained: read with the other", read(frame, trained[1]), "decompression error: Dictionary mismatch")

plain = [ZstdCompressionDict(b"".join(lines), dict_type=DICT_TYPE_RAWCONTENT) for lines in (old, new)]
frame = ZstdCompressor(dict_data=plain[0]).compress(text)
expect("plain: id", zstandard.get_frame_parameters(frame).dict_id, 0)
expect("plain: read with its own", read(frame, plain[0]), text)
seen = read(frame, plain[1])
print("plain: read with the other:", seen)
expect("plain: the other gives bytes of the same length, and another user", (len(seen) == len(text), b'"bob"' in seen), (True, True))
frame = ZstdCompressor(dict_data=plain[0], write_checksum=True).compress(text)
expect("plain, with checksum: read with the other", read(frame, plain[1]), "decompression error: Restored data doesn't match checksum")
END
