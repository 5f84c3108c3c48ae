# Every target sets up what it needs in .venv, once: it is set up again only when the files below change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# For the build's own environment too.
export PIP_CONSTRAINT := constraints.txt
CORE_FILES   := $(wildcard topolayer/csrc/*.* topolayer/csrc/*/*.*)
BUILD_INPUTS := pyproject.toml constraints.txt CMakeLists.txt $(CORE_FILES)

.PHONY: demo test lint docs linkcheck bench verify sanitize fuzz dist clean

demo: $(VENV)/installed-experiments
	$(BIN)/python -m experiments.segmentation --demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

linkcheck: $(VENV)/installed-docs  # the only target but the set-up that needs a network
	$(BIN)/sphinx-build -q -b linkcheck -D nb_execution_mode=off docs docs/_build/linkcheck

bench: $(VENV)/installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.speed

verify: $(VENV)/installed-dev
	$(BIN)/python -m tests.commands.many_grids
	$(BIN)/python -m tests.commands.many_volumes
	$(BIN)/python -m tests.commands.many_matchings
	$(BIN)/python -m tests.commands.many_metrics
	$(BIN)/python -m tests.commands.large_indices
	$(BIN)/python -m tests.commands.degenerate_clouds

# The extension goes into a folder of its own, beside the tests: without `site` the editable installation is not seen.
# CPython and torch leave memory behind by design, so leaks are looked for in the fuzz target only. libstdc++ comes
# first, as Python itself does not bring it and exceptions would pass unseen.
SANITIZED  := build/sanitize
ASAN_PYTHON = LD_PRELOAD="$(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libstdc++.so)" \
              ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 OMP_NUM_THREADS=2 \
              PYTHONPATH="$$PWD:$$(../../../$(BIN)/python -c 'import sys; print(*sys.path[1:], sep=":")')" \
              ../../../$(BIN)/python -S
FUZZ_COUNT ?= 20000

sanitize: $(SANITIZED)/created $(SANITIZED)/site $(SANITIZED)/fuzz_address $(SANITIZED)/fuzz_thread
	ASAN_OPTIONS=abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 $(SANITIZED)/fuzz_address --count $(FUZZ_COUNT)
	TSAN_OPTIONS=abort_on_error=1 $(SANITIZED)/fuzz_thread --count $$(($(FUZZ_COUNT) / 4))
	rm -rf $(SANITIZED)/site/tests
	cp -r tests pyproject.toml $(SANITIZED)/site
	cd $(SANITIZED)/site && $(ASAN_PYTHON) -m pytest -q -m native $$(grep -rl --include='test_*.py' mark.native tests)
	cd $(SANITIZED)/site && $(ASAN_PYTHON) -m tests.commands.many_grids --grids 2000
	cd $(SANITIZED)/site && $(ASAN_PYTHON) -m tests.commands.many_matchings --pairs 1000

$(SANITIZED)/site: $(BUILD_INPUTS) $(wildcard topolayer/*.py topolayer/*/*.py) \
                   | $(VENV)/installed-dev $(SANITIZED)/created
	rm -rf $@
	CXX=$(CXX) $(BIN)/python -m pip install --quiet --no-deps --target $@ \
	    -C build-dir=$(SANITIZED)/cmake -C cmake.build-type=Debug -C install.strip=false \
	    -C cmake.define.TOPOLAYER_SANITIZE=address,undefined .

# The fuzz target with a `main` that feeds it random bytes; for libFuzzer see the top of fuzz_core.cpp.
FUZZ_FLAGS := -std=c++20 -O1 -g -pthread -Wall -Wextra -Wl,--wrap=realloc -DTOPOLAYER_VALUES_WORTH_A_THREAD=1 \
              -DTOPOLAYER_POPS_PER_VOXEL=0 -Itopolayer/csrc
FUZZ_FILES := $(wildcard tests/fuzz/*) $(CORE_FILES)

fuzz: $(SANITIZED)/fuzz_address
	$< --count 1000000 --seed $$(date +%s)

$(SANITIZED)/fuzz_address: $(FUZZ_FILES) | $(SANITIZED)/created
	$(CXX) $(FUZZ_FLAGS) -D_GLIBCXX_ASSERTIONS -fsanitize=address,undefined -fno-sanitize-recover=all \
	    tests/fuzz/*.cpp -o $@

$(SANITIZED)/fuzz_thread: $(FUZZ_FILES) | $(SANITIZED)/created
	$(CXX) $(FUZZ_FLAGS) -fsanitize=thread tests/fuzz/*.cpp -o $@

$(SANITIZED)/created:
	@for library in asan ubsan tsan; do test -e "$$($(CXX) -print-file-name=lib$$library.so)" || { \
	    echo "$(CXX) has no lib$$library; install it, or choose a GCC that has it: make sanitize CXX=g++"; exit 1; }; done
	mkdir -p $(@D)
	touch $@

# The sdist and the wheel, and the tests of the sdist against the installed wheel: its own sources are taken away.
INSTALLED := build/installed

dist: $(VENV)/installed-release
	rm -rf dist $(INSTALLED)
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python tools/check_dist.py dist
	$(PYTHON) -m venv $(INSTALLED)/venv
	$(INSTALLED)/venv/bin/python -m pip install --quiet torch
	$(INSTALLED)/venv/bin/python -m pip install --quiet "$$(echo dist/*.whl)[test]"
	tar -xzf dist/*.tar.gz -C $(INSTALLED) --strip-components 1
	rm -rf $(INSTALLED)/topolayer
	cd $(INSTALLED) && venv/bin/python -m pytest -q -n logical --maxprocesses 4 --dist worksteal --ignore=tests/experiments

clean:
	rm -rf $(VENV) build dist docs/_build

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@echo "Setting up $(VENV), once: two to five minutes, most of them for downloads. (1/3) The environment"
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch goes first and pinned: no later requirement can then pull in another build of it.
$(VENV)/installed-%: $(BUILD_INPUTS) | $(VENV)/created
	@echo "(2/3) torch, the largest download"
	$(BIN)/python -m pip install torch
	@echo "(3/3) topolayer, which is compiled here for a minute, and what \"$*\" needs"
	$(BIN)/python -m pip install --editable ".[$*]"
	touch $@
