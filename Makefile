# `make demo` and `make test` set up everything they need on a machine with Python 3.11 or later and make.
# PYTHON chooses the interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV ?= .venv-$(VERSION)
BIN := $(VENV)/bin
RL3 := $(BIN)/rl3
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
DEMO ?= runs/demo

.PHONY: help install demo test test-all test-targets docs notebooks lint types unit unit-all clean baselines results page tuning

help:
	@echo "make demo     install, train RL3 and RL2 on random MDPs, draw one figure and one table (about 3 minutes)"
	@echo "make test     install, lint, check types, run the tests (9 to 20 minutes on two cores, half of that the next time)"
	@echo "make test-all   the same with the slow tests and the documentation site (about an hour)"
	@echo "make docs     build the documentation site in build/site, and run its tutorials (about 10 minutes)"
	@echo "make notebooks  execute the notebooks and keep what they print and draw (about 10 minutes)"
	@echo "make test-targets  compile for accelerators that are not there, and count kernels (downloads 1 GB; 10 minutes)"
	@echo "make baselines  evaluate all baselines in the published settings, and make the page of results (about 20 minutes)"
	@echo "make results    train and evaluate the agents that results/agents lacks, and make the page (hours)"
	@echo "make page       make the page of results again, from the result files alone"
	@echo "make tuning   try hyperparameters of the baselines in those settings (about an hour)"
	@echo "make clean    remove virtual environments and caches"

install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# With navix, whose tasks are tested in `make test-all` alone: it brings much that nothing else needs.
$(VENV)/.installed-all: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev,navix]'
	@touch $@ $(VENV)/.installed-dev $(VENV)/.installed

# RL3 and RL2 with the same gru policy and the same number of steps. The preset's learning rate is the best
# of three for both (1.5e-3, 3e-3, 6e-3).
demo: $(VENV)/.installed
	$(RL3) train mdp-h100-quick --policy markov --out $(DEMO)/rl3-markov --overwrite
	$(RL3) train mdp-h100-quick --policy gru --iterations 250 --out $(DEMO)/rl3-gru --overwrite
	$(RL3) train mdp-h100-quick --policy gru --method rl2 --iterations 250 --out $(DEMO)/rl2-gru --overwrite
	$(RL3) compare $(DEMO)/rl3-markov $(DEMO)/rl3-gru $(DEMO)/rl2-gru --out $(DEMO)

# One result file a setting; the name says which: arms, grid or episodes of 10 steps, horizon, mean of the prior.
# `make -B results/baselines/bandit-5-100.json` makes one again.
RESULTS := results/baselines
SETTINGS := $(foreach k,5 10 50,$(foreach h,10 100 500,bandit-$(k)-$(h))) \
	$(foreach h,100 250 500 750 1000,mdp-$(h) mdp-$(h)-prior-0)
TASKS = $(if $(filter mdp-750% mdp-1000%,$(@F)),1000,4000)
SIZE = $(subst -, ,$*)
OF_BANDIT = bandit --num-arms $(word 1,$(SIZE)) --horizon $(word 2,$(SIZE))
OF_MDP = mdp --horizon $*
OF_GRIDWORLD = gridworld --variation $(word 1,$(SIZE)) --horizon $(word 2,$(SIZE))
GRIDWORLDS := gridworld-11x11-250 gridworld-13x13-350

baselines: $(SETTINGS:%=$(RESULTS)/%.json) $(GRIDWORLDS:%=$(RESULTS)/%.json) page

results: $(VENV)/.installed
	$(BIN)/python benchmarks/agents.py
	$(BIN)/python benchmarks/agents.py --ablations
	$(MAKE) page

page: $(VENV)/.installed
	$(RL3) report $(RESULTS) $(wildcard results/agents/*/*) --out results
	$(if $(wildcard results/ablations/*),$(RL3) report $(wildcard results/ablations/*/*) --out results/ablations)

$(RESULTS)/bandit-%.json: | $(VENV)/.installed
	$(RL3) baselines $(OF_BANDIT) --num-tasks $(TASKS) --json $@

$(RESULTS)/gridworld-%.json: | $(VENV)/.installed
	$(RL3) baselines $(OF_GRIDWORLD) --num-tasks $(TASKS) --json $@

$(RESULTS)/mdp-%-prior-0.json: | $(VENV)/.installed
	$(RL3) baselines $(OF_MDP) --prior-reward 0 --num-tasks $(TASKS) --json $@

$(RESULTS)/mdp-%.json: | $(VENV)/.installed
	$(RL3) baselines $(OF_MDP) --num-tasks $(TASKS) --json $@

# What each candidate hyperparameter of the baselines earns there; the best are in rl3_jax/baselines/registry.py.
TUNING := results/tuning
TUNING_TASKS = $(if $(filter %-10.json,$(@F)),40000,$(if $(filter bandit-%-100.json,$(@F)),16000,\
	$(if $(filter bandit-% mdp-100.% mdp-100-% mdp-250%,$(@F)),8000,4000)))

tuning: $(SETTINGS:%=$(TUNING)/%.json) $(TUNING)/gridworld.json

$(TUNING)/bandit-%.json: | $(VENV)/.installed
	$(BIN)/python benchmarks/tuning.py $(OF_BANDIT) --num-tasks $(TUNING_TASKS) --json $@

$(TUNING)/mdp-%-prior-0.json: | $(VENV)/.installed
	$(BIN)/python benchmarks/tuning.py $(OF_MDP) --prior-reward 0 --num-tasks $(TUNING_TASKS) --json $@

$(TUNING)/mdp-%.json: | $(VENV)/.installed
	$(BIN)/python benchmarks/tuning.py $(OF_MDP) --num-tasks $(TUNING_TASKS) --json $@

$(TUNING)/gridworld.json: | $(VENV)/.installed
	$(BIN)/python benchmarks/tuning.py gridworld --num-tasks 2000 --json $@

test: lint types unit

test-all: lint types unit-all docs

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/basedpyright --pythonpath $(BIN)/python

unit: $(VENV)/.installed-dev
	$(PYTEST) -m 'not slow' tests

unit-all: $(VENV)/.installed-all
	$(PYTEST) tests

# The site, whose tutorials and notebooks are run. `make docs EXECUTE=cache` runs those that changed.
EXECUTE ?= force

docs: $(VENV)/.installed-docs
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m sphinx -E -W --keep-going -c docs -d build/doctrees \
		-D nb_execution_mode=$(EXECUTE) . build/site

# Notebooks in place, with outputs of a CPU. `make notebooks NOTEBOOKS=notebooks/06_box.ipynb` takes one alone.
NOTEBOOKS ?= $(wildcard notebooks/*.ipynb)

notebooks: $(VENV)/.installed-docs
	JAX_PLATFORMS=cpu $(BIN)/python docs/run_notebooks.py $(NOTEBOOKS)

# Tests that `make test-all` skips: their compilers for accelerators get an environment of their own.
TARGETS := .venv-targets-$(VERSION)

test-targets: $(TARGETS)/.installed
	JAX_PLATFORMS=cpu $(TARGETS)/bin/python -m pytest tests/run/test_targets.py

$(TARGETS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TARGETS)
	$(TARGETS)/bin/python -m pip install --quiet --upgrade pip
	$(TARGETS)/bin/python -m pip install --quiet --editable '.[dev,cuda-plan,tpu-plan]'
	@touch $@

clean:
	rm -rf .venv-* .pytest_cache .ruff_cache .hypothesis build *.egg-info
