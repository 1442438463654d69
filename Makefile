# Each target does its own set-up in a virtual environment; the second time it is quick.
# Everything runs from PyPI alone, but for the targets that say otherwise.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# In the order of the files and from one seed: what fails fails again. `test-shuffled` is for tests that lean on others.
# With CI set, up to three failures run a second time, alone.
PYTEST := $(BIN)/python -m tests.gate --randomly-dont-reorganize --randomly-seed=1
PYPI_ONLY := -n $(JOBS) --dist worksteal -m "not kafka and not collector and not browser and not nightly"

.DEFAULT_GOAL := help
.PHONY: help demo up test test-kafka test-collector test-browser test-faults test-nightly test-shuffled lint types format bench dashboards lock build clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Trainwarden needs Python >= 3.10, this is %d.%d; try make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (the first time fetches torch: a few GB; later runs use the cache) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[all]' --group dev
	@touch $@

demo: $(STAMP)  ## the whole loop on this machine, with a real trainer and an injected fault
	@$(BIN)/trainwarden demo $(ARGS)

up: $(STAMP)  ## the embedded stack in the foreground
	@$(BIN)/trainwarden up $(ARGS)

test: lint types $(STAMP)  ## lint, types, import contracts, all tests that need PyPI only; JOBS=2 at a time
	$(PYTEST) $(PYPI_ONLY) $(ARGS)

test-shuffled: $(STAMP)  ## the same tests in a random order, whose seed is in the first lines; SEED=n: in that order
	$(BIN)/python -m pytest $(PYPI_ONLY) $(if $(SEED),--randomly-seed=$(SEED)) $(ARGS)

test-faults: $(STAMP)  ## the faults alone, with their slow forms: kills, stops, cut lines, full disks, clocks, poison
	$(PYTEST) tests/faults tests/fuzz tests/integration/test_ledger.py tests/integration/test_rebalance.py $(ARGS)

KAFKA_TESTS := tests/kafka tests/integration/test_demo.py tests/stream/test_worker_loop.py \
	tests/stream/faustkit/test_outlet.py tests/stream/gateway/test_stock_sdk.py \
	tests/stream/test_breaker.py tests/stream/test_node_signals.py \
	tests/integration/test_ledger.py tests/integration/test_rebalance.py tests/stream/test_worker_recovery.py \
	tests/stream/test_worker_rules.py

test-kafka: $(STAMP)  ## the same end-to-end tests on Apache Kafka (needs Java 17 and Maven)
	TRAINWARDEN_TEST_KAFKA=apache $(PYTEST) -m "not nightly" $(or $(ARGS),$(KAFKA_TESTS))

test-collector: $(STAMP)  ## a real OpenTelemetry Collector in the middle (needs Go)
	@deploy/collector/build >/dev/null
	$(PYTEST) -m "collector and not nightly" $(or $(ARGS),tests/collector)

test-browser: $(STAMP)  ## the viewer in chromium (needs Debian's chromium)
	$(PYTEST) -m "browser and not nightly" $(ARGS)

test-nightly: $(STAMP)  ## the slow forms
	$(PYTEST) -m "nightly" $(ARGS)

lint: $(STAMP)  ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy --strict
	$(BIN)/mypy

format: $(STAMP)  ## let ruff rewrite the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## measure, as ratios against a peer in the same run
	$(BIN)/python -m bench $(ARGS)

dashboards: $(STAMP)  ## write dashboards/generated from the builders
	$(BIN)/trainwarden dashboards build

lock: $(STAMP)  ## write constraints.txt from pyproject.toml
	@echo '# The one place that pins versions: written by `make lock` from pyproject.toml, used by every make target.' > constraints.new
	@$(BIN)/uv pip compile --quiet pyproject.toml --extra all --group dev --universal --python-version 3.10 --no-header --no-annotate >> constraints.new
	@mv constraints.new constraints.txt

build: $(STAMP)  ## sdist and wheel into dist/
	$(BIN)/python -m build

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
