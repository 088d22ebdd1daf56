# STACK=onedl (default) or upstream; PYTHON: the interpreter that makes the environment;
# TORCH_INDEX_URL: a package index for torch and torchvision, e.g. one with CPU-only builds (a torch that
# is installed already is kept: delete $(VENV) to change it). NETWORKS: what `make web` shows.
STACK ?= onedl
PYTHON ?= python3
VENV := $(if $(filter upstream,$(STACK)),.venv-upstream,.venv)
RUN := $(VENV)/bin/python
# Tests of one file stay in one process: they share trainings. tests/conftest.py orders the files.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo demo-detection web test test-quick lint doctor clean

help:
	@echo 'make demo        set up, then train, test and draw the headline model on sample data'
	@echo 'make demo-detection  the same with a detector, whose backbone is pretrained first'
	@echo "make web         a page in the browser with the demo's model, or NETWORKS='CONFIG CHECKPOINT'"
	@echo 'make test        set up, then check style and run all tests'
	@echo 'make test-quick  the same without the slow tests'
	@echo 'make setup       make $(VENV) with all libraries (continues after an interruption)'
	@echo 'make lint        check style only'
	@echo 'make doctor      say what is installed, missing or broken, and how to fix it'
	@echo 'make clean       delete build products and caches (never data, runs or environments)'
	@echo 'Options: STACK=upstream, PYTHON=python3.11, TORCH_INDEX_URL=..., MAX_JOBS=1'

setup:
	@command -v $(PYTHON) >/dev/null || { \
		echo 'No $(PYTHON) here: install Python 3.10 or newer with venv, or name one: PYTHON=...'; \
		exit 1; }
	@$(PYTHON) tools/setup_env.py --stack $(STACK)

demo: setup
	$(RUN) tools/demo.py

demo-detection: setup
	$(RUN) tools/demo.py detection

web: setup
	$(RUN) tools/web.py $(NETWORKS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

test: lint
	$(RUN) -m pytest $(PARALLEL)

test-quick: lint
	$(RUN) -m pytest $(PARALLEL) -m 'not slow'

doctor:
	@$(or $(wildcard $(RUN)),$(PYTHON)) tools/doctor.py

clean:
	rm -rf build dist mmca.egg-info .pytest_cache .ruff_cache
	find mmca configs tools tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
