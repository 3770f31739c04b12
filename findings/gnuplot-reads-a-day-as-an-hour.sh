#!/usr/bin/env bash
# gnuplot reads a day of Slurm as one hour, and 4G as 4.
#
# Expected: Columns of `sacct -P` are plotted with gnuplot's own formats for times of any length (%tH:%tM:%tS), and what
#   it cannot read is left out as invalid.
# What happens: 1-02:03:04 is 3,600 s: the 1 is taken for hours and the rest is dropped. With the format for days,
#   %d-%H:%M:%S, it is two hours, as %d is a day of the month and the first one counts nothing. A column of sizes is
#   read up to the unit, so that 4G is below 900M. `stats` counts no record as invalid, and no warning is printed.
# Why it matters here: Nothing is missing in such a plot; the longest jobs are among its shortest. Plot our _seconds and
#   _bytes fields, as `slurmwatchd export` writes them.
# Needs: Debian 12 with fetched package lists (apt-get update), and libgd3 and libpangocairo-1.0-0 installed.
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

fetch gnuplot-nox=5.4.4+dfsg1-2+b2 gnuplot-data=5.4.4+dfsg1-2 liblua5.4-0=5.4.4-3+deb12u1
cd "$folder"
printf '%s\n' 'JobID|Elapsed|ReqMem' '4711_3|00:10:00|4G' '4712|1-02:03:04|900M' '4713|10-00:00:00|1.50T' >jobs.txt
gnuplot() { LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu "$folder/usr/bin/gnuplot-nox" "$@" 2>&1; }
plotted() {  # what gnuplot plots for these columns, from the second line on
    printf 'set datafile separator "|"\nset table "points"\nplot "jobs.txt" skip 1 using %s with table\n' "$1" >script
    gnuplot script
    tr -s ' \t\n' ' ' <points
}
read_as() {  # the format, and the text
    printf 'set print "-"\nprint sprintf("%%.0f", strptime("%s", "%s"))\n' "$1" "$2" >script
    gnuplot script
}

expect "version" "$(gnuplot --version)" "gnuplot 5.4 patchlevel 4"
expect "26:03:04 as %tH:%tM:%tS" "$(read_as %tH:%tM:%tS 26:03:04)" 93784
expect "1-02:03:04 as %tH:%tM:%tS" "$(read_as %tH:%tM:%tS 1-02:03:04)" 3600
expect "1-02:03:04 as %d-%H:%M:%S" "$(read_as %d-%H:%M:%S 1-02:03:04)" 7384
expect "Elapsed" "$(plotted '0:(strptime("%tH:%tM:%tS", strcol(2)))')" " 0 600 1 3600 2 36000 "
expect "ReqMem" "$(plotted 1:3)" " 4711 4 4712 900 4713 1.5 "
printf 'set datafile separator "|"\nset print "-"\nstats "jobs.txt" skip 1 using 3 nooutput\n%s\n' \
    'print STATS_records, STATS_invalid, STATS_sum' >script
expect "records, invalid, sum of ReqMem" "$(gnuplot script)" "3 0 905.5"
