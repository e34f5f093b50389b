# `make` sets everything up and runs the quick benchmark; `make test` sets everything up and runs the tests.
# Other configs: `make run CONFIG=config/mnist.yaml`. Everything lives in .venv; nothing else is touched.

PYTHON ?= python3
CONFIG ?= config/quick.yaml
CORES  ?= $(shell nproc)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := quick

# A stamp, so that a changed lock is the only thing that sets up again.
.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	touch $@

.PHONY: setup
setup: .venv/ready
