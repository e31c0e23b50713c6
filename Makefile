# The two commands: `make up` starts the pipeline, `make test` tests everything. `make help` lists the rest.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
# One shell a recipe: the engine that its first line starts is the one its other lines talk to.
.ONESHELL:
# Older ones, such as the 3.81 of macOS, ignore .ONESHELL and would run each line in a shell of its own.
ifeq ($(filter oneshell,$(.FEATURES)),)
$(error GNU make 3.82 or newer is needed; on macOS: brew install make, then gmake)
endif
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --match 'v*' --dirty 2>/dev/null | sed 's/^v//' || true)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || true)
PKG     := github.com/docker-telemetry/docker-telemetry
LDFLAGS := -s -w -X $(PKG)/internal/version.Commit=$(COMMIT) $(if $(VERSION),-X $(PKG)/internal/version.Version=$(VERSION))

# lab: images built here (`make lab`); upstream: pulled from the registries.
IMAGES ?=
# Where a failed scenario leaves what it saw.
export DT_ARTIFACTS ?= $(CURDIR)/.artifacts
export CGO_ENABLED = 0

# Starts a private engine where none answers, and points the recipe at it.
ENGINE = hack/engine.sh ensure && eval "$$(hack/engine.sh env)"

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## Build the plugin to bin/docker-telemetry
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/docker-telemetry ./cmd/docker-telemetry

.PHONY: install
install: ## Install the plugin for this user
	./install.sh

.PHONY: uninstall
uninstall: ## Remove what install made; PURGE=1 removes state and certificates as well
	./install.sh --uninstall $(if $(PURGE),--purge)

.PHONY: up
up: install ## Build, install the plugin, start the pipeline (IMAGES=lab builds the images first)
	@$(ENGINE)
	$(if $(filter lab,$(IMAGES)),e2e/lab/build.sh)
	docker telemetry pull --missing || { echo 'hint: where no image registry answers: make up IMAGES=lab' >&2; exit 1; }
	docker telemetry up $(ARGS)
	hack/engine.sh env | sed 's/^/run this first in your shell: /'

.PHONY: test
test: lint unit store-test vrl test-install e2e ## Test everything, end to end included

.PHONY: unit
unit: ## Unit tests of the product and of the lab's stand-ins
	go vet ./...
	go test ./...
	cd e2e/lab
	go vet ./...
	go test ./...

.PHONY: vrl
vrl: ## Compile and run the bundle's VRL with the real VRL compiler
	cd e2e/vrl
	npm ci --no-audit --no-fund --loglevel=error
	npm test

.PHONY: test-install
test-install: ## Install, re-install and uninstall in a throw-away home
	hack/test-install.sh

.PHONY: lint
lint: bin/golangci-lint ## Lint, with the import table of docs/ARCHITECTURE.md
	bin/golangci-lint run ./...
	command -v shellcheck >/dev/null || { echo 'error: shellcheck is not installed' >&2; exit 1; }
	shellcheck install.sh hack/*.sh e2e/lab/*.sh

.PHONY: lab
lab: ## Build the lab's images under the names that the bundle pins
	@$(ENGINE)
	e2e/lab/build.sh

.PHONY: e2e
e2e: export DT_BUSYBOX ?= $(if $(filter upstream,$(IMAGES)),busybox:1.37.0)
e2e: export DT_PAIRS ?= $(PAIRS)
e2e: build bin/docker-compose bin/docker-compose-2.36 ## Scenarios on a real engine (RUN=TestScale: one; IMAGES=upstream: pulled images; PARALLEL=2: so many stacks)
	@$(ENGINE)
	$(if $(filter upstream,$(IMAGES)),bin/docker-telemetry pull,e2e/lab/build.sh)
	mkdir -p $(DT_ARTIFACTS)
	go test -tags e2e -count=1 -timeout 75m -parallel $(or $(PARALLEL),2) -v $(if $(RUN),-run '$(RUN)') ./e2e/ | tee $(DT_ARTIFACTS)/e2e.log
	# A scenario that had to skip proves nothing.
	! grep -- '--- SKIP' $(DT_ARTIFACTS)/e2e.log

.PHONY: bench
bench: bench-compose bench-cardinality bench-retention ## Measure all that has a budget, ten million series among it; those below take ARGS
bench: SIZES = --large --one

.PHONY: bench-compose
bench-compose: build bin/docker-compose ## Compare with docker-compose; fails when a budget is missed (ARGS="--only metadata")
	@$(ENGINE)
	$(if $(filter upstream,$(IMAGES)),bin/docker-telemetry pull,e2e/lab/build.sh)
	go run ./hack/bench $(ARGS)

.PHONY: store-test
store-test: ## Hold counts and forecasts against real stores (VICTORIAMETRICS=/path/to/one, PROMETHEUS=/path/to/one)
	export VICTORIAMETRICS=$$(hack/victoriametrics.sh) PROMETHEUS=$$(hack/prometheus.sh)
	go test -tags store -count=1 -timeout 10m -run TestStore -v ./storage/victoriametrics/storetest/ ./report/cardinality/ ./report/retention/ ./report/rules/ ./plugin/

.PHONY: bench-cardinality
bench-cardinality: ## Measure report cardinality on a million series; fails when a budget is missed (ARGS="--large --one": ten million as well)
	export VICTORIAMETRICS=$$(hack/victoriametrics.sh)
	go run ./hack/cardbench $(SIZES) $(ARGS)

.PHONY: bench-retention
bench-retention: build bin/lab-openobserve ## Measure report retention on a million series and 500 streams; fails when a budget is missed (ARGS=--requests)
	export VICTORIAMETRICS=$$(hack/victoriametrics.sh)
	go run ./hack/retbench $(ARGS)

.PHONY: fuzz
fuzz: ## Run every fuzzer for a while each (FUZZTIME=10s)
	FUZZTIME=$(or $(FUZZTIME),10s) hack/fuzz.sh

.PHONY: demo
demo: up ## Start the pipeline and a container that logs
	@$(ENGINE)
	docker run --name telemetry-demo --rm $(if $(filter lab,$(IMAGES)),docker-telemetry-lab/busybox:1,busybox:1.37.0) \
		sh -c 'for i in 1 2 3 4 5; do echo "level=warn msg=\"hello $$i from a demo container\""; sleep 1; done'
	echo 'find it in OpenObserve, stream docker: container_name = telemetry-demo'

.PHONY: docs
docs: ## Write docs/reference, the table of profiles in the README and the dashboards from the source
	go run ./tools/docsgen
	go run ./hack/dashgen

.PHONY: engine-down
engine-down: ## Stop the private engine, if make started one
	hack/engine.sh stop

bin/golangci-lint: hack/tools/go.mod
	cd hack/tools && go build -o $(CURDIR)/bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# Go looks by itself whether it is of today.
.PHONY: bin/lab-openobserve
bin/lab-openobserve:
	cd e2e/lab && go build -o $(CURDIR)/bin/lab-openobserve ./openobserve

bin/docker-compose: hack/tools/go.mod
	cd hack/tools && go build -o $(CURDIR)/bin/docker-compose github.com/docker/compose/v5/cmd

bin/docker-compose-2.36: hack/tools/compose-2.36/go.mod
	cd hack/tools/compose-2.36 && go build -o $(CURDIR)/bin/docker-compose-2.36 github.com/docker/compose/v2/cmd
