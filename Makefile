# Every target sets up what it needs in .venv, once: it is set up again only when the files below change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# For the build's own environment too.
export PIP_CONSTRAINT := constraints.txt
BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(wildcard topolayer/csrc/*)

.PHONY: demo test lint docs bench clean

demo: $(VENV)/installed-experiments
	$(BIN)/python -m experiments.segmentation --demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.speed

clean:
	rm -rf $(VENV) build docs/_build

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch goes first and pinned: no later requirement can then pull in another build of it.
$(VENV)/installed-%: $(BUILD_INPUTS) | $(VENV)/created
	$(BIN)/python -m pip install --quiet torch
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@
