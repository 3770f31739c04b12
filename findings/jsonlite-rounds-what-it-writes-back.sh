#!/usr/bin/env bash
# jsonlite of R writes JSON lines back with five digits behind the point, fifteen in all, and without `"start": null`.
#
# Expected: stream_in() and stream_out() are each other's inverse, as its manual shows them: a file that was filtered in
#   R has the numbers of the lines it was made of.
# What happens: stream_out() writes 0.0000123456 as 0.00001, and toJSON(), with four digits, as 0; 1234567890123456
#   becomes 1.23456789012346e+15, and a null is left out. With digits = NA it keeps fifteen digits of each number. A
#   column of texts that are all `NaN`, `Inf` or `NA` (one user's file) becomes numbers, or no values.
# Why it matters here: Shares (cpu_efficiency of a job that waits) and sums of bytes or joules are such numbers, and a
#   later reader finds no trace of it. Filter with jq or duckdb, or keep the `id`s and take their lines from the file.
# Needs: Debian 12 with fetched package lists (apt-get update), with libicu72, libreadline8 and libtirpc3 installed.
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

fetch r-base-core=4.2.2.20221110-2 r-cran-jsonlite=1.8.4+dfsg-1 libblas3=3.11.0-2
cd "$folder"
ln -sf /dev/null usr/lib/R/etc/Renviron
run_r() {  # an expression, with jsonlite loaded
    R_HOME=$folder/usr/lib/R R_DEFAULT_PACKAGES=methods R_LIBS=$folder/usr/lib/R/site-library \
        LD_LIBRARY_PATH=$folder/usr/lib/R/lib:$folder/usr/lib/x86_64-linux-gnu/blas \
        usr/lib/R/bin/exec/R --no-echo --no-restore --vanilla -e "library(jsonlite)" -e "$1" 2>/dev/null
}
printf '%s\n' '{"id":"a","start":null,"share":0.0000123456,"bytes":1234567890123456}' \
    '{"id":"b","start":"2026-11-23T10:00:00Z","share":0.5,"bytes":4096}' >jobs.jsonl

expect "version of jsonlite" "$(run_r 'cat(getNamespaceVersion("jsonlite"))')" 1.8.4
read='d <- stream_in(file("jobs.jsonl"), verbose=FALSE)'
expect "read" "$(run_r "$read; cat(d\$share[1] * 1e10, format(d\$bytes[1], digits=16))")" "123456 1234567890123456"
expect "stream_out" "$(run_r "$read; stream_out(d[1, ], stdout(), verbose=FALSE)")" \
    '{"id":"a","share":0.00001,"bytes":1.23456789012346e+15}'
expect "toJSON" "$(run_r "$read; cat(toJSON(d[1, ]))")" '[{"id":"a","share":0,"bytes":1.23456789012346e+15}]'
expect "digits = NA" "$(run_r "$read; cat(toJSON(d[1, ], digits=NA))")" \
    '[{"id":"a","share":1.23456e-05,"bytes":1.23456789012346e+15}]'
users() { run_r "cat(class(fromJSON('[{\"user\": \"$1\"}, {\"user\": \"$2\"}]')\$user))"; }
expect "users NaN and ada" "$(users NaN ada)" character
expect "users NaN and NaN" "$(users NaN NaN)" numeric
expect "users NA and NA" "$(users NA NA)" logical
