# `make` sets everything up and runs the quick benchmark; `make test` sets everything up and runs the tests.
# Everything lives in .venv; nothing else is touched. All but setting up is `latentbench`: see `latentbench --help`.

PYTHON ?= python3
CONFIG ?= quick
# nproc counts OMP_NUM_THREADS for cores; here it would be the threads of one job.
CORES  ?= $(shell env -u OMP_NUM_THREADS nproc)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# What is imported is compiled once and kept: a third of the packages, where all of them would take half a minute.
unexport PYTHONDONTWRITEBYTECODE
WARM = pandas, matplotlib.pyplot, scipy.stats, sklearn.mixture, snakemake.cli, pydantic, jinja2, statsmodels.api

.DEFAULT_GOAL := run

# A stamp, so that a changed lock is the only thing that sets up again.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat --editable .
	.venv/bin/python -c "import torch, geomloss" & .venv/bin/python -c "import $(WARM)"; wait
	touch $@

.PHONY: setup
setup: .venv/ready

.PHONY: run
run: .venv/ready
	@latentbench run $(CONFIG) --cores $(CORES) $(SNAKEMAKE)

.PHONY: quick full mnist
quick full mnist: .venv/ready
	@latentbench run $@ --cores $(CORES) $(SNAKEMAKE)

.PHONY: plan check
plan check: .venv/ready
	@latentbench $@ $(CONFIG)

# The page, tables and figures from results that are there; trains nothing.
.PHONY: report
report: .venv/ready
	@latentbench collect $(CONFIG)
	@latentbench report $(CONFIG) --jobs $(CORES)

.PHONY: tune
tune: .venv/ready
	@latentbench tune $(CONFIG) --cores $(CORES) $(SNAKEMAKE)

.PHONY: doctor
doctor: .venv/ready
	@latentbench doctor

.PHONY: test
test: .venv/ready
	python -m pytest -q -m "not slow and not faults" --dist loadfile --no-loadscope-reorder -n $(CORES)

# Whole programs in copies of the checkout, and what compiles: workflows, CONTRIBUTING as it is written, `pip install`.
.PHONY: test-slow
test-slow: .venv/ready
	python -m pytest -q -m "slow and not faults" --dist loadfile --no-loadscope-reorder -n $(CORES)

.PHONY: test-faults
test-faults: .venv/ready
	python -m pytest -q -m faults

# Which changes of the code that decides numbers does no test notice? ONLY names modules (all of the core if none is
# named: an hour or more), SAMPLE how many changes of each: `make mutants ONLY=bench/evaluate/parzen.py SAMPLE=20`.
SAMPLE ?= 20
.PHONY: mutants
mutants: .venv/ready
	uv pip install --quiet --python .venv/bin/python --group mutants
	python tests/mutants.py --sample $(SAMPLE) $(ONLY)

.PHONY: lint
lint: .venv/ready
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile
	snakemake --configfile config/quick.yaml --lint

.PHONY: lock
lock: .venv/ready
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group dev pyproject.toml -o requirements.lock

.PHONY: clean
clean:
	rm -rf .venv .snakemake .ruff_cache .hypothesis
