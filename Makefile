# rtserver: `make run` starts it, `make test` checks everything. CONTRIBUTING.md says more.

VENV := .venv
BIN := $(VENV)/bin
NODE_BIN := node_modules/.bin
C_FILES = $(shell find benchmarks -name '*.[ch]' -not -path 'benchmarks/build/*')
MAKEFLAGS += --no-print-directory
# Three workers, also on two cores: most tests wait for something. The tests of one file stay together, in their order;
# tests/conftest.py decides which file comes first.
PYTEST_ARGS := -n 3 --dist loadfile --no-loadscope-reorder
AT_ONCE = $(MAKE) --jobs=2 --output-sync=target
.DEFAULT_GOAL := help
.PHONY: help setup run test check check-types check-python check-web-and-c test-tools bench bench-cluster bench-durable bench-attacks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.runtime $(VENV)/.client ## make .venv with rtserver in it, and fetch the browser client

run: setup ## set up, then serve on port 8000 in development mode
	@exec $(BIN)/rtserver serve

test: $(VENV)/.dev ## install what the tests need, then run all checks and tests
	@$(AT_ONCE) test-tools check-types check-python
	@$(MAKE) check-web-and-c
	$(BIN)/pytest $(PYTEST_ARGS)

check: $(VENV)/.dev ## lint, formats, types, imports and dependencies of Python, JavaScript, CSS and C
	@$(AT_ONCE) check-types check-web-and-c check-python

check-types: $(VENV)/.dev
	$(BIN)/mypy

check-python: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry .

check-web-and-c: $(VENV)/.dev
	@scripts/client_bundle.sh --dev
	$(NODE_BIN)/biome check --error-on-warnings
	$(NODE_BIN)/tsc
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

test-tools: $(VENV)/.dev
	@scripts/test_tools.sh

bench: setup ## measure against Node, stock python-socketio and Bun; BENCH_ARGS="--quick" for a short run
	@$(BIN)/python benchmarks/single.py $(BENCH_ARGS)

bench-cluster: setup ## measure two servers on one Redis against Node and stock python-socketio
	@$(BIN)/python benchmarks/cluster.py $(BENCH_ARGS)

bench-durable: setup ## measure saved messages, history and notifications on SQLite and Postgres
	@$(BIN)/python benchmarks/durable.py $(BENCH_ARGS)

bench-attacks: setup ## measure what other clients bear while somebody attacks; BENCH_ARGS="--before REVISION" compares
	@$(BIN)/python benchmarks/attacks.py $(BENCH_ARGS)

lock: ## write requirements.lock and package-lock.json anew
	@scripts/lock.sh

clean: ## remove everything that make has made, but not ./var
	rm -rf $(VENV) node_modules rtserver/web/vendor benchmarks/build dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.runtime: pyproject.toml requirements.lock scripts/python_env.sh
	@scripts/python_env.sh
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock scripts/python_env.sh
	@scripts/python_env.sh dev
	@touch $@ $(VENV)/.runtime

# The stamp is made only with npm: without it, rtserver runs and the next make tries again.
$(VENV)/.client: package.json package-lock.json scripts/client_bundle.sh scripts/vendor_client.py | $(VENV)/.runtime
	@scripts/client_bundle.sh && if command -v npm >/dev/null; then touch $@; fi
