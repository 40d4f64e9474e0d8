# Every task of the project. `make` alone lists them.

SHELL := bash
.NOTPARALLEL:
.DEFAULT_GOAL := help

# What demo, run and smoke run. `dev` compiles the dependencies for speed all the same, and `make test`
# shares the build; `release` is for production and for the figures.
PROFILE ?= dev
# What `run` serves.
CONFIG ?= anamnesis.toml

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/anamnesis
DEV_BINARY := $(TARGET)/debug/anamnesis

# The server, the tests and `models pull` all look for the weights here.
ANAMNESIS_MODEL_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/anamnesis/models
export ANAMNESIS_MODEL_DIR

WEB_SOURCES := $(shell find web/src web/public -type f) web/index.html web/operations.html \
	web/package.json web/vite.config.js web/tsconfig.json
PREREQUISITES := bash scripts/check-prerequisites.sh

.PHONY: help demo run build web web-if-node test bench bench-answers bench-embed bench-generation bench-index bench-memory bench-serving smoke scan lint licences clean-demo measure-guard

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: build ## answer questions over a small fictional hospital, in the browser
	$(BINARY) demo

run: build ## serve with CONFIG (anamnesis.toml)
	$(BINARY) serve --config $(CONFIG)

build:
	@$(PREREQUISITES) rust python
	@$(MAKE) --no-print-directory web-if-node
	cargo build --locked --profile $(PROFILE)

web: web/dist/index.html ## build the pages

web-if-node:
	@if $(PREREQUISITES) node; then $(MAKE) --no-print-directory web; \
	else echo 'Going on without the pages: the server will say that they are missing.' >&2; fi

web/node_modules/.installed: web/package.json web/package-lock.json
	@$(PREREQUISITES) node
	cd web && npm ci --no-audit --no-fund
	@touch $@

# The binary carries the pages, but cargo can't see the first ones arrive: touching their module tells it.
web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run build
	@touch $@
	@touch -c src/http/pages.rs

test: ## test everything: pages, crate, and the pages in a browser, before a mock and the real server
	@$(PREREQUISITES) rust python node
	@bash scripts/chromium.sh
	$(MAKE) --no-print-directory web
	cd web && npm run check && npm test
	cd web && CHROMIUM="$$(bash ../scripts/chromium.sh)" env -u ANAMNESIS_URL npm run test:browser
	cargo test --workspace --locked --no-run
	$(DEV_BINARY) models pull
	cargo test --workspace --locked
	bash scripts/browser-test.sh $(DEV_BINARY)

bench: build ## measure retrieval, embedding, ingest and search, each beside its peer
	$(BINARY) models pull
	cargo bench --locked --bench pipeline
	cargo bench --locked --bench index
	cargo bench --locked --bench answering

bench-answers: build ## hold answers against known ones, and measure how soon they come over a long chart
	$(BINARY) models pull
	cargo bench --locked --profile $(PROFILE) --bench answering

bench-index: build ## measure the vector side of the index beside faiss
	$(BINARY) models pull
	cargo bench --locked --bench index

# Set BENCH_TORCH=1 to have the peers that need torch, too: sentence-transformers, onnxruntime in f32, txtai and chromadb.
# PyPI's torch brings several GB of CUDA libraries.
BENCH_PYTHON := $(TARGET)/bench-venv/bin/python

$(TARGET)/bench-venv/.installed: benches/embed/requirements.txt
	@$(PREREQUISITES) python
	python3 -m venv $(TARGET)/bench-venv
	$(BENCH_PYTHON) -m pip install --quiet --disable-pip-version-check -r $< $(if $(BENCH_TORCH),torch sentence-transformers onnx txtai chromadb)
	@touch $@

bench-embed: build $(TARGET)/bench-venv/.installed ## measure embedding beside its peers, and what reduced precision costs
	$(BINARY) models pull
	ANAMNESIS_BENCH_PYTHON=$(abspath $(BENCH_PYTHON)) cargo bench --locked --profile $(PROFILE) --bench embed
	cargo bench --locked --profile $(PROFILE) --bench embed -- quality

bench-generation: build ## measure a small language model in this process, with BENCH_LLAMA=PYTHON (one that has xllamacpp) beside llama.cpp
	ANAMNESIS_BENCH_LLAMA=$(BENCH_LLAMA) cargo bench --locked --profile $(PROFILE) --bench generation

bench-memory: ## measure the memory that a 2 GB file and 10,000 notes at once take
	cargo build --locked --profile $(PROFILE)
	$(BINARY) models pull
	cargo bench --locked --profile $(PROFILE) --bench memory

bench-serving: build $(TARGET)/bench-venv/.installed ## measure search over HTTP and how soon a note is found, with BENCH_TORCH=1 beside txtai and chromadb
	$(BINARY) models pull
	ANAMNESIS_BENCH_PYTHON=$(if $(BENCH_TORCH),$(abspath $(BENCH_PYTHON))) cargo bench --locked --profile $(PROFILE) --bench serving

smoke: build ## start the demo on an empty folder, have it answer its question, stop
	bash scripts/smoke.sh $(BINARY)

$(TARGET)/scan-venv/.installed: scripts/scan/requirements.txt
	@$(PREREQUISITES) python
	python3 -m venv $(TARGET)/scan-venv
	$(TARGET)/scan-venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

scan: build $(TARGET)/scan-venv/.installed ## hold a running server to its OpenAPI document, by schemathesis
	SCHEMATHESIS=$(TARGET)/scan-venv/bin/st bash scripts/scan.sh $(BINARY)

measure-guard: build ## measure what audit costs, what time tells, and how soon an erasure shows
	$(BINARY) models pull
	python3 scripts/measure-guard.py $(BINARY)

lint: ## formatting and clippy
	cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings

licences: ## hold every dependency's licence to the list in .ci/licences.py
	python3 -B -m doctest .ci/licences.py
	python3 .ci/licences.py

clean-demo: ## forget the demo's data; the model stays
	rm -rf demo/.state
