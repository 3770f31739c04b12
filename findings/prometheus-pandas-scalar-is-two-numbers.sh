#!/usr/bin/env bash
# prometheus-pandas takes a scalar's time for a part of its value.
#
# Expected: A query that answers a scalar gives one number, numpy.float64, as the signature of query() says.
# What happens: Prometheus answers [time, "42"]. The whole pair goes into numpy.float64, which makes an array of two of
#   it, the time in front. Nothing is raised: twice the answer is an array too, and its sum is a number of the size of
#   an epoch, 1.8e9. A query that answers a string gives the pair as well. Vectors are right.
# Why it matters here: scalar(sum(slurmwatchd_jobs_ended_total)) is the obvious way to the jobs of all partitions in
#   one number. Ask for the vector, sum(slurmwatchd_jobs_ended_total), and take its only value.
# Needs: Debian 12 with fetched package lists (apt-get update), and curl.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'prometheus-pandas==0.3.3' 'pandas==3.1.1' \
    'requests==2.34.2'

cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb .
echo 'scrape_configs: []' >prometheus.yml
address=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="$address" 2>log &
trap 'kill $!; wait $! || true; rm -rf "$folder"' EXIT
curl --silent --fail --retry 50 --retry-all-errors --retry-delay 1 --max-time 60 --output ready "http://$address/-/ready"

venv/bin/python - "http://$address" <<'END'
import sys
from importlib.metadata import version

from prometheus_pandas.query import Prometheus

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

AT = 1795423566
with Prometheus(sys.argv[1]) as prometheus:
    vector = prometheus.query("vector(42)", time=AT)
    scalar = prometheus.query("scalar(vector(42))", time=AT)
    text = prometheus.query('"alpha"', time=AT)

expect("version", version("prometheus-pandas"), "0.3.3")
expect("vector(42)", vector.tolist(), [42.0])
expect("scalar(vector(42))", scalar.tolist(), [1795423566.0, 42.0])
expect("the type that the signature names", prometheus.query.__annotations__["return"].__args__[2].__name__, "float64")
expect("the type that it is", type(scalar).__name__, "ndarray")
expect("sum of the answer", float(scalar.sum()), 1795423608.0)
expect("a string", text, [AT, "alpha"])
END
