# Everything sets itself up: a virtual environment in .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test check bench faults fuzz e2e docs screenshots lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/personalization demo $(DEMO)

test: setup
	$(BIN)/python -m pytest -m "not fault and not benchmark and not e2e" $(TESTS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m personalization_pipelines.features.sql_linter
	$(BIN)/python -m pytest tests/test_documentation.py

bench: setup
	$(BIN)/python -m tests.benchmarks $(BENCH)

faults: setup
	$(BIN)/python -m pytest -m fault -s tests/faults

fuzz: setup
	PERSONALIZATION_FUZZ=$(or $(FUZZ),200) $(BIN)/python -m pytest tests/serving/test_openapi.py tests/serving/test_hostile_parameters.py

e2e: setup
	$(BIN)/python -m pytest -m e2e tests/e2e tests/serving

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
