# The task runner: `make` lists the tasks. Each is one command that also works without make.
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt lint bench schemas servers servers-stop python-env

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run everything embedded, with simulated traffic
	$(CARGO) run --package millstream -- demo

test: ## Run every test; starts and stops the servers that it needs
	scripts/test

check: ## Compile everything, quickly, without running it
	$(CARGO) check --workspace --all-targets

fmt: ## Format the code
	$(CARGO) fmt --all

lint: ## Formatting and lints, as the tests check them
	scripts/test --only fmt --only clippy

bench: ## Measure the engine on the in-memory transport
	$(CARGO) run --release --package millstream-benches --bin engine

schemas: ## Generate Rust types, Avro, DDL and the reference page from the record definitions
	$(CARGO) run --package millstream-schemas --bin schemas

servers: ## Start Kafka, the ClickHouse engine and a schema registry on this machine
	scripts/dev-kafka start
	scripts/dev-clickhouse start
	scripts/dev-registry start

servers-stop: ## Stop them
	scripts/dev-kafka stop
	scripts/dev-clickhouse stop
	scripts/dev-registry stop

python-env: ## Make the virtual environment of the Python tests and print its Python
	scripts/python-env
