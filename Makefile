# Everything a developer or CI runs. Bare `make` prints this list.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# golangci-lint is pinned here rather than in go.mod, because its two hundred
# modules would become ours. The small tools are in go.mod's tool block.
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# So are the tools that make a release.
NFPM      := bin/nfpm-v2.45.2
CYCLONEDX := bin/cyclonedx-gomod-v1.10.0

FUZZTIME    ?= 30s
TESTFLAGS   ?=
GO_TEST     := go test -shuffle=on -timeout=20m $(TESTFLAGS)

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start a node and one real device; prints the addresses and what to try
	scripts/run.sh

.PHONY: build
build: ## Build bin/edgeloop, the load bin/edgebench and the example device bin/hostagent
	go build -o bin/edgeloop ./cmd/edgeloop
	go build -o bin/edgebench ./cmd/edgebench
	go build -o bin/hostagent ./examples/hostagent

.PHONY: test
test: setup ## All tests, with allocation budgets and end to end; installs what they need
	$(GO_TEST) ./...
	cd bench/compare && $(GO_TEST) ./...

# Of the end-to-end tests those of the promises; their nodes are race builds too.
RACE_E2E := ^Test(Telemetry|Crash|Order|Presence|Silence|Drain)_

.PHONY: race
race: setup ## All tests but most end-to-end ones under the race detector, which also switches the invariants on
	$(GO_TEST) -race $$(go list ./... | grep -v /test/)
	$(GO_TEST) -race -run '$(RACE_E2E)' ./test/e2e

.PHONY: race-e2e
race-e2e: setup ## Every end-to-end test, its nodes with the race detector; twelve minutes
	$(GO_TEST) -race ./test/e2e

.PHONY: invariants
invariants: ## Unit tests with the invariants on but without the race detector (faster)
	$(GO_TEST) -tags=invariants $$(go list ./... | grep -v /test/)

.PHONY: e2e
e2e: setup ## End-to-end tests alone: the real binary, clients nobody here wrote
	$(GO_TEST) -v ./test/e2e

.PHONY: java
java: setup ## A device in Java over TLS; needs openjdk-17-jdk-headless or a newer one, 200 MB that make setup leaves out
	EDGELOOP_JAVA=1 $(GO_TEST) -v ./test/e2e -run TestTLS_Java

.PHONY: mqtt-clients
mqtt-clients: setup ## Every client of MQTT that the tests know, with each version, by each transport; make test runs some of them
	EDGELOOP_MQTT_CLIENTS=1 $(GO_TEST) -v ./test/e2e -run TestMQTT

.PHONY: screenshots
screenshots: setup ## The dashboard with 0, 5 and 3,000 devices, wide and narrow, light and dark: look at screenshots/
	scripts/screenshots.sh

.PHONY: bench
bench: ## The node beside the raw loop, gnet alone, gws and gorilla: memory, CPU, latency; BENCHFLAGS='-rounds 1'
	scripts/bench-build.sh
	bin/compare -name bench -only raw-1,raw-2,gnet,edgeloop-echo,edgeloop-serve,gws,gorilla $(BENCHFLAGS)

.PHONY: bench-compare
bench-compare: ## The same with every peer; writes bench/results/DATE-compare.md
	scripts/bench-build.sh
	bin/compare $(BENCHFLAGS)

# About ten minutes with the build. BENCHFLAGS='-rounds 1 -connections 500 -seconds 1 -out /tmp' shows that it works.
.PHONY: bench-mqtt
bench-mqtt: ## MQTT: memory, connects, QoS 1, fan-out beside mosquitto, mochi and WebSocket; writes bench/results/DATE-mqtt.md
	scripts/bench-build.sh mqtt
	bin/compare -name mqtt -within 9m -rounds 3 -connections 5000 -seconds 4 -rate 5000 \
		-only edgeloop-serve,edgeloop-mqtt,mosquitto,mochi \
		-measures idle,connect,telemetry,telemetry-paced,fanout,p2p,sharesub $(BENCHFLAGS)

BEFORE ?= b6c0570

.PHONY: bench-tls
bench-tls: ## TLS: memory, echo and handshakes of the node beside gws, nginx and HAProxy; writes bench/results/DATE-tls.md
	scripts/bench-build.sh tls
	bin/compare -tls -name tls $(BENCHFLAGS)

.PHONY: bench-before
bench-before: ## Today's node beside that of the commit BEFORE (b6c0570), in turn, with ratios; BENCHFLAGS='-rounds 6'
	scripts/bench-before.sh $(BEFORE) $(BENCHFLAGS)

.PHONY: bench-100k
bench-100k: ## One process with 100,000 devices, in a guest where limits are low; N='10000 50000' for other numbers
	scripts/bench-capacity.sh $(or $(N),100000)

.PHONY: bench-100k-tls
bench-100k-tls: ## The same by TLS
	scripts/bench-capacity.sh -s $(or $(N),100000)

.PHONY: bench-100k-mqtt
bench-100k-mqtt: ## The same by MQTT
	scripts/bench-capacity.sh -m $(or $(N),100000)

.PHONY: bench-1m
bench-1m: ## The same with a million; needs 20 GiB of memory
	scripts/bench-capacity.sh 1000000

# A quiet machine, 6 GB of disk and 25 minutes at most. SINKFLAGS='--rate=1000 --duration=2s --backlog=5000 --page=/tmp/sinks.md'
# is a small run that shows that it works. Telegraf, behind a mosquitto, stands beside the sinks: it is built from its
# source with the few plugins it needs, once, in some minutes. TELEGRAF=/path/of/another, or TELEGRAF= for none.
TELEGRAF ?= .cache/telegraf/telegraf

.PHONY: bench-sinks
bench-sinks: fault-tools ## Sinks: records a second and of a core, how late, what devices feel while one is down or catches up; writes bench/results/DATE-sinks.md
	go build -o bin/edgebench ./cmd/edgebench
	$(if $(TELEGRAF),test -x $(TELEGRAF) || $(MAKE) telegraf || echo "telegraf is not to be had: its row will be missing" >&2)
	EDGEBENCH_COMMIT=$$(git describe --always --abbrev=12 --dirty) \
		bin/edgebench sinks --nats=$(FAULT_NATS) --page=bench/results/$$(date -u +%F)-sinks.md \
		$$(test -x "$(TELEGRAF)" && echo --telegraf=$(TELEGRAF)) $(SINKFLAGS)

.PHONY: telegraf
telegraf: ## Telegraf with the plugins that bench-sinks needs, to .cache/telegraf
	GOBIN=$(CURDIR)/.cache/telegraf go install -tags "custom inputs.mqtt_consumer outputs.http parsers.value serializers.json" \
		github.com/influxdata/telegraf/cmd/telegraf@v1.37.2

.PHONY: conformance
conformance: ## Every clause of RFC 6455 and 7692 on the wire, in full (minutes), then over TLS; make test runs the quick mode
	go test -count=1 -timeout=60m -v ./bench/conformance -conformance.full
	go test -count=1 -timeout=60m -v ./bench/conformance -conformance.tls=own
	go test -count=1 -timeout=60m -v ./bench/conformance -conformance.tls=std

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (30s); FUZZTIME=10m for a long run
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: fuzz-long
fuzz-long: FUZZTIME = 1h
fuzz-long: ## Every fuzz target for FUZZTIME (1h), JOBS at a time (one a core); writes bench/results/DATE-fuzz.md
	scripts/fuzz.sh long $(FUZZTIME)

# The comparison is a module of its own.
.PHONY: lint
lint: $(GOLANGCI_LINT) ## Formatting, linters, shell syntax
	$(GOLANGCI_LINT) run --allow-parallel-runners
	$(GOLANGCI_LINT) fmt --diff
	cd bench/compare && ../../$(GOLANGCI_LINT) run --allow-parallel-runners
	for f in .ci/run scripts/*.sh scripts/guest/*; do bash -n $$f; done
	for f in $$(grep -lE '^#!.*\bsh$$' scripts/guest/*); do sh -n $$f; done

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

.PHONY: cover
cover: setup ## Coverage of each package by all tests, in coverage.html
	$(GO_TEST) -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out | tail -1
	go tool cover -html=coverage.out -o coverage.html

.PHONY: release
release: $(NFPM) $(CYCLONEDX) ## dist/: archives, Debian packages, SBOM, checksums, for amd64 and arm64; VERSION=1.2.3
	NFPM=$(NFPM) CYCLONEDX=$(CYCLONEDX) scripts/release.sh

.PHONY: package-test
package-test: $(NFPM) $(CYCLONEDX) ## Use, break, upgrade and purge the package in a booted Debian; needs root
	NFPM=$(NFPM) CYCLONEDX=$(CYCLONEDX) scripts/package-test.sh

.PHONY: monitoring-test
monitoring-test: ## The alerts in packaging/monitoring fire when they should, and not before
	scripts/monitoring-test.sh

.PHONY: manifests-test
manifests-test: ## The Kubernetes manifests, field by field, by the types of its API
	cd packaging/manifests && go run . ../kubernetes/edgeloop.yaml

.PHONY: licences
licences: ## Write docs/licences.md: what is inside, and under which licence
	go build -o bin/edgeloop ./cmd/edgeloop
	cd packaging/licences && go run . ../../bin/edgeloop >../../docs/licences.md

$(NFPM):
	GOBIN=$(CURDIR)/bin go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM:bin/nfpm-%=%)
	mv bin/nfpm $@

$(CYCLONEDX):
	GOBIN=$(CURDIR)/bin go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX:bin/cyclonedx-gomod-%=%)
	mv bin/cyclonedx-gomod $@

# govulncheck needs its online database, so it is not part of ci. It is held at
# v1.1.4: v1.9.0 wants a release of x/telemetry that the module proxy refuses.
.PHONY: vuln
vuln: ## Known vulnerabilities in what we call (needs the internet)
	go tool govulncheck ./...

.PHONY: generate
generate: ## Regenerate the checked-in generated files
	go generate ./...

# protoc is Debian's; the two plugins are built from the versions named here and in go.mod.
PROTOC_GEN_GRPC := v1.6.2

.PHONY: proto
proto: ## Make the Go code of api/edgeloop/v1/services.proto again; needs protoc
	go build -o bin/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	GOBIN=$(CURDIR)/bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GRPC)
	PATH=$(CURDIR)/bin:$$PATH protoc -I api --go_out=. --go_opt=module=edgeloop \
		--go-grpc_out=. --go-grpc_opt=module=edgeloop edgeloop/v1/services.proto

.PHONY: tidy
tidy: $(GOLANGCI_LINT) ## Format the code and tidy go.mod
	go mod tidy
	$(GOLANGCI_LINT) fmt

.PHONY: setup
setup: ## Install what the end-to-end tests need beyond Go, where it is missing
	scripts/setup-test.sh

.PHONY: ci
ci: ## What CI runs: lint, race, plain tests with end to end
	scripts/ci.sh

# What needs more than a plain process needs root: tmpfs, loop mounts, namespaces,
# control groups. `edgefault list` says which; the others run anywhere.
FAULT_ROUNDS  ?= 200
FAULT_LIVES   ?= 3
FAULT_SEED    ?= 1
FAULT_NATS    := bin/nats-server
FAULT_RUN      = EDGEFAULT_NATS_SERVER=$(CURDIR)/$(FAULT_NATS) bin/edgefault run --seed=$(FAULT_SEED)

.PHONY: faults
faults: fault-tools ## Hurt nodes in every way we know and check their logs; about a quarter of an hour, as root
	$(FAULT_RUN) --devices=150 --rounds=3 --load=1s --limit=15m

ATTACK_SEED ?= 1

.PHONY: attacks
attacks: build ## Every trick at every door of a node, beside devices that must not feel it; ten minutes; writes bench/results/DATE-attacks.md
	go build -o bin/edgefault ./cmd/edgefault
	ATTACK_SEED=$(ATTACK_SEED) scripts/attacks.sh

.PHONY: faults-long
faults-long: fault-tools ## The same for longer, FAULT_ROUNDS (200) kills, FAULT_LIVES (3) of each, leak in full; FAULT_SEED=n; writes bench/results/DATE-faults-long.md
	EDGEFAULT_NATS_SERVER=$(CURDIR)/$(FAULT_NATS) FAULT_ROUNDS=$(FAULT_ROUNDS) FAULT_LIVES=$(FAULT_LIVES) FAULT_SEED=$(FAULT_SEED) scripts/faults.sh

# The scenario mqtt alone, for a hundred kills and millions of acknowledged messages: some lives,
# because a start takes longer the larger the log is.
FAULT_MQTT_LIVES ?= 6

.PHONY: faults-mqtt
faults-mqtt: fault-tools ## MQTT devices with QoS 1 and 2 through a hundred kills, power cuts, full disks; under twenty minutes, as root
	$(FAULT_RUN) mqtt --lives=$(FAULT_MQTT_LIVES) --rounds=10 --load=500ms

# It writes bench/results/DATE-soak.md and .json, and needs no root.
SOAK          ?= 2h
SOAK_SEED     ?= 1
SOAK_RESULTS  ?= bench/results

.PHONY: soak
soak: build ## Two nodes for SOAK (2h) with churn and faults, one of them killed again and again; SOAK_SEED=n
	go build -o bin/edgefault ./cmd/edgefault
	EDGEFAULT_COMMIT=$$(git describe --always --abbrev=12 --dirty) \
		bin/edgefault soak --duration=$(SOAK) --seed=$(SOAK_SEED) --results=$(SOAK_RESULTS) $(SOAKFLAGS)

.PHONY: mutants
mutants: fault-tools ## Break promises on purpose: the fault harness must notice each
	EDGEFAULT_NATS_SERVER=$(CURDIR)/$(FAULT_NATS) scripts/mutants.sh

.PHONY: fault-tools
fault-tools: build
	go build -o bin/edgefault ./cmd/edgefault
	go build -o $(FAULT_NATS) github.com/nats-io/nats-server/v2
