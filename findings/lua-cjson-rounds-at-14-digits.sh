#!/usr/bin/env bash
# lua-cjson writes numbers with 14 digits, and cannot be asked for more.
#
# Expected: Decoding a line and encoding it again, as a filter in Lua does that adds one field, keeps the values.
# What happens: 123456789012345 bytes come back as 1.2345678901234e+14, in silence, and Lua 5.4's own integers do
#   not help: every number is read as a float. encode_number_precision() refuses anything above 14. An empty
#   list comes back as {}, since Lua has one kind of table: `sacct --json` has many ("steps": []).
# Why it matters here: nginx, HAProxy and log shippers run Lua between us and a database. disk_read_bytes of a large
#   job is past 14 digits; the sums no longer match ours. Send the body untouched, and put additions into headers.
#   Our lines leave empty lists out, so that only sacct's own JSON changes its shape.
# Needs: Debian 12 with fetched package lists (apt-get update).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

fetch() {  # each Debian package into the temporary folder, nothing is installed
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$@")
    for package in "$folder"/*.deb; do dpkg -x "$package" "$folder"; rm "$package"; done
}

fetch lua5.4=5.4.4-3+deb12u1 liblua5.4-0=5.4.4-3+deb12u1 lua-cjson=2.1.0+dfsg-2.2
libraries=$folder/usr/lib/$(uname -m)-linux-gnu
lua() { LD_LIBRARY_PATH=$libraries LUA_CPATH_5_4="$libraries/lua/5.4/?.so" "$folder/usr/bin/lua5.4" -e "local json = require 'cjson' $1"; }
again() { lua "io.write(json.encode(json.decode('$1')))"; }

expect "version" "$(lua 'io.write(json._VERSION)')" "2.1.0"
expect "bytes read" "$(again '{"disk_read_bytes":123456789012345}')" '{"disk_read_bytes":1.2345678901234e+14}'
expect "with 16 digits" "$(lua 'io.write((select(2, pcall(json.encode_number_precision, 16)):match([[expected.*]])))')" \
    "expected integer between 1 and 14)"
expect "no start" "$(again '{"start":null}')" '{"start":null}'
expect "no steps" "$(again '{"steps":[]}')" '{"steps":{}}'
