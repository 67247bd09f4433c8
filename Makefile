# nmhw: `make demo` and `make test` do all their own set-up in .venv (python3 >= 3.11 with venv).

VENV        := .venv
BIN         := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
CANDIDATES  := python3 python3.11 python3.12 python3.13 python3.14 python
RECENT      := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON      ?= $(shell for p in $(CANDIDATES); do \
                 "$$p" -c '$(RECENT)' 2>/dev/null && { echo "$$p"; break; }; done)

# The test processes. Each one compiles the kernels it meets first, then they share the cache.
TEST_JOBS   ?= auto
PYTEST      := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint test-unit test-bounds test-live live-environments format clean

help:
	@echo "make demo       a trained digits network on a chip, with the full report"
	@echo "make test       style, types, layer rules and all tests"
	@echo "make test-live  compare with other simulators, each in its own environment (.live/)"
	@echo "make format     rewrite imports and layout with ruff"
	@echo "make clean      remove .venv, .live, caches and builds"

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	  echo "error: no Python >= 3.11 with the venv module among: $(CANDIDATES)" >&2; \
	  echo "       install one (Debian, Ubuntu: python3 and python3-venv) or say make PYTHON=/path/to/python" >&2; \
	  exit 1; }
	@"$(PYTHON)" -c '$(RECENT)' || { \
	  echo "error: $(PYTHON) is older than Python 3.11 or lacks the venv module" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# Set-up for the demo: the core dependencies alone, never PyTorch.
$(VENV)/.stamp-core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV): NumPy, Numba and the other core dependencies"
	@$(PIP_INSTALL) setuptools
	@$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

# Set-up for the tests: PyTorch first and alone, so that nothing else chooses its build.
$(VENV)/.stamp-dev: $(VENV)/.stamp-core
	@echo "setting up $(VENV): PyTorch and the development tools"
	@$(PIP_INSTALL) torch
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	@touch $@

demo: $(VENV)/.stamp-core
	@$(BIN)/nmhw demo

test: lint test-bounds test-unit

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/mypy -p nmhw
	$(BIN)/lint-imports

# The property cases again with array bounds checked in every kernel. Numba's cache does not know
# about the switch, so this run keeps a cache of its own.
test-bounds: $(VENV)/.stamp-dev | lint
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR="$(CURDIR)/.cache/numba-boundscheck" HYPOTHESIS_PROFILE=bounds \
	  $(PYTEST) -q -n $(TEST_JOBS) --dist loadfile tests/property

test-unit: $(VENV)/.stamp-dev | lint test-bounds
	$(PYTEST) -q -n $(TEST_JOBS) --dist loadfile --durations=5

# Live oracles: whatever can be installed is compared with, the rest is a visible skip.
test-live: live-environments
	$(PYTEST) -q -rs tests/live

live-environments: $(VENV)/.stamp-dev
	$(BIN)/python tests/live/build_environments.py

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .live .cache build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache \
	  .hypothesis .import_linter_cache
	find nmhw mappers sim hwconfigs tests -name __pycache__ -type d -prune -exec rm -rf {} +
