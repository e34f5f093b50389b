# `make` sets everything up and runs the quick benchmark; `make test` sets everything up and runs the tests.
# Other configs: `make run CONFIG=config/mnist.yaml`. Everything lives in .venv; nothing else is touched.

PYTHON ?= python3
CONFIG ?= config/quick.yaml
# nproc counts OMP_NUM_THREADS for cores; here it would be the threads of one job.
CORES  ?= $(shell env -u OMP_NUM_THREADS nproc)
RESULTS = results/$(basename $(notdir $(CONFIG)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := quick

# A stamp, so that a changed lock is the only thing that sets up again.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	.venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
	touch $@

.PHONY: setup
setup: .venv/ready

# The pipeline, quiet but for a line for each finished job; the report's last lines name the files and print the table.
.PHONY: run
run: .venv/ready
	snakemake --configfile $(CONFIG) --cores $(CORES) $(SNAKEMAKE)
	@cat "$$(ls $(RESULTS)/tables/likelihood.md $(RESULTS)/tables/semi_supervised.md 2>/dev/null | head -n 1)"
	@echo "tables:  $(RESULTS)/tables"
	@echo "figures: $(RESULTS)/figures"
	@echo "report:  $(RESULTS)/report.html"

.PHONY: quick
quick: .venv/ready
	@$(MAKE) --no-print-directory run CONFIG=config/quick.yaml

.PHONY: mnist
mnist: .venv/ready
	@$(MAKE) --no-print-directory run CONFIG=config/mnist.yaml

# What would run, and what it would cost, from the timings of earlier runs.
.PHONY: plan
plan: .venv/ready
	@python -m bench.records.plan $(CONFIG)

# The page, tables and figures from results that are there; trains nothing.
.PHONY: report
report: .venv/ready
	@python -m bench.records.collect $(CONFIG) $(RESULTS)/metrics.csv
	@python -m bench.report.page $(CONFIG) $(RESULTS)/metrics.csv $(RESULTS)/report.html --jobs $(CORES)

# Whether results are whole and belong together: records, measurements, models, the table.
.PHONY: check
check: .venv/ready
	@python -m bench.records.integrity $(CONFIG)

# The trials of the config's `tuning` section, chosen on validation images.
.PHONY: tune
tune: .venv/ready
	snakemake tune --configfile $(CONFIG) --cores $(CORES) $(SNAKEMAKE)

.PHONY: new-regularizer
new-regularizer: .venv/ready
	@python -m bench.config.new_method $(NAME)

.PHONY: test
test: .venv/ready
	python -m pytest -q -m "not faults" --dist loadfile -n $(CORES)

.PHONY: test-faults
test-faults: .venv/ready
	python -m pytest -q -m faults

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
