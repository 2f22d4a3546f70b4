# Run `make` to see the targets.

GO        ?= go
PYTHON    ?= python3
BIN       := .bin
FUZZTIME  ?= 20s
BENCHTIME ?= 1s

.PHONY: help
help: ## Show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build envoy ## Start everything on this machine, with a mock model, and print the curl to try
	@exec sh examples/quickstart/run.sh

.PHONY: test
test: build envoy lint ## Run every test, those with a real Envoy included
	GORACE=atexit_sleep_ms=0 $(GO) test -race -timeout 18m ./...

.PHONY: build
build: ## Build .bin/attache
	@$(GO) build -o $(BIN)/attache ./cmd/attache

.PHONY: envoy
envoy: ## Put Envoy into .envoy/, unless there is one already
	@$(PYTHON) envoy/fetch.py

.PHONY: lint
lint: ## gofmt, go vet and staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: bench
bench: envoy ## Run the benchmarks; BENCHTIME=1s
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) ./...

.PHONY: bench-scale
bench-scale: build envoy ## Measure up to 10,000 routes and 50 Envoys, for some minutes; rewrite docs/scale.md
	$(GO) run ./bench/scale -out bench/results/scale-$$(date -u +%F).json -doc docs/scale.md

.PHONY: bench-streams
bench-streams: build envoy ## Many streams at a time; writes bench/results/streams.json and its table
	$(GO) run ./bench/streams -out bench/results/streams.json -doc docs/existing-envoy.md

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME=20s
	@for target in $$(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$target); do \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x ./$$(dirname $$target) || exit 1; \
		done; \
	done

.PHONY: update
update: envoy ## Rewrite the goldens from what the program does now; read the diff
	$(GO) test ./config ./translator ./envoy -update
	$(GO) test ./e2e -run TestPrintedExamples -update
	$(GO) test ./e2e -run 'TestEdits|TestRefusals' -update

.PHONY: clean
clean: ## Remove what was built; .envoy/ stays
	rm -rf $(BIN)
