# `make demo` shows the whole job; `make test` proves it. Both set up what they need.
PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS ?= 60
# Test files go to so many processes; most of what tests do is wait for other processes.
TEST_WORKERS ?= auto
STAMP := $(VENV)/.installed

.PHONY: install demo demo-keep test lint fuzz clean help

help:
	@echo "make demo       run the whole job on sample data (ends by itself)"
	@echo "make demo-keep  the same, and leave it running"
	@echo "make test       run the tests"
	@echo "make lint       ruff, mypy, import-linter"
	@echo "make fuzz       fuzz the SMPP stack for FUZZ_SECONDS ($(FUZZ_SECONDS)), guided by coverage"
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
	$(VENV)/bin/python -m pytest -n $(TEST_WORKERS) --dist loadfile --cov --cov-report=term

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# atheris is not in dev: some machines have no wheel of it. Without it 100,000 seeded mutations run, not guided.
fuzz: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[fuzz]" || true
	$(VENV)/bin/python fuzz/fuzz_smpp.py -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -print_final_stats=1

clean:
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
