# The few targets that people expect; the work is in scripts/.
.PHONY: build test quick fuzz bench install dist clean

build: ## the program, as ./spate
	CGO_ENABLED=0 go build -trimpath -o spate ./cmd/spate

test: ## everything that CI runs
	scripts/test

quick: ## tests without cross-compiling, fuzzing and the race detector
	scripts/test quick

fuzz: ## every fuzz target for a minute
	scripts/fuzz 60s

bench: ## beside other programs, in namespaces (root); BENCH="-runs 5 transfer" for a part of it
	go run ./bench $(BENCH)

install: ## into GOBIN
	CGO_ENABLED=0 go install -trimpath ./cmd/spate

dist: ## binaries of all systems, Debian packages, container images, into dist/
	go run ./packaging/dist

clean:
	rm -rf spate dist
