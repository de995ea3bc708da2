# Everything a newcomer needs is one command; `make help` lists them.
VENV ?= .venv
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do command -v $$python && break; done)
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# The exact versions of a green run: somebody else's new release cannot break ours overnight.
CONSTRAINTS = tests/constraints.txt
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint types golden bench clean prometheus

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## real data through a watched model until it drifts; metrics on http://127.0.0.1:9109/metrics
	@$(BIN)/driftgauge demo

test: $(VENV)/.test prometheus  ## the whole suite, a real Prometheus included
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: $(VENV)/.test  ## the suite without what is slow or needs a server
	$(BIN)/python -m pytest -m "not slow and not prometheus" $(PYTEST_ARGS)

lint: $(VENV)/.test types  ## style of every file, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## mypy --strict
	$(BIN)/mypy

golden: $(VENV)/.test  ## write the golden files anew; read the difference before committing it
	$(BIN)/python -m pytest --update-golden tests/exporter tests/cli tests/test_readme.py

bench: $(VENV)/.test  ## all benchmarks, against named peers in environments of their own (half an hour)
	$(PIP) install --group bench
	$(BIN)/python benchmarks/run.py

clean:  ## remove what these commands made
	rm -rf $(VENV) benchmarks/.envs .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "driftgauge needs Python 3.11 or newer and found none; install it, or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "driftgauge needs Python 3.11 or newer, got $$($(PYTHON) --version); say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'

$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "installing driftgauge into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	@echo "installing driftgauge and what its tests need into $(VENV)"
	@$(PIP) install --constraint $(CONSTRAINTS) --editable '.[all]' --group test --group lint
	@touch $@

# Debian's package would start a server on all interfaces; policy-rc.d forbids that for the moment of installing.
prometheus:
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing prometheus"; \
	    if [ ! -e /usr/sbin/policy-rc.d ]; then \
	        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; ours=1; \
	    fi; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null; status=$$?; \
	    [ -z "$$ours" ] || rm /usr/sbin/policy-rc.d; exit $$status; \
	else \
	    echo "no prometheus and promtool on the path: tests against a real server are skipped (fail when CI=true); on Debian and Ubuntu: apt-get install prometheus"; \
	fi
