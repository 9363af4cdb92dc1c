# What a developer does with Mailloom, one command each. Needs Python 3.11 or later, make and git; the rest is
# installed into .venv from the locks in requirements/, each file checked against its hash.

# The first interpreter that is new enough; `make PYTHON=/path/to/python3` decides otherwise.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Paths of mail for `make bench`; without it bench/peers.py chooses and says what it took.
MAIL ?=
ROUNDS ?= 3
# Each fault on the whole server profile, in `make soak` with more mail.
FAULTS := $(addprefix tests/faults/test_servers_,faults.py failing.py twice.py)
# More options for pytest: `make test ARGS="-k address"`.
ARGS ?=
GATED := src/mailloom/mail src/mailloom/thread src/mailloom/flow

LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --quiet --custom-compile-command "make lock" $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-servers soak services services-stop check fmt bench prove dist lambda-zip infra cdk lock clean up down

help: ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/dev.stamp ## make .venv with all that development needs; the other commands do it by themselves

demo: $(VENV)/base.stamp ## 3,000 made-up mails become an archive: the books, a search, a thread
	@bash .ci/demo $(BIN) demo

test: $(VENV)/dev.stamp ## the tests, and the gate: 90 % of the branches of mail/, thread/ and flow/
	@mkdir -p build
	$(BIN)/python -m pytest -m "not prove and not servers and not soak and not infra" -n auto --maxprocesses 8 --cov --cov-report= \
		--cov-report=json:build/coverage.json $(ARGS)
	$(if $(ARGS),,$(BIN)/python .ci/gate.py build/coverage.json $(GATED))

test-servers: $(VENV)/dev.stamp ## the tests that need servers; those that `make services` started are used
	$(BIN)/python -m pytest -m "servers and not soak and not infra" -n 2 $(ARGS)

soak: $(VENV)/dev.stamp ## the long runs on servers, half an hour and more
	$(BIN)/python -m pytest -m soak $(ARGS)
	MAILLOOM_FAULT_MAILS=1000 $(BIN)/python -m pytest -m "not soak" $(FAULTS) $(ARGS)

up: $(VENV)/dev.stamp ## the whole server profile at a desk: servers, bucket, queues, validator, workers, settle
	@$(BIN)/python -m services up

down: ## stop what `make up` started
	@test ! -e $(VENV)/dev.stamp || $(BIN)/python -m services down

services: $(VENV)/dev.stamp ## start PostgreSQL, Valkey, DynamoDB Local, OpenSearch and a stand-in for the rest of AWS
	$(BIN)/python -m services start

services-stop: ## stop them, and remove their data
	@test ! -e $(VENV)/dev.stamp || $(BIN)/python -m services stop

check: $(VENV)/dev.stamp ## lint, format, types and layers, without changing anything
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/dev.stamp ## format, and mend what can be mended without thought
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(VENV)/dev.stamp ## ingest beside mu and notmuch, on the same mail: MAIL="folder ..." ROUNDS=3
	$(BIN)/python bench/peers.py --rounds $(ROUNDS) $(MAIL)

prove: $(VENV)/dev.stamp ## the longer proofs: more kill points, more orders, bigger mail
	HYPOTHESIS_PROFILE=prove $(BIN)/python -m pytest -m "prove and not servers and not soak and not infra" $(ARGS)

dist: $(VENV)/dev.stamp ## sdist and wheel, and the wheel tried in an empty environment
	@bash .ci/dist $(BIN) dist

lambda-zip: $(VENV)/base.stamp ## the zip for AWS Lambda: ARGS="--arch x86_64 --python 3.13"
	$(BIN)/python packaging/lambda_zip.py $(ARGS)

infra: $(VENV)/infra.stamp ## the AWS app: the zip for Lambda, the templates of all stages, and what must hold of them
	$(BIN)/python packaging/lambda_zip.py --arch arm64
	$(BIN)/python -m infra.asl
	$(BIN)/python -m infra.cdk synth --quiet
	$(BIN)/python -m pytest -m infra $(ARGS)

cdk: $(VENV)/infra.stamp ## the CDK's command, as docs/aws.md uses it: ARGS="deploy 'MailloomDev*'"
	@$(BIN)/python -m infra.cdk $(ARGS)

lock: $(VENV)/base.stamp ## write requirements/*.txt anew from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(LOCK) pyproject.toml -o requirements/base.txt
	$(LOCK) pyproject.toml --extra dev -c requirements/base.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra aws -c requirements/base.txt -c requirements/dev.txt -o requirements/aws.txt
	$(LOCK) pyproject.toml --extra infra -c requirements/base.txt -c requirements/dev.txt -o requirements/infra.txt
	$(LOCK) requirements/ministack.in -o requirements/ministack.txt
	$(LOCK) requirements/tools.in -c requirements/dev.txt -o requirements/tools.txt

clean: services-stop ## remove what these commands made, .venv too
	rm -rf $(VENV) build dist demo .coverage .coverage.* .hypothesis .mypy_cache .ruff_cache .import_linter_cache

# pip brings uv and the build backend, uv the rest. The package itself is built with the backend already here, so
# nothing comes without a known hash.
$(VENV)/base.stamp: requirements/tools.txt requirements/base.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Mailloom needs Python 3.11 or later: install it, or make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "no virtual environment could be made: on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/base.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/base.stamp requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/infra.stamp: $(VENV)/dev.stamp requirements/infra.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/infra.txt
	@touch $@
