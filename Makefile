# The only door. `make` lists what there is; every target sets itself up.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
MEMBERS := $(sort $(wildcard libs/*) $(wildcard services/*)) cli
PYTHON ?= python3

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
