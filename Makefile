# Needs make, sh and Python 3.11 or later; everything else comes from the lock files.
PYTHON ?= python3
WORKERS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHECKED = $(sort $(dir $(wildcard $(addsuffix /*.py,retention storage flows console tests bench))))
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command "make lock" $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help venv demo test check bench lock clean
MAKEFLAGS += --no-print-directory

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

venv: $(STAMP)  ## install everything into .venv, exactly as locked

$(STAMP): requirements-dev.lock pyproject.toml scripts/make-venv
	@PYTHON="$(PYTHON)" sh scripts/make-venv $(VENV) requirements-dev.lock
	@touch $@

demo: $(STAMP)  ## show the whole way of a record on an invented library
	@$(BIN)/retention demo $(ARGS)

test: $(STAMP)  ## run the tests, with real database servers (ARGS="-k hold" to choose)
	@sh scripts/system-packages $(BIN)/python
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(STAMP)  ## format, lint, types, architecture and documentation
	@echo "== format"        && $(BIN)/ruff format --check --quiet .
	@echo "== lint"          && $(BIN)/ruff check --quiet .
	@echo "== types"         && $(BIN)/mypy $(CHECKED)
	@echo "== architecture"  && $(BIN)/lint-imports --no-cache --no-logo
	@echo "== documentation" && $(BIN)/python -m tests.docs_check

bench: $(STAMP)  ## measure against a raw DELETE
	@$(BIN)/python -m bench $(ARGS)

lock: $(STAMP)  ## resolve both lock files again (ARGS=--upgrade for newer versions)
	@$(COMPILE) --group dev pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --group build -c requirements-dev.lock pyproject.toml -o requirements.lock
	@echo "requirements.lock and requirements-dev.lock are up to date"

clean:  ## remove .venv and all caches
	@rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
