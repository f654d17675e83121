# Short names for common commands; the scripts are in scripts/.
.PHONY: build test check fuzz bench install dist docs clean

build: ## build the program as ./spate, without the tables of debuggers
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o spate ./cmd/spate

test: ## run the daily tests, which take minutes
	scripts/test

check: ## run the other tests of CI: race detector, fuzzing, other systems, all other clients
	scripts/check

fuzz: ## run each fuzz target for a minute
	scripts/fuzz 60s

bench: ## measure beside other programs, as root; BENCH="-runs 5 transfer" or BENCH=swarm runs a part
	go run ./bench $(BENCH)

install: ## install the program into GOBIN
	CGO_ENABLED=0 go install -trimpath -ldflags="-s -w" ./cmd/spate

dist: ## write binaries of all systems, packages and images into dist/; DIST="-maintainer 'NAME <ADDRESS>' -homepage URL -url URL -sign KEY" sets what they say
	go run ./packaging/dist $(DIST)

docs: ## write the documents as a web site into dist/docs/
	go run ./docs/build

clean: ## remove the built files
	rm -rf spate dist
