# Houfu's front door. The first use of any target makes the virtual environment and installs what it needs.
.DEFAULT_GOAL := help
.PHONY: help demo test chaos bench check docs up down lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

help: ## show this help
	@echo "Houfu - pay-later commerce backbone. Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

$(INSTALLED): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Houfu needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Houfu needs into $(VENV) (once) ..."
	@# The lock names everything, so pip resolves nothing: an older pip would look past it for what has extras.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## watch pay-later orders travel through a real Kafka and a real PostgreSQL
	@$(BIN)/houfu demo

test: $(INSTALLED) ## run every test
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# Two processes, each taking whole modules in the order they were collected.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

chaos: $(INSTALLED) ## try the laws for long: a hundred kills, fifty broker kills, ten minutes of load (about an hour)
	@rm -f build/laws.json
	@$(BIN)/python -m pytest tests/laws --chaos --durations=0 $(SIDE_BY_SIDE) --deselect $(BROKER_KILLS)
	@$(BIN)/python -m pytest $(BROKER_KILLS) --chaos

# How long a recovery takes is measured with the machine for itself.
BROKER_KILLS := tests/laws/test_servers_fail.py::test_the_broker_is_killed_again_and_again

bench: $(INSTALLED) ## measure against others who do the same work (build/bench.json; about twenty minutes)
	@$(BIN)/python -m benchmarks

check: $(INSTALLED) ## style, types, architecture, generated documents, a test for each rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/houfu contracts export --check
	@$(BIN)/python -m tests.traceability --check

docs: $(INSTALLED) ## write the generated documents: AsyncAPI, schemas, events, metrics, what the tests prove
	@$(BIN)/houfu contracts export
	@$(BIN)/python -m tests.traceability

up: $(INSTALLED) ## start a system of your own in the background, with a clock you can move
	@$(BIN)/houfu up --detach --clock movable

down: $(INSTALLED) ## stop it
	@$(BIN)/houfu down

lock: $(INSTALLED) ## renew the locked requirements (hashes, no index address)
	@$(BIN)/pip-compile $(LOCK) --output-file requirements.txt pyproject.toml
	@$(BIN)/pip-compile $(LOCK) --extra dev --output-file requirements-dev.txt pyproject.toml

LOCK := --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --resolver backtracking

clean: ## remove the environment and everything built
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
