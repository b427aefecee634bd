# Everything that is done with Spillway, by name. `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# One set of compiler flags, so that the program, its checks and its tests share
# the packages in Go's build cache. Only what needs cgo compiles its own: the
# race detector and DuckDB.
export GOFLAGS := $(shell go env GOFLAGS) -trimpath
export CGO_ENABLED := 0
race queries analyst: export CGO_ENABLED := 1
# By default each process waits for a second at its end, in case another thread
# is about to report a race.
race: export GORACE := atexit_sleep_ms=50

# How the tests run. The time-out is one that only a hang exceeds, and vet is a
# check of its own.
go_test = go test -vet=off -timeout 30m

# What the targets can be told on the command line.
ARGS     ?=        # run: more arguments for `spillway serve`
PKG      ?= ./...  # bench, fuzz: the packages
BENCH    ?= .      # bench: which benchmarks, a regular expression
COUNT    ?= 1      # bench: how often; 6 or more for a comparison that means something
FUZZTIME ?= 30s    # fuzz: per target

# Each tool has a module file of its own, so that its dependencies meet
# neither ours nor another tool's.
tool = go tool -modfile=tools/$(1).mod $(1)

# Written by go generate from the code, and kept in the tree for readers.
GENERATED := docs/CONFIG.md docs/spillway.schema.json deploy/data-explorer/records.kql deploy/clickhouse/records.sql

.PHONY: help
help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@awk -F '\\?= *|# ' '/^[A-Z]+ *\?=/ {printf "  %-15s %s\n", $$1, $$3}' $(MAKEFILE_LIST)

.PHONY: run
run: gateway ## build and start the gateway on an embedded fleet; needs no cloud account
	@exec bin/spillway serve $(ARGS)

.PHONY: gateway
gateway:
	@[ -e bin/spillway ] || echo 'building bin/spillway: the first build downloads modules and takes minutes'
	@go build -o bin/spillway ./cmd/spillway

.PHONY: build
build: gateway ## build bin/spillway, and bin/spillway-export, which exports need
	@go build -o bin/spillway-export ./cmd/spillway-export

.PHONY: analyst
analyst: ## build bin/spillway-analyst, which runs queries; needs a C compiler
	@cd analyst && go build -ldflags '-s -w' -o ../bin/spillway-analyst .

.PHONY: queries
queries: ## the tests of queries, with DuckDB and Microsoft's parser of KQL
	cd analyst && $(go_test) ./...

# What test runs, in this order.
TESTS := setup check race clients telemetry queries

.PHONY: test
test: ## everything that CI runs; installs what it needs
	@times=; for target in $(TESTS); do \
		began=$$SECONDS; $(MAKE) $$target; \
		times+=$$(printf '\n%6d s  make %s' $$((SECONDS - began)) $$target); \
	done; echo "passed in $$SECONDS s:$$times"

.PHONY: setup
setup: ## install what the tests need: C and C++ compilers, Python, Node, Prometheus and packages
	@scripts/setup.sh

.PHONY: check
check: ## the quick checks: format, vet, structure, staticcheck, tidiness, generated files
	@out=$$($(call tool,gofumpt) -l .); [ -z "$$out" ] || { echo "run make format for: $$out"; exit 1; }
	go vet ./...
	cd tests/clients && go vet ./...
	cd tests/telemetry && go vet ./...
	cd analyst && CGO_ENABLED=1 go vet ./...
	go test ./internal/archtest
	go mod tidy -diff
	cd tests/clients && go mod tidy -diff
	cd tests/telemetry && go mod tidy -diff
	cd analyst && go mod tidy -diff
	go fix -diff ./...
	$(call tool,staticcheck) ./...
	@before=$$(sha256sum $(GENERATED)); go generate ./internal/config ./internal/observe/export; \
	sha256sum --check --quiet <<<"$$before" || { echo "written anew by go generate: commit $(GENERATED)"; exit 1; }

# Packages of one goroutine, or of several that share nothing but work: there the
# race detector finds nothing, and takes many times as long. The last part of
# their path.
ALONE := policy|admit|breaker|budget|capacity|length|retry|route|speed|stat|models|defaults|numeral|chart|jsonwalk|fleet|workload|report|plan|setup|cost|genai|kql|answer|diagnose|imports|render|replay|rules|config|archtest|diagnosis|incident

.PHONY: race
race: ## the Go tests, with the race detector where there is anything to race
	$(go_test) -race -p 2 $$(go list ./... | grep -vE '/($(ALONE))$$')
	CGO_ENABLED=0 $(go_test) $$(go list ./... | grep -E '/($(ALONE)|store)$$')

.PHONY: clients
clients: build ## the tests with openai-python, openai-node and openai-go
	cd tests/clients && $(go_test) -count 1 -parallel 16 ./...

.PHONY: telemetry
telemetry: build ## the tests with an OpenTelemetry collector and Prometheus
	cd tests/telemetry && $(go_test) -count 1 ./...

.PHONY: fresh
fresh: ## run and test on a new Debian 12 in a temporary folder; needs root and debootstrap, and takes long
	@scripts/fresh.sh

.PHONY: format
format: ## format the Go code and apply go fix
	$(call tool,gofumpt) -w .
	go fix ./...

.PHONY: generate
generate: ## write the configuration reference and the tables under deploy anew
	go generate ./internal/config ./internal/observe/export

.PHONY: lint
lint: ## golangci-lint; its first build takes minutes
	$(call tool,golangci-lint) run ./...

.PHONY: bench
bench: ## benchmarks, compared with the run before
	@mkdir -p .cache/bench; if [ -f .cache/bench/new.txt ]; then mv .cache/bench/new.txt .cache/bench/old.txt; fi
	go test -run '^$$' -bench '$(strip $(BENCH))' -benchmem -count $(COUNT) $(PKG) | tee .cache/bench/new.txt
	@[ ! -f .cache/bench/old.txt ] || $(call tool,benchstat) .cache/bench/old.txt .cache/bench/new.txt

.PHONY: incident
incident: build ## the reference incident in real time over sockets, beside what simulate predicts; minutes
	go test ./tests/incident -run Fidelity -real-time -count 1 -v -timeout 15m

.PHONY: soak
soak: ## the record store under 5,000 records per second and queries, on one processor, for a minute
	go test ./internal/observe/store -run 'Sustained' -soak 60s -count 1 -v

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(PKG)); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done
