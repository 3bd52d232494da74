# The only door. `make` lists what there is; every target sets itself up.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
MEMBERS := $(sort $(wildcard libs/*) $(wildcard services/*)) cli
PYTHON ?= python3
# Registries behind an inspecting proxy are trusted as the machine trusts them.
export UV_SYSTEM_CERTS := 1

.PHONY: help
help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

# --- set-up -----------------------------------------------------------------
$(VENV)/.ready: requirements.lock requirements-uv.lock $(MEMBERS:%=%/pyproject.toml)
	@echo "setup: Python environment in $(VENV) from requirements.lock (about 20 s with an empty cache)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install -q --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install -q --no-deps $(MEMBERS:%=-e ./%)
	@touch $@

.PHONY: setup lock
setup: $(VENV)/.ready ## make .venv at the root, with .venv/bin/knarr

lock: setup ## resolve the dependencies again into requirements.lock (hashes, no addresses)
	$(UV) lock -q --upgrade
	$(MAKE) export-lock

.PHONY: export-lock
export-lock:
	$(UV) lock -q
	$(UV) export -q --frozen --all-packages --all-groups --no-emit-workspace --no-annotate --no-header -o requirements.lock >/dev/null
	@sed -n '/^uv==/,/^[^ ]/p' requirements.lock | sed '$${/^uv==/!{/^ /!d}}' > requirements-uv.lock

# --- lanes ------------------------------------------------------------------
.PHONY: proto
proto: setup ## generate the wire code and the values of libs/pipeline
	$(PY) proto/generate.py

PYTEST := $(PY) -m pytest
# Tests mostly wait for servers, so more workers than cores; a file's tests stay together, with the servers they share.
WORKERS ?= 3
PARALLEL := -n $(WORKERS) --dist loadfile

.PHONY: lint types arch unit it pipeline test
lint: setup ## ruff, formatting, buf, generated code, lock (needs nothing)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check -q .
	cd proto && ../$(VENV)/bin/buf lint && ../$(VENV)/bin/buf breaking --against released.binpb
	$(PY) proto/generate.py --check
	$(PY) docs/generate_errors.py --check

types: setup ## mypy, strict, tests included (needs nothing)
	MYPYPATH=benchmarks $(VENV)/bin/mypy $(MEMBERS) tests benchmarks proto/generate.py docs/generate_errors.py conftest.py

arch: setup ## the layers and the agent's closure (needs nothing)
	$(VENV)/bin/lint-imports --no-cache
	$(PYTEST) tests/repository

unit: setup ## pure logic and flows over checked fakes (needs nothing)
	$(PYTEST) $(PARALLEL) $(wildcard $(MEMBERS:%=%/tests/unit))

it: setup kube helm registry ## adapters and charts against real NATS, PostgreSQL, Git, Kubernetes, helm (built on first use)
	$(PYTEST) $(PARALLEL) $(wildcard $(MEMBERS:%=%/tests/integration) $(MEMBERS:%=%/tests/golden)) tests/charts

.PHONY: charts
charts: setup kube helm ## the agent's chart on a real API server (also part of `it`)
	$(PYTEST) tests/charts

pipeline: setup kube jaeger ## the whole, as real processes (builds Kubernetes and Jaeger on first use)
	$(PYTEST) $(PARALLEL) tests/pipeline tests/faults tests/attacks tests/skew

test: lint types arch unit it pipeline ## every lane

# --- looking at it ------------------------------------------------------------
.PHONY: docs
docs: setup ## write docs/errors/ from the catalogue
	$(PY) docs/generate_errors.py

.PHONY: demo
demo: setup ## the main job, shown on this machine until Ctrl-C [CLUSTERS=real] [ONCE=1]
	@$(VENV)/bin/knarr demo $(if $(filter real,$(CLUSTERS)),--real) $(if $(ONCE),--once)

.PHONY: fuzz
fuzz: setup ## property tests of every parser of foreign input, with many more examples (bounded)
	KNARR_FUZZ_EXAMPLES=$(or $(EXAMPLES),3000) $(PYTEST) $(PARALLEL) --timeout 3600 services/renderer/tests/unit/test_hostile_input.py services/fetcher/tests/unit

.PHONY: mutants
mutants: setup ## put faults into guard, window and approvals, one at a time: which does no test find? (about 10 min)
	$(PY) tests/mutants.py

.PHONY: bench
bench: setup ## every measurement, and benchmarks/RESULTS.md (about 12 min)
	$(PY) benchmarks/results.py

bench-%: setup ## one measurement of benchmarks/, e.g. bench-latency; ends with one line of JSON
	@$(PY) benchmarks/$*.py

include deploy/local/local.mk
