# Every target does all the set-up it needs: a virtual environment in $(VENV) and pip, nothing of the system.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready-dev
DEMO_READY := $(VENV)/.ready-demo

.PHONY: demo test test-slow check format bench docs wheel clean

demo: $(DEMO_READY)
	$(BIN)/polymodal demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

# Keeps its log: the date, the machine, and what was compared.
test-slow: $(READY)
	{ echo "$$(date -u +%F), $$(uname -srm), $$(nproc --all) cores" && $(BIN)/python -m pytest -m slow -q -rP \
		--show-capture=stdout --color=no --no-header; } > tests/slow.log || { cat tests/slow.log; false; }
	cat tests/slow.log

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python benchmarks/run.py

docs: $(READY)
	$(BIN)/mkdocs build --strict

wheel: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) site dist .pytest_cache .mypy_cache .ruff_cache

$(DEMO_READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(DEMO_READY)
