# Trunkline's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
PREFIX ?= /usr/local
DATA ?= data
TARGET := $(or $(CARGO_TARGET_DIR),target)
RUN_PACKAGES := flite espeak-ng
TEST_PACKAGES := $(RUN_PACKAGES) sip-tester baresip-core sox chromium sqlite3 coturn tshark kamailio linphone-cli openssl python3-venv ffmpeg

.PHONY: help run build web test test-web test-rust test-e2e lint bench install clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## Install what is missing, build, and run with a demo company
	@exec $(TARGET)/debug/trunkline serve --demo --data $(DATA)

build: web
	@scripts/need cargo cc
	scripts/install-packages $(RUN_PACKAGES)
	cargo build --workspace --bins

web: ## Build the web app into web/dist
	@scripts/need node npm
	if [ -f web/package.json ]; then cd web && { [ node_modules -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; } && npm run --silent build; fi

test: lint test-web test-rust test-e2e ## Install what tests need and run all of them

test-web: web
	cd web && npm test --silent

test-rust: web
	@scripts/need cargo cc
	scripts/install-packages $(TEST_PACKAGES)
	scripts/with-postgres cargo test --workspace

# Built along with the tests: alone, the programs take other features of the libraries and are compiled once more.
test-e2e: web ## Real calls, a real browser and the real command line against the real server
	@scripts/need cargo cc
	scripts/install-packages $(TEST_PACKAGES)
	cargo build --workspace --bins --tests
	cd tests/e2e && { [ node_modules -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; } && npm test

lint: web ## Formatting, clippy, layers and licences
	@scripts/need cargo node
	cargo fmt --all --check
	node scripts/check-layers.mjs
	cargo clippy --workspace --all-targets -- -D warnings
	if command -v cargo-deny >/dev/null; then cargo deny --all-features check licenses bans sources; else echo "cargo-deny is not installed: licences and bans were not checked"; fi

bench: ## First figures, as ratios measured side by side (release build)
	@scripts/need cargo node
	scripts/install-packages $(TEST_PACKAGES)
	cargo build --release --workspace --bins
	scripts/bench
	cargo bench -p connector --bench search

install: web ## Install trunkline and membrane below PREFIX (default /usr/local)
	@scripts/need cargo cc
	cargo build --release --workspace --bins
	install -D -m 755 $(TARGET)/release/trunkline $(DESTDIR)$(PREFIX)/bin/trunkline
	install -D -m 755 $(TARGET)/release/membrane $(DESTDIR)$(PREFIX)/bin/membrane

clean: ## Remove what was built, keeping data
	cargo clean
	rm -rf web/dist web/node_modules tests/e2e/node_modules
