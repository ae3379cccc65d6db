# The two commands: `make demo` and `make test`. Both set everything up first, and start from what is there.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Two workers, each with whole files of tests: what a file builds is built once.
SHARED := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo new robustness plan test test-fast test-slow slurm bench faults lint docs format schema stages clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-11s %s\n", $$1, $$2}'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "overtop needs Python 3.11 or newer; name one: make demo PYTHON=python3.12"; exit 1; }
	@echo "overtop: making an environment in .venv"
	@$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "overtop: installing the pipeline (a few minutes the first time)"
	@$(PIP) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "overtop: installing what the tests need"
	@$(PIP) -e '.[dev]'
	@touch $@

DEMO := results/tables/demo.csv results/figures/demo-calibration.pdf results/figures/demo-rejection.pdf results/reports/demo.html

demo: .venv/installed ## the main job, offline, on a CPU
	@$(BIN)/snakemake -- $(DEMO)

new: .venv/installed ## write the entries for your own data: make new DATA=FOLDER [NAME=mine]
	@test -n "$(DATA)" || { echo "overtop: name your folder: make new DATA=FOLDER"; exit 1; }
	@$(BIN)/overtop init "$(DATA)" $(NAME:%=--name %)

# The study of the shapes world: accuracy, calibration and uncertainty under attack, and which part of UCAT matters.
STUDY := $(addprefix results/robustness/scenes,.csv -calibration.csv -divergences.csv -objectives.csv -effects-uncertainty.csv -retrieval-uncertainty.csv) \
         results/tables/scenes.csv $(addprefix results/figures/scenes-,robustness.pdf reliability.pdf uncertainty.pdf training.pdf)

.venv/installed-attacks: .venv/installed
	@$(PIP) -e '.[attacks]'
	@touch $@

robustness: .venv/installed-attacks ## adversarial attacks and fine-tuning on the shapes world, offline, on a CPU
	@$(BIN)/snakemake -- $(STUDY)

TARGETS = $(TABLE:%=results/tables/%.csv) $(FIGURE:%=results/figures/%.pdf)

plan: .venv/installed ## what a run would do and cost: make plan TABLE=table1, FIGURE=figure3 or TARGETS="FILE FILE"
	@$(BIN)/python -m overtop.pipeline.plan $(TARGETS)

test: lint docs test-fast test-slow ## everything CI runs

test-fast: .venv/installed-dev ## unit tests
	@$(BIN)/python -m pytest -q $(SHARED) -m "not slow and not faults and not slurm"

test-slow: .venv/installed-dev ## the real pipeline, end to end
	@$(BIN)/python -m pytest -q $(SHARED) -m "slow and not faults and not slurm"

faults: .venv/installed-dev ## kill writers and runs, flip bytes, fill disks: a table of what became of each try (takes long)
	@OVERTOP_FAULTS_REPORT=results/faults.md $(BIN)/python -m pytest -q $(SHARED) tests/faults -m "not slurm"

slurm: .venv/installed-dev ## the pipeline on a real Slurm, which is installed on this machine (root, Debian or Ubuntu)
	@$(BIN)/python -m pytest -q -m slurm

bench: .venv/installed-dev ## measure speed and memory into results/bench
	@$(BIN)/python tests/bench

lint: .venv/installed-dev ## ruff, mypy, snakefmt, snakemake --lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/snakefmt --check workflow
	@$(BIN)/snakemake --lint

docs: .venv/installed-dev ## build the documentation into site, with all links checked
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: .venv/installed-dev ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/snakefmt workflow

schema: .venv/installed ## write what is generated: the editor's schema of config.yaml, tables of the documentation
	@$(BIN)/python -c 'from pathlib import Path; from overtop.pipeline.reference_pages import write_generated; write_generated(Path())'

stages: .venv/installed ## record the digests of the sources of all stages
	@$(BIN)/python -c 'from pathlib import Path; from overtop.pipeline.stages import stage_states; from overtop.storage.json_files import write_plain_json; write_plain_json("tests/stages.json", stage_states(Path("scripts")))'

clean: ## remove results and logs, keep data and environment
	find results -mindepth 1 ! -name README.md -delete
	rm -rf logs benchmarks .snakemake
