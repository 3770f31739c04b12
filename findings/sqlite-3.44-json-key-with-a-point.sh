#!/usr/bin/env bash
# SQLite up to 3.44 answers NULL for a GPU type whose name has a point.
#
# Expected: `alloc_tres ->> 'gres/gpu:a100_1g.5gb'` takes the right side as a key, as the manual says of a
#   text that does not begin with $.
# What happens: Up to 3.44 the text is put into a path without quotes, so the point parts it: NULL, no error,
#   while gres/gpu:a100 works. From 3.45 on it is right. The key in quotes, '$."..."', works in both.
# Why it matters here: sum() over MIG slices is NULL or too small on Debian 12, which has 3.40, and right on a
#   newer machine. The recipe quotes.
# Needs: python3 3.11 with venv, and PyPI.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for version in 3.44.2.0 3.45.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "apsw==$version"
    "$folder/$version/bin/python" - <<'END'
import apsw

def expect(what, seen, known):
    print(f"SQLite {version}, {what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

version = apsw.sqlitelibversion()
TRES = '{"cpu":48,"gres/gpu:a100":4,"gres/gpu:a100_1g.5gb":2}'

def ask(key):
    return apsw.Connection(":memory:").execute("SELECT ? ->> ?", (TRES, key)).fetchone()[0]

expect("a type without a point", ask("gres/gpu:a100"), 4)
expect("a type with a point", ask("gres/gpu:a100_1g.5gb"), None if version == "3.44.2" else 2)
expect("the same, as a quoted path", ask('$."gres/gpu:a100_1g.5gb"'), 2)
END
done
