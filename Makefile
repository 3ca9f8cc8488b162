# Each target installs what it lacks. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
NEXT   := .venv-next
# Real processes: started, killed, signed in anew, with TLS.
NEXT_E2E := $(addprefix tests/e2e/test_,serve.py killed.py rotation.py tls.py cli.py)
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help install run check test test-fast test-next test-failover sdks tools fuzz bench clean lock

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements-dev.lock
$(NEXT)/.installed: requirements-next.lock
%/.installed: pyproject.toml
	@test -x $*/bin/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "crm needs Python 3.11 or later; set PYTHON=python3.11")'
	@test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(filter %.lock,$^)
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: $(STAMP)  ## make .venv with everything the other targets need

run: $(STAMP)  ## start MongoDB and the API with sample data: make run ARGS="--port 8001"
	@$(BIN)/crm demo $(ARGS)

check: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP)  ## every test, with branch coverage
	-@$(BIN)/python -m tests.e2e.sdks.install
	$(BIN)/python -m tests.run $(ARGS)

test-fast: $(STAMP)  ## the tests that need no server
	$(BIN)/pytest -m fast -n 2 $(ARGS)

test-next: $(NEXT)/.installed  ## the tests on Beanie 2 and PyMongo Async, the successors of Beanie 1 and Motor
	$(NEXT)/bin/pytest -m "fast or mongo" -n 2 $(ARGS)
	$(if $(ARGS),,$(NEXT)/bin/pytest -m e2e $(NEXT_E2E))

test-failover: $(STAMP)  ## kill, stop, cut off and starve members of a replica set under load (ten minutes; as root for networks)
	$(BIN)/pytest -m failover tests/e2e/failover $(ARGS)

sdks: $(STAMP)  ## install the published tracking libraries that the tests drive, into .tools/sdks
	@$(BIN)/python -m tests.e2e.sdks.install

tools: $(STAMP)  ## build mongodump and mongorestore with Go, install mongosh with npm, into .tools
	@$(BIN)/python -m tests.build_tools $(ARGS)

fuzz: $(STAMP)  ## look long for answers that are not as the API's description says: make fuzz EXAMPLES=200 SEED=7
	CRM_SCHEMATHESIS_EXAMPLES=$(or $(EXAMPLES),50) CRM_SCHEMATHESIS_SEED=$(or $(SEED),1) \
	  $(BIN)/pytest -q tests/e2e/fuzzing $(ARGS)

bench: $(STAMP)  ## measure; timings are never part of a test: make bench ARGS="events --json"
	@$(BIN)/crm bench $(or $(ARGS),orders)

lock: $(STAMP)  ## renew requirements-dev.lock and requirements-next.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra embedded --extra otel --universal --quiet --no-header --output-file requirements-dev.lock
	cp requirements-dev.lock requirements-next.lock  # the same versions of all else
	$(BIN)/uv pip compile pyproject.toml --overrides requirements-next.in --extra dev --extra embedded --extra otel --universal --quiet --no-header --output-file requirements-next.lock

clean:  ## remove what the other targets made, except .crm (your data)
	rm -rf $(VENV) $(NEXT) .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* dist build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
