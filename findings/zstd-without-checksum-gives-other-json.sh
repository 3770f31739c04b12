#!/usr/bin/env bash
# A flipped bit in a zstd frame without checksum gives another valid JSON line in a third of the cases.
#
# Expected: A compressed body that was damaged on the disk is refused, or is garbage that no JSON reader
#   takes.
# What happens: zstandard and backports.zstd write no checksum by default. Of all flips of one bit in a body
#   that was compressed with a dictionary, a good third decompress to valid JSON with another user, node or
#   number, with zstandard; with write_checksum=True (4 bytes) none does.
# Why it matters here: A body of 800 bytes is 85 of them with a dictionary, nearly all copied from it, so a
#   bit chooses another word that fits. The store must keep the checksum; so must whoever packs our lines one
#   by one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'zstandard==0.25.0' 'backports.zstd==1.8.0'

cd "$folder"
venv/bin/python - <<'END'
import hashlib
import json
import random
from collections import Counter
from importlib.metadata import version

import zstandard
from backports import zstd

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

draw = random.Random(1)

def body(number):
    digest = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    first, last = draw.randint(1, 50), draw.randint(51, 99)
    event = {
        "id": digest, "event": "job_ended", "seq": number, "cluster": "alpha", "job_id": str(1000 + number),
        "user": draw.choice(["ann", "bob", "cem"]), "partition": draw.choice(["long", "gpu", "short"]),
        "elapsed_seconds": draw.randint(1, 90000), "node_list": f"n[{first}-{last}]",
    }
    return json.dumps(event).encode()

def outcome(frame, text):
    try:
        seen = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(frame)
        json.loads(seen)
    except zstandard.ZstdError:
        return "refused"
    except ValueError:
        return "garbage"
    return "same" if seen == text else "other JSON"

def flips(frame, text):
    counts = Counter()
    for bit in range(48, 8 * len(frame)):  # the frame's header, 6 bytes, apart
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        counts[outcome(bytes(damaged), text)] += 1
    return counts

bodies = [body(number) for number in range(3000)]
dictionary = zstandard.train_dictionary(16384, bodies[:-1])
text = bodies[-1]
for name, known in (("zstandard", "0.25.0"), ("backports.zstd", "1.8.0")):
    expect(name, version(name), known)
plain = zstandard.ZstdCompressor(dict_data=dictionary).compress(text)
checked = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True).compress(text)
other = zstd.compress(text, zstd_dict=zstd.ZstdDict(dictionary.as_bytes()))
has_checksum = [zstandard.get_frame_parameters(frame).has_checksum for frame in (plain, other, checked)]
expect("checksum in zstandard, in backports.zstd, when asked for", has_checksum, [False, False, True])
print("one bit flipped, without checksum:", dict(flips(plain, text)))
print("one bit flipped, with checksum:", dict(flips(checked, text)))
seen = flips(plain, text)
expect("more than a fifth are other valid JSON", seen["other JSON"] > sum(seen.values()) / 5, True)
expect("other JSON with a checksum", flips(checked, text)["other JSON"], 0)
END
