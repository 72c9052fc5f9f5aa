# Short verbs only. `make run` and `make test` need nothing but this repository, a Rust toolchain and a C compiler.
CARGO ?= cargo
SEEDS ?= 1000
# Of the tests, e.g. --features cluster-tests/tls, which needs the headers of OpenSSL.
FEATURES ?=

.PHONY: run test check sim bench bench-distributed fuzz printed infra infra-down test-distributed clean

run: ## build and run everything on embedded defaults, without the cluster's drivers; the console line tells what to try first
	$(CARGO) run --release -p pabal --no-default-features --bin pabal -- run $(SYSTEMS)

test: ## all tests that need nothing but this repository
	$(CARGO) test --workspace $(FEATURES) --doc
	$(CARGO) test --workspace $(FEATURES) --all-targets

check: ## format, lints, purity of the business, licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/purity
	scripts/licences

sim: ## the simulation, e.g. make sim SEEDS=100000; SEED=n replays one
	SEEDS=$(SEEDS) $(CARGO) test --release -p sim --test rcs --test cluster -- --nocapture

bench: ## side-by-side measurements into bench/results, e.g. make bench BENCH=--quick
	$(CARGO) build --release --bin pabal
	$(CARGO) run --release --bin pabal-bench -- $(BENCH)

bench-distributed: ## the services apart, over real Kafka and PostgreSQL, beside these two alone and beside the embedded mode
	$(CARGO) build --release --bin pabal
	$(CARGO) run --release --bin pabal-bench -- --distributed $(BENCH)

printed: ## the printed commands of the systems' pages, verbatim, against the real binary
	scripts/printed-commands

fuzz: ## the HTTP interface, fuzzed from its own OpenAPI document
	scripts/fuzz-http

infra: ## real Apache Kafka and PostgreSQL on free ports, with their data in .infra
	scripts/infra up

infra-down: ## stops them; their data stays
	scripts/infra down

test-distributed: ## all tests that need these servers, on fresh ones
	scripts/test-distributed

clean:
	$(CARGO) clean
