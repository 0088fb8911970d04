# Info Lens. The two commands: `make serve` and `make test`. Each does all the set-up that it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SILENT:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
STAMPS := $(VENV)/.info-lens
SYSTEM_PACKAGES := postgresql nginx-light haproxy prometheus chromium
NATIVE := $(wildcard operators/native/*.h operators/native/*.cc)
CLIENT := $(STAMPS)/client
DEV := $(STAMPS)/dev

##@ Every day
.PHONY: serve
serve: $(CLIENT) ## Start the server with the committed models (ARGS="--http-port 0 --grpc-port 0 --metrics-port 0" picks free ports).
	exec $(BIN)/python -m serving $(ARGS)

.PHONY: dev
dev: $(DEV) ## Install what training, export, benchmarks and tests need (torch among it: some minutes the first time).

.PHONY: test
test: $(DEV) ## Lint, types and every test but the long and slow ones and test-system (ARGS="-k name" adds options, "-n 0" runs one at a time).
	echo "==> ruff, clang-format, mypy"
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)
	$(BIN)/mypy
	echo "==> committed configuration against the contract"
	$(BIN)/python -m export configs --check
	echo "==> pytest"
	$(BIN)/python -m serving --set-up-only
	exec $(BIN)/python -m pytest -m "not long and not slow and not system" -n 2 $(ARGS)

.PHONY: test-long
test-long: $(DEV) ## The tests that take a quarter of a minute or more each: Ray, whole servers that die, disks that fill up.
	exec $(BIN)/python -m pytest -m "long and not slow and not system" -n 2 $(ARGS)

.PHONY: test-slow
test-slow: $(DEV) ## The tests that take minutes.
	exec $(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: test-system
test-system: $(DEV) ## The tests with programs of the system (PostgreSQL, nginx, HAProxy, Prometheus, Chromium); root gets Debian's packages for them.
	if ! dpkg --status $(SYSTEM_PACKAGES) >/dev/null 2>&1; then
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
			echo "==> installing $(SYSTEM_PACKAGES)"
			(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES)) >/dev/null ||
				echo "they cannot be had here: the tests that need them are skipped"
		else
			echo "for all of these tests: apt-get install $(SYSTEM_PACKAGES)"
		fi
	fi
	exec $(BIN)/python -m pytest -m system -n 0 $(ARGS)

.PHONY: system-packages
system-packages: ## Name Debian's packages that test-system needs.
	echo "$(SYSTEM_PACKAGES)"

.PHONY: test-images
test-images: $(DEV) ## Really build the images and run them (root on Debian 12 with buildah and debootstrap; some minutes, 20 GB of disk).
	exec $(BIN)/python -m pytest -n 0 -m slow tests/images $(ARGS)

.PHONY: test-gpu-versions
test-gpu-versions: $(DEV) ## The GPU command with small models, in the versions of requirements/gpu.txt (GPU_PYTHON=python3.12 names its Python).
	exec $(BIN)/python -m pytest -n 0 -m slow tests/benchmarks/gpu/test_other_versions.py tests/engine/pytorch/kernels $(ARGS)

.PHONY: test-tensorrt
test-tensorrt: $(DEV) ## Plans that TensorRT for RTX really builds, without a GPU (.cache/trt, 350 MB; two minutes).
	exec $(BIN)/python -m pytest -n 0 -m slow tests/engine/trt $(ARGS)

.PHONY: gpu-carry
gpu-carry: $(DEV) ## A small copy of the checkout for a machine with a GPU that you were lent (scripts/gpu-carry --help).
	PYTHON=$(BIN)/python exec scripts/gpu-carry $(ARGS)

.PHONY: latency
latency: $(DEV) ## Measure info_lens on this machine: latency at one client, throughput at 16 in flight.
	exec $(BIN)/python -m benchmarks latency $(ARGS)

.PHONY: load
load: $(DEV) ## Find the highest rate at which all is answered within 500 ms, with Locust too: a page with pictures (10 minutes).
	exec $(BIN)/python -m benchmarks load --find-max --p99-ms 500 --locust-seconds 60 $(ARGS)

.PHONY: overload
overload: $(DEV) ## Ask three times more than the server can answer, and see what it refuses and answers (2 minutes).
	exec $(BIN)/python -m benchmarks overload $(ARGS)

.PHONY: soak
soak: $(DEV) ## An hour under load over all routes: is the server as fast, as small and as right as before? (ARGS="--seconds 180" tries it).
	exec $(BIN)/python -m benchmarks soak $(ARGS)

.PHONY: capacity
capacity: $(DEV) ## What longer articles, more beams and more cores cost, and how many machines a rate needs (6 minutes).
	exec $(BIN)/python -m benchmarks capacity $(ARGS)

.PHONY: autoscale
autoscale: $(DEV) ## What the cluster's autoscaler would do with a day's load, simulated (2 minutes).
	exec $(BIN)/python -m benchmarks autoscale $(ARGS)

.PHONY: tune
tune: $(DEV) ## Find the best settings for this machine, by measurement (15 minutes; ARGS="--name tuned" writes them).
	exec $(BIN)/python -m benchmarks tune $(ARGS)

.PHONY: peers
peers: $(DEV) ## Measure Info Lens beside other engines, in turn (20 minutes; ARGS="--size small" tries it out).
	exec $(BIN)/python -m benchmarks peers $(ARGS)

.PHONY: engine
engine: $(DEV) ## Measure the engine with slots beside the graph that is a whole search, in turn (5 minutes; ARGS="--size full" for BART large, as long).
	exec $(BIN)/python -m benchmarks engine $(ARGS)

##@ Upkeep
.PHONY: format
format: $(DEV) ## Format the code and apply the fixes that ruff knows.
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $(NATIVE)

.PHONY: configs
configs: $(DEV) ## Write every config.pbtxt anew from the contract.
	$(BIN)/python -m export configs

.PHONY: diagram
diagram: ## Draw docs/architecture.svg anew from docs/architecture.dot (needs Graphviz).
	exec scripts/diagram

.PHONY: lock
lock: ## Resolve the pinned lists in requirements/ anew (takes minutes).
	scripts/lock "$(PYTHON)"

.PHONY: clean
clean: ## Remove both environments and every cache, but not the keys of callers (.cache/keys).
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
	[ ! -d .cache ] || find .cache -mindepth 1 -maxdepth 1 ! -name keys -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this list.
	awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp is written last, so a set-up that was cut short starts again.
$(VENV)/bin/python:
	"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else f"Info Lens needs Python 3.11 or 3.12, and $(PYTHON) is {v[0]}.{v[1]}: say PYTHON=python3.11")'
	echo "==> making the environment $(VENV)"
	"$(PYTHON)" -m venv $(VENV)

$(CLIENT): requirements/client.txt pyproject.toml | $(VENV)/bin/python
	echo "==> installing the client (a few packages)"
	$(PIP) -r requirements/client.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	mkdir -p $(STAMPS)
	touch $@

$(DEV): requirements/dev.txt $(CLIENT) | $(VENV)/bin/python
	echo "==> installing what tests, training and export need (torch among it: some minutes the first time)"
	$(PIP) -r requirements/dev.txt
	touch $@
