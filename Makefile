# `make demo` shows the whole job; `make test` proves it. Both set up what they need.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: install demo demo-keep test lint clean help

help:
	@echo "make demo       run the whole job on sample data (ends by itself)"
	@echo "make demo-keep  the same, and leave it running"
	@echo "make test       run the tests"
	@echo "make lint       ruff, mypy, import-linter"
	@echo "make install    only make $(VENV)/ with motcua-gateway and motcua-simulator"
	@echo "make clean      remove $(VENV)/ and everything generated"

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools wheel
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)
	$(VENV)/bin/python -m demo

demo-keep: $(STAMP)
	$(VENV)/bin/python -m demo --keep

test: $(STAMP)
	$(VENV)/bin/python -m pytest --cov --cov-report=term

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
