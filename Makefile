# Thin over scripts/, which work where make is missing.
.DEFAULT_GOAL := help

.PHONY: help
help: ## say what there is (this)
	@echo "Forestay: real-time retention on Kafka and Triton. make TARGET, where TARGET is one of"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Begin with 'make demo'. Needed: Python 3.11 to 3.13 and PyPI in reach."

.PHONY: setup
setup: ## make .venv with the command forestay in it, and stop there
	@scripts/setup
	@echo "now: . .venv/bin/activate && forestay --help"

.PHONY: compile
compile: ## compile the core again after a change (setup does it too)
	@scripts/compile

.PHONY: demo
demo: ## the whole path on a recorded shop: broker, Triton, worker, books, report
	@scripts/demo

.PHONY: test
test: ## set up and run every check and test (with torch: 6 GB)
	@scripts/test

.PHONY: test-serving
test-serving: ## the same without training: no torch
	@scripts/test --serving

.PHONY: coverage
coverage: ## make test, and what the tests cover: it takes twice as long
	@scripts/test --coverage

.PHONY: lint
lint: ## check lock file, style, shell and types
	@scripts/lint

.PHONY: format
format: ## format the code and mend what can be mended
	@scripts/format

.PHONY: types
types: ## check the types alone
	@scripts/types

.PHONY: model
model: training ## train the churn model and export it to model_repository/ again
	@scripts/model $(ARGS)

.PHONY: recording
recording: setup ## make recordings/ again: make recording SOURCE=orders.parquet
	@.venv/bin/python -m forestay_training.online_retail --source "$(SOURCE)" --out recordings/online-retail-ii.parquet

.PHONY: training
training: ## add to .venv what training needs (torch: 6 GB)
	@scripts/setup --extra embedded --extra train

.PHONY: bench
bench: setup ## compare this engine with its peers on a real Kafka: make bench ARGS="--peers flink"
	@scripts/bench $(ARGS)

.PHONY: chaos
chaos: setup ## break things while traffic flows, and count what came of it: make chaos ARGS="--runs 200 --seed 1"
	@scripts/chaos $(ARGS)

.PHONY: schemas
schemas: setup ## write schemas/json/ again from the contracts
	@.venv/bin/python -m forestay_schemas

.PHONY: clean
clean: ## remove all that can be made again: environments, caches, what a run left
	@rm -rf .uv .venv .cache .forestay .mypy_cache .ruff_cache .pytest_cache .hypothesis dist htmlcov .coverage
	@find schemas streams training tests scripts bench chaos -name __pycache__ -type d -prune -exec rm -rf {} +
