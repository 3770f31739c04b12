#!/usr/bin/env bash
# Four libraries that follow a growing file break a letter, or hand on half a line, when they read while it is written.
#
# Expected: They keep the bytes that have come of a line until its line feed is there, and then hand on what was
#   written.
# What happens: tail, always-tail and tail-file of npm wait for the line feed, but decode each piece for itself: where a
#   piece ends between the two bytes of `Å`, the line has two U+FFFD in its place. It is valid JSON, and the name of
#   another job. pygtail of PyPI hands on `{"id":"b","na` as a line and the rest as the next, unless full_lines is set,
#   and a cut within a letter is a UnicodeDecodeError.
# Why it matters here: The file grows by up to megabytes in one write, and a reader sees any part of it. Take a reader
#   that splits bytes at line feeds, `slurmwatchd tail --json` or an HTTP stream; pygtail with full_lines=True.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund tail@2.2.6 always-tail@0.2.0 tail-file@1.4.16 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pygtail==0.14.0

cat >follow.js <<'END'
const fs = require("fs");
const follower = process.argv[2];
const file = `${follower}.jsonl`;
fs.writeFileSync(file, "");
const seen = (line) => { console.log(line); process.exit(); };
if (follower === "tail") new (require("tail").Tail)(file).on("line", seen);
if (follower === "tail-file") new (require("tail-file"))(file, seen);
if (follower === "always-tail") {
    const tail = new (require("always-tail"))(file, "\n", {interval: 50});
    tail.on("line", seen);
    tail.watch();
}
const line = Buffer.from('{"id":"a","name":"Ångström"}\n');
const cut = line.indexOf("Å") + 1;
setTimeout(() => fs.appendFileSync(file, line.subarray(0, cut)), 1000);
setTimeout(() => fs.appendFileSync(file, line.subarray(cut)), 4000);
setTimeout(() => process.exit(1), 20000);
END
for follower in tail always-tail tail-file; do
    expect "$follower, version" "$(node -p "require('./node_modules/$follower/package.json').version")" \
        "$(case $follower in tail) echo 2.2.6;; always-tail) echo 0.2.0;; *) echo 1.4.16;; esac)"
    expect "$follower" "$(node follow.js "$follower")" '{"id":"a","name":"��ngström"}'
done
venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from pygtail import Pygtail

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def read(file, **options):
    try:
        return list(Pygtail(file, **options))
    except UnicodeDecodeError:
        return "UnicodeDecodeError"

def written(name, *pieces, **options):
    file = Path(name)
    for piece in pieces:
        with file.open("ab") as target:
            target.write(piece)
        yield read(name, **options)

expect("pygtail, version", version("pygtail"), "0.14.0")
halves = (b'{"id":"a"}\n{"id":"b","na', b'me":"x"}\n')
expect("pygtail", [*written("plain", *halves)], [['{"id":"a"}\n', '{"id":"b","na'], ['me":"x"}\n']])
expect("full_lines", [*written("full", *halves, full_lines=True)], [['{"id":"a"}\n'], ['{"id":"b","name":"x"}\n']])
letter = "Å".encode()
expect("cut in a letter", [*written("cut", b'{"name":"' + letter[:1])], ["UnicodeDecodeError"])
END
