#!/usr/bin/env bash
# prometheus-query of npm reads Prometheus's infinity as NaN.
#
# Expected: A sample of +Inf is Infinity, of -Inf -Infinity: numbers that JavaScript has and that compare.
# What happens: The values are texts in Prometheus's answer, and parseFloat reads them, which knows no "+Inf" and no
#   "-Inf". Both come as NaN, like the answer to 0 / 0. NaN > 10 is false. The bound "+Inf" of a histogram is a label,
#   and stays. A scalar is the bare pair of time and text, no value object.
# Why it matters here: Prometheus divides by zero without an error: jobs waiting for each idle node are +Inf just when
#   no node is idle, and an alert in Node.js that compares with a limit is silent then. Compare in PromQL
#   (waiting / idle > bool 10), which answers 1 or 0.
# Needs: Debian 12 with fetched package lists (apt-get update), Node.js 20 or newer with npm, the npm registry, and curl.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund prometheus-query@3.5.1 >/dev/null
apt-get -qq -o APT::Sandbox::User=root download prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb .
echo 'scrape_configs: []' >prometheus.yml
address=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="$address" 2>log &
trap 'kill $!; wait $! || true; rm -rf "$folder"' EXIT
curl --silent --fail --retry 50 --retry-all-errors --retry-delay 1 --max-time 60 --output ready "http://$address/-/ready"

cat >query.mjs <<'END'
import client from "prometheus-query";
const [endpoint, query] = process.argv.slice(2);
const answer = await new client.PrometheusDriver({ endpoint }).instantQuery(query, 1795423566000);
if (answer.resultType === "scalar") console.log(JSON.stringify(answer.result));
else console.log(answer.result.map(({ value }) => `${value.value} ${value.value > 10}`).join("\n"));
END
query() { node query.mjs "http://$address" "$1"; }
prometheus() {
    curl --silent --get --data-urlencode "query=$1" --data time=1795423566 "http://$address/api/v1/query" |
        sed 's/.*"result":\(.*\)}}/\1/'
}

expect "version" "$(node -p 'require("./node_modules/prometheus-query/package.json").version')" "3.5.1"
echo "value, and whether it is above 10"
expect "40 waiting jobs / 2 idle nodes" "$(query 'vector(40) / vector(2)')" "20 true"
expect "40 waiting jobs / 0 idle nodes" "$(query 'vector(40) / vector(0)')" "NaN false"
expect "in Prometheus's own words" "$(prometheus 'vector(40) / vector(0)')" '[{"metric":{},"value":[1795423566,"+Inf"]}]'
expect "-40 / 0" "$(query 'vector(-40) / vector(0)')" "NaN false"
expect "0 / 0" "$(query 'vector(0) / vector(0)')" "NaN false"
expect "above 10 in PromQL, 1 for yes" "$(query 'vector(40) / vector(0) > bool 10')" "1 false"
expect "a scalar" "$(query 'scalar(vector(40))')" '[1795423566,"40"]'
