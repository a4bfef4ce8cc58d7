# `make help` lists the targets. Everything is installed into .venv from requirements.lock, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
# Compiled kernels are kept here between runs: compiling them takes longer than most tests. numba does not see that a
# kernel has changed which another file's kernel calls, so every state of the sources has a cache of its own.
export NUMBA_CACHE_DIR ?= $(CURDIR)/.cache/numba/$(shell cat kernels/*.py | cksum | cut -d ' ' -f 1)
PACKAGES := kernels runtime export bridge web_client cli bench

.PHONY: help demo test fuzz lint web bench install typing-links clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## install the pinned packages and gstalker itself into .venv
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: requirements.lock needs Python 3.11 or newer, $(PYTHON) is older: run make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## the whole chain on an avatar it makes itself, into out/demo
	$(BIN)/gstalker demo --overwrite

.PHONY: vulkan
vulkan: ## a Vulkan driver that needs no GPU, into .cache: what the Unity shaders' tests run on
	@tools/software_vulkan.sh || echo "SKIPPED software Vulkan: the Unity shaders' tests will skip where there is no other"

test: install vulkan ## all tests; what is skipped is listed with its reason
	$(BIN)/python -m pytest $(PYTEST_ARGS)

fuzz: install ## a million damaged messages, ten thousand damaged bundles, and more; half an hour
	PYTHONPATH=tests $(BIN)/python -m fuzz.run

lint: install typing-links ## ruff and pyright
	@failed=0; \
	$(BIN)/ruff check || failed=1; \
	$(BIN)/ruff format --check || failed=1; \
	if $(BIN)/pyright --version >/dev/null 2>&1; then $(BIN)/pyright --pythonpath $(BIN)/python || failed=1; \
	else echo "SKIPPED pyright: it needs node, on the PATH or downloaded, and neither worked here"; fi; \
	exit $$failed

web: install ## the browser client's engine anew from npm, checked; needs Node.js
	$(BIN)/python -m gstalker.bridge.web.vendor

bench: install ## measured figures of every part, into out/bench.json
	$(BIN)/gstalker bench --json out/bench.json

# pyright does not read setuptools' package-dir, so it gets the import names as links.
typing-links:
	@mkdir -p build/typing/gstalker
	@for name in $(PACKAGES); do ln -sfn "$(CURDIR)/$$name" build/typing/gstalker/$$name; done

clean: ## remove .venv and everything that was built; out/ stays
	rm -rf $(VENV) build .cache .pytest_cache .ruff_cache .hypothesis *.egg-info
