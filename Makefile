# `make demo` and `make test` set up everything they need on a machine with Python 3.11 or later and make.
# PYTHON chooses the interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV ?= .venv-$(VERSION)
BIN := $(VENV)/bin
RL3 := $(BIN)/rl3
DEMO ?= runs/demo

.PHONY: help install demo test lint types unit clean

help:
	@echo "make demo     install, train RL3 and RL2 on random MDPs, draw one figure and one table (about 3 minutes)"
	@echo "make test     install, lint, check types, run all tests (about 6 minutes)"
	@echo "make clean    remove virtual environments and caches"

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# RL3 and RL2 with the same gru policy and the same number of steps. The preset's learning rate is the best
# of three for both (1.5e-3, 3e-3, 6e-3).
demo: $(VENV)/.installed
	$(RL3) train mdp-h100-quick --policy markov --out $(DEMO)/rl3-markov --overwrite
	$(RL3) train mdp-h100-quick --policy gru --iterations 250 --out $(DEMO)/rl3-gru --overwrite
	$(RL3) train mdp-h100-quick --policy gru --method rl2 --iterations 250 --out $(DEMO)/rl2-gru --overwrite
	$(RL3) compare $(DEMO)/rl3-markov $(DEMO)/rl3-gru $(DEMO)/rl2-gru --out $(DEMO)

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/basedpyright --pythonpath $(BIN)/python

unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses 2 --nbmake tests notebooks

clean:
	rm -rf .venv-* .pytest_cache .ruff_cache .hypothesis build *.egg-info
