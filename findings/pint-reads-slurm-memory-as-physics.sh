#!/usr/bin/env bash
# pint reads sacct's 1024K as kelvin, 4G as gauss and 65536 bytes as 8 KiB.
#
# Expected: A library of units that knows bytes reads the sizes of sacct, or refuses a bare K, M, G or T.
# What happens: The letters are valid units of other quantities: kelvin, molar, gauss, tesla. A sum over them
#   is a valid quantity too. A size without a letter is dimensionless, pint counts bits as dimensionless, so
#   converting it to bytes divides by eight.
# Why it matters here: MaxRSS and ReqMem carry these letters (4Gn and 4Gc in older releases); the
#   daemon's fields end in _bytes and are plain integers, which must be multiplied by the unit, not converted
#   to it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pint==0.25.3'

cd "$folder"
venv/bin/python - <<'END'
import pint

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

units = pint.UnitRegistry()

expect("version", pint.__version__, "0.25.3")
for text, known in (("1024K", "1024 kelvin"), ("4000M", "4000 molar"), ("4G", "4 gauss"), ("2T", "2 tesla")):
    expect(text, str(units(text)), known)
expect("MaxRSS of two steps, added", str(units("1024K") + units("5820K")), "6844 kelvin")
expect("65536 to bytes", str(units("65536").to("byte")), "8192.0 byte")
expect("65536 times the unit", str(65536 * units.byte), "65536 byte")
END
