# The everyday tasks. Python 3.11 to 3.13; another than python3: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PHOTOS ?= assets/sample
CAPTIONS ?= assets/sample/captions.csv

.PHONY: help demo test lint bench bench-hamming bench-index docs clean

help:
	@echo "make demo    install, index the sample library, search it, write demo/index.html"
	@echo "make test    run the tests"
	@echo "make lint    check style and types"
	@echo "make bench   measure the main job (PHOTOS=folder CAPTIONS=file.csv)"
	@echo "make bench-hamming   measure the Hamming engine beside its peers"
	@echo "make bench-index     measure an index run beside what its stages allow"
	@echo "make docs    write docs/cli.md anew"
	@echo "make clean   remove the environment and everything that was made"

# Installed in place: a change of the code needs no new install, a change of pyproject.toml does.
.venv/.installed: pyproject.toml
	@echo "Installing into .venv: some minutes, once"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bundled]'
	touch $@

.venv/.installed-dev: pyproject.toml
	@echo "Installing into .venv: some minutes, once"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bundled,dev]'
	touch $@

demo: .venv/.installed
	$(BIN)/xmodal demo demo

test: .venv/.installed-dev
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/.installed
	$(BIN)/python benchmarks/library.py "$(PHOTOS)" "$(CAPTIONS)"

bench-hamming: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bundled,bench]'
	$(BIN)/python benchmarks/hamming.py --report docs/benchmarks

bench-index: .venv/.installed
	$(BIN)/python benchmarks/index.py

docs: .venv/.installed
	$(BIN)/python -m xmodal.cli.reference > docs/cli.md

clean:
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
