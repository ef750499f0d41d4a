# Everything sets itself up: a virtual environment in .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Tests wait for servers and builds, so more of them run side by side than there are cores.
WORKERS ?= 4
# They start Python hundreds of times: what is compiled once is kept, whatever the shell says.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.PHONY: setup demo test test-all check bench faults fuzz e2e docs screenshots lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/personalization demo $(DEMO)

test: setup
	$(PYTEST) -m "not fault and not benchmark and not e2e and not slow" $(if $(TESTS),,-n $(WORKERS) --dist worksteal) $(TESTS)

test-all: setup
	$(PYTEST) -m "not fault and not benchmark and not e2e" -n $(WORKERS) --dist worksteal
	$(MAKE) e2e
	FAULT_KILLS=$(or $(FAULT_KILLS),5) $(MAKE) faults

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m personalization_pipelines.features.sql_linter
	$(PYTEST) tests/test_documentation.py

bench: setup
	$(BIN)/python -m tests.benchmarks $(BENCH)

faults: setup
	PYTEST_DEBUG_TEMPROOT=$${TMPDIR:-/tmp} $(PYTEST) -m fault -s tests/faults

fuzz: setup
	PERSONALIZATION_FUZZ=$(or $(FUZZ),200) $(PYTEST) tests/serving/test_openapi.py tests/serving/test_hostile_parameters.py

e2e: setup
	$(PYTEST) -m e2e tests/e2e tests/serving

docs: setup
	$(BIN)/python -m tests.made_documents

screenshots: setup
	$(BIN)/python -m tests.screenshots $(SCREENSHOTS)

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra demo --extra dev --extra postgres \
		--generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock

clean:
	rm -rf .venv .bench .pytest_cache .mypy_cache .ruff_cache
