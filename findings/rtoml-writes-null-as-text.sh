#!/usr/bin/env bash
# rtoml writes None as the text "null".
#
# Expected: TOML has no null: a writer leaves the key out (toml) or refuses (tomli-w, tomlkit).
# What happens: retain = "null", a text, unless dumps() is called with none_value=None. rtoml itself reads it back as
#   a text as well, and so does every other reader.
# Why it matters here: Configurations are made from templates and inventories, where what is not set is None.
#   `slurmwatchd check` refuses "null" where a duration or a number stands; where a text stands, as in the path of a
#   file or the name of a cluster, null is a good text.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'rtoml==0.14.0' 'toml==0.10.2' 'tomli-w==1.2.0' 'tomlkit==0.15.2'

cd "$folder"
venv/bin/python - <<'END'
import tomllib
from importlib.metadata import version

import rtoml
import toml
import tomli_w
import tomlkit

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

CONFIG = {"store": {"retain": None, "path": "/var/lib/slurmwatchd/store.db"}}

def written(writer, **options):
    try:
        return tomllib.loads(writer.dumps(CONFIG, **options))["store"].get("retain", "left out")
    except (TypeError, tomlkit.exceptions.ConvertError) as error:
        return type(error).__name__

expect("version", version("rtoml"), "0.14.0")
expect("rtoml", written(rtoml), "null")
expect("rtoml, read by itself", rtoml.loads(rtoml.dumps(CONFIG))["store"]["retain"], "null")
expect("rtoml, none_value=None", written(rtoml, none_value=None), "left out")
expect("toml 0.10.2", written(toml), "left out")
expect("tomli-w 1.2.0", written(tomli_w), "TypeError")
expect("tomlkit 0.15.2", written(tomlkit), "ConvertError")
END
