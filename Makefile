# The commands of the house, the same here and in CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= $(CURDIR)/.chronolake
WORKERS ?= 3

.PHONY: help setup demo check test test-chaos test-parity bench lock clean format
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.ready  ## make the virtual environment from the lock file

$(VENV)/.ready: lock/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "chronolake needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "The venv module is missing. Remedy on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement lock/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# A peer for tests, in an environment of its own: what it needs goes with nothing of ours.
$(VENV)/pywb/.ready: lock/pywb.txt | $(VENV)/.ready
	@$(PYTHON) -m venv $(VENV)/pywb
	$(VENV)/pywb/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement lock/pywb.txt
	@touch $@

demo: setup  ## ingest a generated archive, answer three questions, serve the API (ONCE=1: stop after the answers)
	CHRONOLAKE_HOME="$(HOME_DIR)" $(BIN)/chronolake demo $(if $(ONCE),--once)

format: setup  ## put the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup  ## format, lint, types, floors and the quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n $(WORKERS) -m "not slow and not real_data" tests/unit

test: setup $(VENV)/pywb/.ready  ## everything that `check` does, and every test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYWB="$(CURDIR)/$(VENV)/pywb/bin/wayback" $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-chaos: setup  ## break everything at random and compare: SEEDS=2000 by default, the result in docs/results/chaos.md
	$(BIN)/python -m chronolake.testing.chaos --seeds $(or $(SEEDS),2000) --report docs/results/chaos.md

test-parity: setup  ## ask every question of every engine with random parameters: SETS=200 of each, SEED=1
	CHRONOLAKE_PARITY_SETS=$(or $(SETS),200) CHRONOLAKE_PARITY_SEED=$(or $(SEED),1) \
	  $(BIN)/pytest -q tests/integration/query/test_random_parity.py

bench: setup  ## time the plan's targets, every engine and the questions over HTTP; SCALE=1000000 rows, TARGETS=50000000 at most
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement lock/bench.txt
	$(BIN)/chronolake bench run --rows $(or $(SCALE),1000000) --targets-up-to $(or $(TARGETS),50000000) --out docs/results
	$(BIN)/chronolake bench questions --rows $(or $(SCALE),1000000) --out docs/results

lock:  ## renew the lock files (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --universal --python-version 3.11 \
	  --no-header --no-emit-index-url --no-annotate --quiet --output-file lock/dev.txt
	uv pip compile pyproject.toml --extra dev --extra bench --generate-hashes --universal --python-version 3.11 \
	  --no-header --no-emit-index-url --no-annotate --quiet --constraint lock/dev.txt --output-file lock/bench.txt
	uv pip compile lock/pywb.in --generate-hashes --universal --python-version 3.11 \
	  --no-header --no-emit-index-url --no-annotate --quiet --output-file lock/pywb.txt

clean:  ## remove the virtual environment and the demo's home
	rm -rf $(VENV) "$(HOME_DIR)"
