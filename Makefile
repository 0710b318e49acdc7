# `make reproduce` is the whole thing; `make help` lists the rest.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1
STAMP := .venv/.installed

.PHONY: help reproduce quick test chaos audit check format bench rehearsal coverage ui clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python >= 3.11 is needed, found $$($(PYTHON) --version); try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --constraint constraints.txt --editable '.[harness,dev]'
	@touch $@

# Two runs at once, one thread each, end sooner than one after the other; the bits are the same. Status 2: fanout has
# not begun (no Ray, another machine's lock), and `dvc repro` does everything.
reproduce: $(STAMP)  ## train, score, measure, report, track: everything, runs side by side (45 minutes on 2 cores, 90 on older ones)
	python -m benchmark fanout || [ $$? -eq 2 ]
	dvc repro
	@python -m benchmark summary

quick: $(STAMP)  ## the same pipeline with one seed and a small budget, in .quick/ (about 5 minutes)
	python -m benchmark workspace .quick --profile quick
	cd .quick && dvc repro && python -m benchmark summary

# Two processes of one thread each; a file's tests stay together, for they share what they make. The longest file, the
# smoke pipeline, begins first (tests/conftest.py).
test: export OMP_NUM_THREADS := 1
test: $(STAMP)  ## all tests, the smoke pipeline through `dvc repro` included (two processes)
	-@python -m benchmark materials  # without it the tests on the real tables and CT are skipped
	python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

chaos: $(STAMP)  ## kill -9 in every stage, hostile files by the thousand, drawn afresh each time (about half an hour; two older cores)
	@$(MAKE) --no-print-directory -j2 chaos-kills chaos-inputs

chaos-kills chaos-inputs: export OMP_NUM_THREADS := 1
chaos-kills: $(STAMP)
	python -m pytest tests/reliability/test_chaos.py -m chaos
chaos-inputs: $(STAMP)
	python -m pytest --ignore tests/reliability/test_chaos.py -m 'chaos or hypothesis' --hypothesis-profile fresh

audit: $(STAMP)  ## dependencies: do they fit, their licences, known vulnerabilities
	python -m pip check
	@python -m tests.reliability.dependencies | diff - docs/dependencies.md && echo "docs/dependencies.md is up to date"
	@timeout 120 pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off || \
	  echo "pip-audit found something above, or had no answer: it needs the advisories of pypi.org"

check: $(STAMP)  ## ruff, types, who may import whom, and the documentation: a dead link or name fails
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache | tail -n +12
	mkdocs build --strict

format: $(STAMP)  ## format and fix the code
	ruff format .
	ruff check --fix .

bench: $(STAMP)  ## benchmarks, ratios against plain references in one run (under 10 minutes on an idle machine)
	@mkdir -p .benchmarks
	python -m pytest tests/benchmarks --benchmark-only --benchmark-quiet --benchmark-json=.benchmarks/latest.json
	@python -m tests.benchmarks.table .benchmarks/latest.json

rehearsal: $(STAMP)  ## stages at the published number of rows, with tiny images: time and memory (some 20 minutes; 3 GB)
	@python -m benchmark materials
	python -m tests.rehearsal

coverage: $(STAMP)  ## do the intervals cover what they promise? (minutes)
	python -m benchmark coverage

ui: $(STAMP)  ## browse the runs in MLflow, at the address that it prints
	python -m benchmark ui

clean:  ## remove what the pipeline made (not the virtual environment)
	rm -rf .site plan data runs logs scores probe results reports/*.pdf reports/tables reports/figures reports/metrics.json mlflow.db mlartifacts tracked.json .quick .rehearsal .*.part reports/.*.part
