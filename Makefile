# Everything a newcomer needs is one command; `make help` lists them. VENV and PYTHON are settings.
VENV ?= .venv
USABLE = import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do $$python -c '$(USABLE)' 2>/dev/null && echo $$python && break; done)
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# The exact versions of a green run: somebody else's new release cannot break ours overnight.
CONSTRAINTS = tests/constraints.txt
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint types golden bench pins clean services

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## real data through a watched model until it drifts; metrics on http://127.0.0.1:9109/metrics
	@$(BIN)/driftgauge demo

test: $(VENV)/.test services  ## the whole suite, a real Prometheus included
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: $(VENV)/.test  ## the suite without what is slow or needs a server
	$(BIN)/python -m pytest -m "not slow and not prometheus" $(PYTEST_ARGS)

lint: $(VENV)/.test types  ## style of every file, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## mypy --strict
	$(BIN)/mypy

golden: $(VENV)/.test  ## write the golden files anew; read the difference before committing it
	$(BIN)/python -m pytest --update-golden tests/exporter/test_prometheus_text.py tests/cli tests/test_readme.py

bench: $(VENV)/.test  ## all benchmarks, against named peers in environments of their own (half an hour)
	$(PIP) install --constraint $(CONSTRAINTS) --group bench
	$(BIN)/python benchmarks/run.py

pins:  ## newest versions of everything into tests/constraints.txt; run the suite before committing them
	rm -rf $(VENV) && : >$(CONSTRAINTS)
	@$(MAKE) --no-print-directory $(VENV)/.test
	$(PIP) install --group bench
	{ echo '# Exact versions of a green run; written by `make pins`, do not edit.'; \
	  $(PIP) freeze --all --exclude-editable | grep -v '^setuptools=='; } >$(CONSTRAINTS).new
	mv $(CONSTRAINTS).new $(CONSTRAINTS)

clean:  ## remove what these commands made
	rm -rf $(VENV) benchmarks/.envs .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	    echo "driftgauge needs Python 3.11 or newer that can make virtual environments, and found none."; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv. Or say make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c '$(USABLE)' || { \
	    echo "$(PYTHON) is $$($(PYTHON) --version 2>&1): driftgauge needs Python 3.11 or newer, with venv and ensurepip"; \
	    echo "(on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "installing driftgauge into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	@echo "installing driftgauge and what its tests need into $(VENV)"
	@$(PIP) install --constraint $(CONSTRAINTS) --upgrade 'pip>=25.1'
	@$(PIP) install --constraint $(CONSTRAINTS) --editable '.[all]' --group test --group lint
	@touch $@

# Debian's package would start a server on all interfaces; policy-rc.d forbids that for the moment of installing.
services:
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null && command -v openssl >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing prometheus and openssl"; \
	    if [ ! -e /usr/sbin/policy-rc.d ]; then \
	        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; ours=1; \
	    fi; \
	    apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus openssl >/dev/null; \
	    status=$$?; [ -z "$$ours" ] || rm /usr/sbin/policy-rc.d; exit $$status; \
	else \
	    echo "without prometheus, promtool and openssl on the path the tests that need them are skipped, and fail"; \
	    echo "when CI=true; on Debian and Ubuntu: apt-get install prometheus openssl"; \
	fi
