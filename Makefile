# The whole of Taskbell needs Python 3.11+ and make. `make` alone lists what there is.
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTEST_ARGS ?= -n 2 --dist loadgroup -q
ROOMS := core api notifier operator local
CHECKED := $(ROOMS) images docs/_generate docs/examples loadtests tests .ci

.PHONY: help setup tools run test test-pgbouncer test-cluster check fix bench capacity million attack clients features lock docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

setup: ## make .venv with what running needs, from the hashed lock (make run does this by itself)
	@python=$$(.ci/python) && "$$python" -I .ci/setup.py

tools: ## add what tests, checks and measurements need (their targets do this by themselves)
	@python=$$(.ci/python) && "$$python" -I .ci/setup.py --all

run: setup ## run the whole platform on this machine; Ctrl-C stops it
	@exec $(BIN)/taskbell up

test: tools ## test everything that needs no cluster (PYTEST_ARGS changes how)
	@exec $(BIN)/python -m pytest $(PYTEST_ARGS)

test-pgbouncer: tools ## test what reaches PostgreSQL through a real PgBouncer (.ci/pgbouncer builds one; TASKBELL_PGBOUNCER names it)
	@exec env TASKBELL_TESTS_THROUGH_PGBOUNCER=1 $(BIN)/python -m pytest $(PYTEST_ARGS) \
		tests/api tests/delivery tests/sweeper tests/gateway tests/relay

test-cluster: tools ## test a release on the cluster of KUBECONFIG; writes build/cluster/report.md (docs/how-to/test-on-a-cluster.md)
	@exec env TASKBELL_TEST_CLUSTER=1 $(BIN)/python -m pytest -n 0 -q $(CLUSTER_ARGS) tests/cluster

check: tools ## lint, types, directions between rooms, architecture tests, generated documents fresh
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir .import_linter_cache
	@$(BIN)/python -m docs._generate --check
	@$(BIN)/python -m docs._generate.breaking
	@$(BIN)/python -m pytest -n 0 -q tests/architecture

fix: tools ## let ruff fix and format
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

bench: tools ## compare the hot paths with their floors; writes build/bench.json
	@mkdir -p build
	@exec $(BIN)/python loadtests/bench.py $(BENCH_ARGS)

capacity: tools ## grow load until a limit breaks, count what arrived; writes build/capacity (CAPACITY_ARGS: --help; TARGET: URL of an installation)
	@exec $(BIN)/taskbell capacity $(if $(TARGET),--target $(TARGET)) $(CAPACITY_ARGS)

million: tools ## create a million tasks and count each everywhere; writes build/million, goes on after Ctrl-C (MILLION_ARGS: --help)
	@exec $(BIN)/taskbell capacity million $(MILLION_ARGS)

attack: tools ## let hostile users attack among honest ones; writes build/attack (ATTACK_ARGS: --help)
	@exec env PYTHONPATH=loadtests $(BIN)/python -m attack $(ATTACK_ARGS)

clients: tools ## generate clients for Python, TypeScript and Go, build them and let them work (GENERATOR: the jar of openapi-generator-cli)
	@exec env TASKBELL_OPENAPI_GENERATOR="$(GENERATOR)" $(BIN)/python -m pytest -n 0 -q -rs tests/clients

features: tools ## print the feature list and the tests that prove each line
	@exec $(BIN)/python -m docs._generate.features

lock: setup ## write the dependency locks
	@.ci/lock

docs: tools ## write the generated documents
	@exec $(BIN)/python -m docs._generate

clean: ## remove what the other targets made, except the data directory .taskbell
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(ROOMS) docs tests loadtests -name __pycache__ -type d -prune -exec rm -rf {} +
