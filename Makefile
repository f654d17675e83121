# The few targets that people expect; the work is in scripts/.
.PHONY: build test check fuzz bench install dist clean

build: ## the program, as ./spate
	CGO_ENABLED=0 go build -o spate ./cmd/spate

test: ## the tests for every day: minutes, also on a fresh machine
	scripts/test

check: ## what CI runs beyond that: race detector, fuzzing, other systems, all other clients
	scripts/check

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
