# One command each, the same here as in CI. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

.PHONY: venv
venv: $(STAMP) ## make .venv with the locked dependencies

.PHONY: demo
demo: $(STAMP) ## a promotion, a mirror, a denial and a replay in one minute; needs neither Docker nor Kafka
	@$(BIN)/towline demo

.PHONY: parts
parts: $(STAMP) ## fetch what the full tests need: Apache Kafka, three registries, kcat
	@$(BIN)/python -m tests.support.parts

.PHONY: parts-all
parts-all: $(STAMP) ## and cosign, which takes minutes to build
	@$(BIN)/python -m tests.support.parts --all

.PHONY: quick
quick: $(STAMP) ## the tests that need no broker and no registry (under a minute)
	@$(BIN)/python -m pytest --numprocesses auto tests/unit tests/property tests/contract -m "not kafka and not distribution"

.PHONY: test
test: check parts ## everything, on Apache Kafka and real registries
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile tests -m "not kafka and not chaos"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests -m "kafka or chaos"

.PHONY: check
check: $(STAMP) ## formatting, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: bench
bench: $(STAMP) parts ## benchmarks as ratios, one JSON object a line (ONLY=NAME for one)
	@$(BIN)/python -m bench $(ONLY)

.PHONY: schemas
schemas: $(STAMP) ## write the JSON Schemas and the AsyncAPI document anew
	@$(BIN)/python -m schemas.generate

.PHONY: lock
lock: ## resolve the dependencies anew into constraints.txt (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
	  --no-annotate --no-header pyproject.toml --output-file constraints.txt

.PHONY: clean
clean: ## remove what the commands made
	rm -rf $(VENV) .parts .mypy_cache .ruff_cache .pytest_cache .hypothesis .towline
