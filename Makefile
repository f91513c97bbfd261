# Every target does its own set-up: `make demo` and `make test` work on a fresh clone.
# Another interpreter: `make demo PYTHON=python3.12`.

PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: errors alone. The lines above each install say what is going on.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt
# A worker more than cores (calibration_pipeline_tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto
# A file's tests stay in one worker, where they share what is costly to make.
BY_FILE := --dist loadfile --no-loadscope-reorder

# A stamp is written last, so an install that was cut short is simply done again.
MADE := $(VENV)/.made
CORE := $(VENV)/.core-installed
FULL := $(VENV)/.full-installed
# Numba compiles a kernel in every process that begins before another has finished compiling it.
COMPILED := $(VENV)/.kernels-compiled
KERNELS := $(shell grep -rl --include='*.py' '@njit' calibration_pipeline)
# The estimators that ours is compared with; one of them needs an older NumPy.
PEERS_VENV := .venv-peers
PEERS := $(PEERS_VENV)/.installed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup setup-dev demo ui test test-slow faults check format bench study

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(CORE)  ## Create .venv with what the pipeline needs
setup-dev: $(FULL)  ## Add the linters, the tests' tools and PyTorch (about 2 GB)

demo: $(CORE)  ## Simulate a pool, calibrate 35 nights, print what happened
	@$(BIN)/calibrate demo

ui: $(CORE)  ## Open Dagster on this machine's loopback address
	@$(BIN)/calibrate ui

test: $(COMPILED)  ## Run the tests
	@$(PYTEST) $(BY_FILE) -m 'not slow'

test-slow: $(COMPILED)  ## Run the tests that take minutes
	@$(PYTEST) --dist worksteal -m slow

faults: $(FULL)  ## Kill, cut off and starve a thousand nights; FAULTS=100 SEED=1 for another selection
	@$(BIN)/python -m calibration_pipeline_tests.faults.run --faults $(or $(FAULTS),1000) --seed $(or $(SEED),0)

check: $(FULL)  ## Format, lint, types, import rules, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q calibration_pipeline_tests/test_docs.py

format: $(FULL)  ## Rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(FULL) $(PEERS)  ## Compare the estimator with others; BENCH_QUICK=1 leaves out the longest
	@$(BIN)/python -m benchmarks.run $(if $(BENCH_QUICK),,--large) $(if $(ONLY),--only $(ONLY)) $(if $(LIMIT),--limit $(LIMIT))

study: $(FULL)  ## Counting each answer once over 75 nights (half an hour); STUDY=flags for another
	@$(BIN)/python studies/$(or $(STUDY),seventy_five_nights).py

$(MADE):
	@command -v '$(PYTHON)' >/dev/null || { \
	  echo "error: no $(PYTHON) found; install Python 3.11 or later, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $$('$(PYTHON)' --version) is too old: 3.11 or later is needed; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Creating $(VENV) with $$('$(PYTHON)' --version)"
	@'$(PYTHON)' -m venv $(VENV)
	@touch $@

$(CORE): $(REQUIREMENTS) | $(MADE)
	@echo "Installing the pipeline into $(VENV) (about a minute the first time)"
	@$(PIP) --editable .
	@touch $@

$(FULL): $(REQUIREMENTS) | $(MADE)
	@echo "Installing the pipeline, its tests' tools and PyTorch into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable '.[dev,bayes,dask]'
	@touch $(CORE) $@

$(COMPILED): $(KERNELS) | $(FULL)
	@echo "Compiling the numerical kernels (a minute or two the first time)"
	@$(BIN)/python -m calibration_pipeline_tests.kernels
	@touch $@

$(PEERS): benchmarks/peers.txt | $(MADE)
	@echo "Installing the other estimators into $(PEERS_VENV)"
	@'$(PYTHON)' -m venv $(PEERS_VENV)
	@echo '*' > $(PEERS_VENV)/.gitignore
	@$(PEERS_VENV)/bin/python -m pip install -qq --disable-pip-version-check --requirement $<
	@touch $@
