# The targets a person needs. Each sets up what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help setup run test check fmt soak bench lock news clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(VENV)/.runtime ## Install prow-async into .venv (the program is .venv/bin/prow-async)

run: $(VENV)/.runtime ## Run one job's whole life on the embedded default, then exit
	@$(BIN)/prow-async demo

test: $(VENV)/.dev ## Run all tests, those on the real kube-apiserver included
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests

check: $(VENV)/.dev ## Format, lint, types, layers, spelling and the architecture's rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell prow_async tests bench docs deploy README.md CONTRIBUTING.md
	$(BIN)/python -m pytest -q tests/arch

fmt: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(VENV)/.dev ## Long seeded fault runs and kill runs
	$(BIN)/python -m pytest -q -n 3 tests/soak --soak

bench: $(VENV)/.dev ## Measure on the real kube-apiserver, each figure beside the bare loop's
	$(BIN)/python -m bench

lock: $(VENV)/.dev ## Resolve pyproject.toml into the lock files anew
	requirements/compile.sh

news: $(VENV)/.dev ## Show the changelog that the fragments in docs/news make
	$(BIN)/towncrier build --draft --version unreleased

clean: ## Remove the virtual environment and the caches of the tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "prow-async needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@
