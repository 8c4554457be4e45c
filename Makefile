# The commands of this project. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup daily test lint browser drill bench lock vocabulary clean

PYTEST := .venv/bin/python -m pytest
# The tests start pytest some hundred times: what was compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE
REPORTS ?= reports
# A file's tests stay together, for they share what they started; the large files are not put last.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## the locked environment, in .venv

.venv/.ready: requirements/dev.txt pyproject.toml tools/setup
	@sh tools/setup

daily: .venv/.ready ## run the day's checks on the embedded replicas; leaves an HTML report
	@.venv/bin/python tools/browser || true
	@$(PYTEST) -m daily --reports=$(REPORTS)

test: .venv/.ready ## run every test: lint, types, import contracts, tests
	@$(MAKE) --no-print-directory lint
	@.venv/bin/python tools/browser
	@.venv/bin/python tools/prometheus
	@trap '.venv/bin/python tools/docker-engine stop' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	.venv/bin/python tools/docker-engine start && $(PYTEST) tests $(SIDE_BY_SIDE)

lint: .venv/.ready
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache | tail -n 3

browser: .venv/.ready ## a browser for the checks that open pages: one that is here, or a fetched one
	@.venv/bin/python tools/browser

bench: .venv/.ready ## measure, side by side (several minutes); writes benchmarks/README.md
	@.venv/bin/python benchmarks/run.py

drill: .venv/.ready ## turn every dial of the replicas: has every check been seen red?
	@$(PYTEST) --drill -n 2 --reports=$(REPORTS)

vocabulary: .venv/.ready ## write docs/vocabulary.md from the steps
	@.venv/bin/watchkeeper vocabulary > docs/vocabulary.md

lock: .venv/.ready ## choose newer versions of everything, within pyproject.toml
	@sh tools/lock

clean: ## remove the environment and all caches, not the reports
	rm -rf .venv .uv .cache .mypy_cache .ruff_cache .pytest_cache
