#!/usr/bin/env bash
# syslog-ng's format-json puts one GPU type inside another, makes every value text and cuts large numbers.
#
# Expected: json-parser followed by $(format-json) gives the line that came in, perhaps in another order.
# What happens: Keys are split at points, so gres/gpu:a100_1g.5gb becomes a part of gres/gpu:a100_1g; numbers
#   become text, the list of nodes one text with commas, null an empty text; an integer above 2^63 becomes
#   9223372036854775807.
# Why it matters here: A store behind syslog-ng that indexes the result has other types and other TRES than a
#   shipper that passes the line on. Send $MSG untouched, and parse at the other end.
# Needs: Debian 12 with fetched package lists (apt-get update), and python3.
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

fetch syslog-ng-core=3.38.1-5+deb12u1 libivykis0=0.42.4-1 libjson-c5=0.16-2 libnet1=1.1.6+dfsg-3.2 libpcre3=2:8.39-15 libwrap0=7.6.q-32
machine=$(uname -m)
export LD_LIBRARY_PATH="$folder/usr/lib/$machine-linux-gnu:$folder/usr/lib/syslog-ng:$folder/lib/$machine-linux-gnu"
modules=$(dirname "$folder"/usr/lib/syslog-ng/*/libaffile.so)
cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"31","job_id_raw":31,"start":null,"nodes":["n1","n2"],"alloc_tres":{"cpu":2,"gres/gpu:a100_1g":4,"gres/gpu:a100_1g.5gb":2},"x":18446744073709551615}
END
cat >"$folder/conf" <<END
@version: 3.38
source jobs { file("$folder/jobs.jsonl" flags(no-parse)); };
destination same { file("$folder/same" template("\$MSG\n")); };
destination again { file("$folder/again" template("\$(format-json --key job.* --shift-levels 1)\n")); };
parser parse { json-parser(prefix("job.")); };
log { source(jobs); destination(same); parser(parse); destination(again); };
END
syslog=("$folder/usr/sbin/syslog-ng" --module-path="$modules" -f "$folder/conf" -R "$folder/state" -c "$folder/control" -p "$folder/pid")
"${syslog[@]}" -F --no-caps 2>"$folder/said" &
process=$!
for _ in $(seq 100); do [[ -s $folder/again && -s $folder/same ]] && break; sleep 0.1; done
kill "$process"
wait "$process" || true
field() { python3 -c 'import json, sys; print(json.dumps(json.loads(open(sys.argv[1]).read())[sys.argv[2]]))' "$folder/again" "$1"; }

expect "version" "$("${syslog[@]}" --version | head -1)" "syslog-ng 3 (3.38.1)"
expect "\$MSG, the same as the line" "$(cmp "$folder/same" "$folder/jobs.jsonl" && echo yes)" yes
expect "job_id_raw" "$(field job_id_raw)" '"31"'
expect "start" "$(field start)" '""'
expect "nodes" "$(field nodes)" '"n1,n2"'
expect "x" "$(field x)" '"9223372036854775807"'
expect "alloc_tres" "$(field alloc_tres)" '{"gres/gpu:a100_1g": {"5gb": "2", "gres/gpu:a100_1g": "4"}, "cpu": "2"}'
