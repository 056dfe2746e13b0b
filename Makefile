# make repro | make test | make check | make ui      (see README.md)
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Python may keep the bytecode of what a stage imports, or every stage compiles it anew (10 s)
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := $(VENV)/.installed

.PHONY: install repro test test-all repro-tiny chaos full-disk bench gpu-check check format site ui

install: $(INSTALLED)

# --no-compile: Python compiles what is imported when it is imported, a small part of it all
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	spa plots
	touch $(INSTALLED)

repro: install  ## run the experiment of params.yaml, if nothing is wrong; what is done is not done again
	spa doctor
	dvc repro
	@echo; echo "Next: source $(VENV)/bin/activate, then dvc repro, spa --help, or make ui"

test: install  ## the fast tests, two at a time
	OMP_NUM_THREADS=1 python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

repro-tiny: install  ## whole pipelines on a tiny model made on the spot, two files of tests at a time
	OMP_NUM_THREADS=1 python -m pytest tests/pipeline -m "not exhaustive" --numprocesses 2 --dist loadfile

test-all: install  ## every test
	python -m pytest

chaos: install  ## kill a tiny pipeline at random moments, a hundred times (ten minutes)
	python -m tests.pipeline.chaos --kills 100 --repro-kills 10

full-disk: install  ## let every single write of a tiny pipeline fail once (half an hour)
	python -m pytest -s tests/pipeline/test_full_disk.py -m exhaustive

bench: install  ## how fast this is beside TRL and others, on the same work (80 minutes on two slow cores); vLLM too with VLLM=PYTHON
	dvc repro base
	PYTHONPATH=benchmarks python -m speed $(BENCH)
	$(if $(VLLM),python benchmarks/vllm_speed.py --python $(VLLM))

gpu-check: install  ## what a GPU gives, and whether its results are the CPU's: MODEL=FOLDER
	PYTHONPATH=benchmarks python -m speed.gpu $(if $(MODEL),--model $(MODEL)) $(GPU)

check: install  ## formatting, lint, types, layers
	ruff format --check .
	ruff check .
	mypy
	lint-imports

format: install  ## mend the form, copy into the package what a wheel must hold, write the references
	ruff format .
	ruff check --fix .
	cp dvc.yaml spa/scaffold/pipeline.yaml
	cp presets/starter.yaml spa/presets/starter.yaml
	python docs/make_reference.py

site: install  ## the pages of docs/ as a site: site/index.html
	python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs/site --builder html . site

ui: install  ## MLflow on 127.0.0.1
	spa ui
