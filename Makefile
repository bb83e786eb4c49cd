# Everything a person or a machine runs here. Needs make and Python >= 3.11; the rest comes from the locks.
#   make demo PYTHON=python3.12 ARGS="--once --json"
#   make test ARGS="tests/cli -k init"

.DEFAULT_GOAL := help
VENV ?= .venv
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1) # tests wait for ticks and clocks, too
SLOW_LIMIT_S ?= 5400
bin := $(VENV)/bin
pytest = $(bin)/python -m pytest -p no:cacheprovider -p no:schemathesis -p no:anyio # a second to start, and unused
export VENV PYTHON

.PHONY: help demo test test-slow check format bench docs lock clean runtime tools

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: runtime ## four nodes, one federation, real answers; stops with Ctrl-C
	@$(bin)/murmur demo $(ARGS)

test: tools ## the fast tests, at most eight minutes
	@$(bin)/python -m compileall -q node federation privacy protocol # or every process that a test starts does it
	$(pytest) -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not slow" $(ARGS)

test-slow: tools ## long loops and many draws, at most ninety minutes; writes tests/REPORT.md
	@$(bin)/python -m compileall -q node federation privacy protocol
	timeout $(SLOW_LIMIT_S) $(pytest) -q -m "slow or measures" --murmur-report tests/REPORT.md $(ARGS)

check: tools ## form, types and the direction of imports
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports

format: tools ## let ruff lay out the code
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

bench: tools ## the benchmarks of tests/bench, one after the other
	@set -e; for script in tests/bench/bench_*.py; do echo "== $$script"; $(bin)/python $$script $(ARGS); done

docs: tools ## write docs/reference anew from the code
	$(bin)/python docs/generate.py

lock: ## write the locks anew; ARGS=--upgrade takes newer versions
	.ci/lock $(ARGS)

clean: ## remove what was built, not what was kept
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

runtime:
	@.ci/venv requirements.lock

tools:
	@.ci/venv requirements-test.lock
