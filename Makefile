SHELL := /bin/sh
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOB ?= jobs/demo.yaml
AT ?= 0 2 * * *
TO ?= output/ledger.csv
.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  JOB=jobs/x.yaml chooses another manifest (now: $(JOB))"

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fluxbatch needs Python 3.11 or later; name one with PYTHON=python3.x"; exit 78; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs,fast]'
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready ## Make the virtual environment

.PHONY: run
run: setup ## Run a manifest (the demo needs no key)
	$(BIN)/fluxbatch run $(JOB)

.PHONY: plan
plan: setup ## Say what a run would buy and cost; buys nothing
	$(BIN)/fluxbatch plan $(JOB)

.PHONY: init
init: setup ## Write a first manifest: make init JOB=mine.yaml
	$(BIN)/fluxbatch init $(JOB)

.PHONY: report
report: setup ## Write one page of pictures, costs and problems
	$(BIN)/fluxbatch report

.PHONY: watch
watch: setup ## Serve that page live, on this machine only
	$(BIN)/fluxbatch watch

.PHONY: status
status: setup ## Say what each manifest's runs have come to
	$(BIN)/fluxbatch status

.PHONY: verify
verify: setup ## Prove every picture and every sum against the ledger
	$(BIN)/fluxbatch ledger verify

.PHONY: export
export: setup ## Write the ledger, one row a job, to TO (output/ledger.csv)
	$(BIN)/fluxbatch ledger export --format csv --to "$(TO)"

.PHONY: simulate
simulate: setup ## Serve a make-believe provider, to try things with
	$(BIN)/fluxbatch simulate

.PHONY: doctor
doctor: setup ## Look at all that a run needs, without spending
	$(BIN)/fluxbatch doctor $(JOB)

.PHONY: cron
cron: setup ## Run a manifest each night at AT ("0 2 * * *"), by cron
	$(BIN)/fluxbatch cron install $(JOB) --at "$(AT)"

.PHONY: prune
prune: setup ## Say what output and ledger could do without
	$(BIN)/fluxbatch prune

.PHONY: wheel
wheel: setup ## Build an sdist and a wheel of it, install it apart and run the demo from it
	rm -rf build/wheel build/wheel-venv
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/pip install --quiet --disable-pip-version-check 'setuptools>=77'
	mkdir -p build/wheel && build/wheel-venv/bin/python -c 'from setuptools.build_meta import build_sdist; build_sdist("build/wheel")' >build/wheel/log 2>&1 || { cat build/wheel/log; exit 1; }
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel build/wheel/*.tar.gz
	$(BIN)/python -m tests.packages build/wheel/*.tar.gz build/wheel/*.whl
	build/wheel-venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt build/wheel/*.whl
	cd build/wheel && ../wheel-venv/bin/fluxbatch --version && ../wheel-venv/bin/python -W error -m pipeline init first.yaml && ../wheel-venv/bin/python -W error -m pipeline run first.yaml

.PHONY: check
check: setup ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .import_linter_cache

.PHONY: strace
strace:
	@command -v strace >/dev/null || [ "$$CI" != true ] || [ "$$(id -u)" != 0 ] || { apt-get update && apt-get install -y strace; } >/dev/null 2>&1 || echo "strace could not be installed: the tests that need it are skipped"

.PHONY: test
test: check strace ## Everything: check, then all tests with branch coverage
	$(BIN)/pytest -n 3 --dist worksteal --cov --cov-report=term

.PHONY: browser
browser: ## Install Debian's Chromium for the tests of the report, where that can be done
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
	  echo "no chromium here, and it cannot be installed: the tests in a browser are skipped"

.PHONY: docs
docs: setup ## Build the documents' site into build/site, and check its links
	$(BIN)/sphinx-build -q -E -a -W --keep-going -b html docs build/site
	$(BIN)/python -m tests.documents.links build/site

.PHONY: docs-reference
docs-reference: setup ## Write docs/reference anew from the code
	$(BIN)/python -m tests.documents.reference

.PHONY: parts
parts: ## Install the gateways and SDKs that tests/parts drives, apart, where that can be done
	@sh tests/parts/install.sh $(PYTHON)

.PHONY: torture
torture: setup strace ## The long versions of the tests of money and faults (hours)
	$(BIN)/pytest -n 2 --dist worksteal --torture tests/torture

.PHONY: bench
bench: setup ## Measure what the program costs, beside others, on this machine (minutes)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.scale

.PHONY: bench-pace
bench-pace: setup ## Hold the pace of buying against hidden limits
	$(BIN)/python -m benchmarks.pace

.PHONY: mutants
mutants: setup ## Break the code in known ways and see that the tests notice
	$(BIN)/python -m tests.mutants

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## Remove what was built; output/ stays
	rm -rf $(VENV) .parts .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist *.egg-info
