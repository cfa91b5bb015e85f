# Two commands do everything: `make run` and `make test`. The rest is for those who change or prove the code.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT           ?= 8080
FRESHDESK_PORT ?= 8081
SEEDS    ?= 10
HANDOFFS ?= 10000
HANDOFFS_CRASH ?= 1000
KILLS    ?= 300
ENDINGS  ?= 200

# Of pip's environment settings those of the index and the network count; the others change what an install does.
PIP_KEPT := INDEX_URL EXTRA_INDEX_URL NO_INDEX FIND_LINKS TRUSTED_HOST CERT CLIENT_CERT PROXY TIMEOUT DEFAULT_TIMEOUT RETRIES \
	CACHE_DIR NO_CACHE_DIR CONFIG_FILE KEYRING_PROVIDER USE_FEATURE USE_DEPRECATED
unexport $(filter-out $(PIP_KEPT:%=PIP_%),$(filter PIP_%,$(.VARIABLES)))

.PHONY: run test check format coverage test-node test-browser test-deploy test-install simulate outage crash crash-lambda copies endings bench mutate \
	fuzz audit package release requirements clean help

run: $(VENV)/run.stamp  ## start the stand-in, the function and the sweep; send a sample; until Ctrl-C
	@PORT=$(PORT) FRESHDESK_PORT=$(FRESHDESK_PORT) $(BIN)/python -m dev.local_freshdesk.demo

test: $(VENV)/dev.stamp  ## the offline suite: Python alone is enough
	$(BIN)/python -m pytest -n 2 -m "not node and not browser and not deploy and not install"

check: $(VENV)/dev.stamp  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

format: $(VENV)/dev.stamp  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COVERED := handoff freshdesk_client main

coverage: $(VENV)/dev.stamp  ## at least 99 of 100 lines and branches of the function's own rooms are run by its own tests
	$(BIN)/python -m pytest -q -n 2 -m "not node" $(COVERED:%=--cov=%) --cov-report=term-missing --cov-fail-under=99 \
		tests/test_freshdesk_client.py tests/handoff --deselect tests/handoff/test_schemathesis.py

test-node: $(VENV)/dev.stamp tests/botpress/node/node_modules  ## the Botpress cards and the npm clients; needs Node.js 20
	$(BIN)/python -m pytest -n 2 -m "node and not browser"

test-browser: $(VENV)/dev.stamp tests/botpress/node/node_modules  ## the pages and drawings; needs Chromium
	$(BIN)/python -m pytest -m browser

test-deploy: $(VENV)/dev.stamp node_modules  ## package, deploy to an emulated AWS, run the zip; needs Node.js 20 and Python 3.13
	$(BIN)/python -m pytest -m deploy

test-install: $(VENV)/dev.stamp  ## the lock files on Python 3.11, 3.12 and 3.13, and after newer versions came out; asks the package index
	$(BIN)/python -m pytest -n 2 -m install

simulate: $(VENV)/dev.stamp  ## 10 seeds of 10,000 handoffs with faults, on a virtual clock
	$(BIN)/python -m dev.simulation.simulate --seeds $(SEEDS) --handoffs $(HANDOFFS)

outage: $(VENV)/dev.stamp  ## Freshdesk down for a day, and a burst against the rate limit, on a virtual clock
	$(BIN)/python -m dev.simulation.outage

crash: $(VENV)/dev.stamp  ## 1,000 handoffs through real processes that are killed 300 times
	$(BIN)/python -m dev.simulation.crash --handoffs $(HANDOFFS_CRASH) --kills $(KILLS)

crash-lambda: $(VENV)/dev.stamp tests/botpress/node/node_modules  ## the same on AWS's runtime client and DynamoDB, frozen and suspended as well; needs Node.js
	$(BIN)/python -m dev.simulation.crash_on_lambda --handoffs $(HANDOFFS_CRASH) --kills $(KILLS)

copies: $(VENV)/dev.stamp  ## the same handoff many times at once, over threads and processes
	$(BIN)/python -m dev.simulation.copies

endings: $(VENV)/dev.stamp  ## Ctrl-C at 200 moments of `make run`; nothing may be left running
	ENDINGS=$(ENDINGS) $(BIN)/python -m pytest -q -n 2 tests/dev/local_freshdesk/test_ending.py

bench: $(VENV)/dev.stamp node_modules  ## measure, and write docs/performance.md's table and plot; needs wrk and hyperfine
	$(BIN)/python -m dev.bench $(BENCH)

mutate: $(VENV)/proof.stamp  ## change the code in small ways and list what no test notices; MODULES=handoff/routing.py for one
	$(BIN)/mutmut run $(foreach name,$(MODULES),'$(subst /,.,$(basename $(name))).*')
	@$(BIN)/mutmut results | grep -v 'not checked' || echo "every change was noticed"

fuzz: $(VENV)/proof.stamp  ## 10,000 examples for each property, then Atheris on the parser
	HYPOTHESIS_PROFILE=fuzz PYTEST_TIMEOUT=3600 $(BIN)/python -m pytest -n 2 -m "hypothesis and not node and not browser and not deploy and not proof" tests
	$(BIN)/python -m tests.security.fuzz.parser

audit: $(VENV)/dev.stamp  ## known vulnerabilities of what ships, builds and tests; asks the network
	for lock in requirements.txt requirements/lambda.txt requirements/dev.txt requirements/tools.txt; do \
		$(BIN)/pip-audit --disable-pip --require-hashes -r $$lock || exit 1; done
	npm audit
	npm audit --prefix tests/botpress/node

package: node_modules  ## what `npx serverless deploy` would upload; needs no account
	npx serverless package

release: $(VENV)/run.stamp package  ## the zip, its CloudFormation template, the changelog's chapter and checksums in release/
	$(BIN)/python -m deploy.aws.release

# Pins that still fit stay as they are; `make requirements UPGRADE=--upgrade` renews them all.
COMPILE = $(VENV)/tools/bin/uv pip compile -q $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make requirements"
requirements: $(VENV)/tools.stamp  ## compile requirements/*.in into the lock files; asks the package index
	$(COMPILE) requirements/run.in -o requirements.txt
	for name in lambda dev proof tools; do $(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo "Python's venv is missing; on Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The lock files are complete, so pip has nothing to choose: what came out since cannot change what it installs.
$(VENV)/%.stamp: | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r $<
	@$(BIN)/python -m pip check || { echo "Something older is left in $(VENV): make clean, then the same again."; exit 1; }
	@touch $@

$(VENV)/run.stamp: requirements.txt
$(VENV)/dev.stamp: requirements/dev.txt
$(VENV)/proof.stamp: requirements/proof.txt

# Tools that do not go with our own packages live in a venv of their own.
$(VENV)/tools.stamp: requirements/tools.txt | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/tools
	$(VENV)/tools/bin/python -m pip install -q --disable-pip-version-check --no-deps -r $<
	@touch $@

node_modules: package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

tests/botpress/node/node_modules: tests/botpress/node/package-lock.json
	npm ci --no-audit --no-fund --prefix tests/botpress/node
	@touch $@

clean:  ## remove everything that these commands made
	rm -rf $(VENV) .local .serverless release build.json vendor mutants node_modules tests/botpress/node/node_modules
