PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
PREVIOUS := .venv-4.57
# The oldest releases that pyproject.toml allows of the libraries whose names move.
FLOORS := $(shell sed -nE 's/^ *"(transformers|peft)>=([0-9.]+).*/\1==\2/p' pyproject.toml)

.PHONY: demo test test-oldest check loaders clean

# Goes on where an interrupted demo stopped; a finished one shows its results again.
demo: $(VENV)/installed
	$(BIN)/stablereward demo --resume

test: $(VENV)/installed-dev
	$(BIN)/pytest

# The whole suite runs on the newest releases; here is what calls the libraries' insides.
test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/pytest tests/engines tests/policies tests/e2e/test_toy_judge.py

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Saves judges here and loads them with transformers alone: the last 4.x, the oldest allowed here, the newest.
loaders: $(VENV)/installed-dev $(OLDEST)/installed $(PREVIOUS)/installed
	$(BIN)/python -m tests.loaders.table $(addsuffix /bin/python,$(PREVIOUS) $(OLDEST) $(VENV))

# Runs stay: they are results.
clean:
	rm -rf $(VENV) $(OLDEST) $(PREVIOUS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Installed again only when the dependencies change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --editable '.[dev]'
	touch $@

$(OLDEST)/installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --editable '.[dev]' $(FLOORS)
	touch $@

$(PREVIOUS)/installed: Makefile
	$(PYTHON) -m venv $(PREVIOUS)
	$(PREVIOUS)/bin/pip install 'transformers==4.57.6' 'torch>=2.8,<2.14' numpy pillow jinja2
	touch $@
