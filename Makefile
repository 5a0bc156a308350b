# The project's commands. Each sets up the clone first, once for each state of the pinned packages.

SHELL := /bin/sh
BIN := .venv/bin
STATE := $(shell cat locks/dev.txt pyproject.toml | sha256sum | cut -c1-16)
READY := .venv/.ready-$(STATE)
EXTRAS := build gateway network inference explain spatial reports training
# Wheels for the oldest supported Python on Linux; newer ones take the same versions.
COMPILE := $(BIN)/uv pip compile --quiet pyproject.toml --generate-hashes --python-version 3.11 \
	--python-platform x86_64-manylinux_2_34 --no-header --no-emit-index-url --no-emit-find-links

# What the benchmarks run beside us; it sees .venv's packages, the editable one too, and installs only
# what is not there.
PEERS := build/bench-env

.PHONY: help demo test up lint chaos fuzz load bench schema screenshots compose-test lock setup clean

help:
	@echo "make demo   the whole system on slices that it makes itself; results in demo-output/"
	@echo "make test   every check and every test"
	@echo "make up     keep the system running on http://127.0.0.1:8000"
	@echo "make lint   the checks without the tests"
	@echo "make chaos  200 scans while every part is killed, frozen or emptied (see docs/operations.md)"
	@echo "make fuzz   5,000 mutated files against a running gateway"
	@echo "make load   how fast the API answers, with 1,000 and with 100,000 scans stored"
	@echo "make bench  side by side with the bare work and with other servers, about 30 minutes"
	@echo "make schema 2,000 requests that schemathesis draws from the OpenAPI document"
	@echo "make screenshots  the page's pictures in docs/images, from phantoms"
	@echo "make compose-test  build the images, run the whole deployment, harm it, restore it (as root)"
	@echo "make lock   pin the packages anew (UPGRADE=1: to their newest versions)"
	@echo "make clean  remove what was built, but not .venv and neuroscan-data"

setup: $(READY)

$(READY):
	@scripts/setup
	@rm -f .venv/.ready-*
	@touch $@

demo: $(READY)
	@$(BIN)/neuroscan demo --out demo-output

up: $(READY)
	@exec $(BIN)/neuroscan up

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	@scripts/setup browser
	@scripts/setup prometheus || true
	$(BIN)/pytest

screenshots: $(READY)
	@scripts/setup browser
	$(BIN)/python -m tests.browser.screenshots

# As whoever calls; as `nobody` where that is root.
chaos: $(READY)
	$(BIN)/python -m tests.chaos

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz

load: $(READY)
	$(BIN)/python -m benchmarks.load

$(PEERS)/.ready: $(READY) locks/bench.txt
	$(BIN)/python -m venv $(PEERS)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	$(PEERS)/bin/pip install --quiet --require-hashes -r locks/bench.txt
	@touch $@

bench: $(PEERS)/.ready
	$(PEERS)/bin/python -m benchmarks $(if $(DATA),--data $(DATA))

schema: $(READY)
	$(BIN)/python -m tests.integration.gateway.schema

# Needs a Docker engine and docker-compose.
compose-test: $(READY)
	$(BIN)/python -m tests.compose

# Every service's own list follows the one that the tests ran with.
# BentoML pins an older OpenTelemetry than ours, in its own environment.
lock: $(READY)
	$(COMPILE) --extra dev $(if $(UPGRADE),--upgrade) --output-file locks/dev.txt
	for extra in $(EXTRAS); do \
		$(COMPILE) --extra $$extra --constraints locks/dev.txt \
			--output-file locks/$$extra.txt || exit 1; \
	done
	@mkdir -p build
	sed -n '/^opentelemetry/d; s/^\([a-z0-9][^ ]*==[^ ]*\).*/\1/p' locks/dev.txt > build/bench-constraints.txt
	$(COMPILE) --extra bench --constraints build/bench-constraints.txt --no-annotate --output-file locks/bench.txt

clean:
	rm -rf build dist demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find neuroscan services training benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +
