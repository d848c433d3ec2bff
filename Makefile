.DEFAULT_GOAL := help
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## a static binary, ./chokepoint
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o chokepoint .

run: ## the bot in this terminal
	go run .

demo: ## a minute of recorded events, offline
	go run . demo

test: ## every test, with a real redis-server
	bash .ci/test ./...

lint: ## the linter that CI runs
	golangci-lint run ./...

ci: ## all that must pass before a change lands
	bash .ci/run

golden: ## rewrite golden files; read the difference before committing it
	go test ./bot/render ./commands ./internal/chart -update

fuzz: ## ten seconds of each fuzz test
	@for f in $$(grep -rlE '^func Fuzz' --include=*_test.go .); do \
	  for n in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$f | sed 's/func //'); do \
	    echo "$$f $$n"; go test ./$$(dirname $$f) -run '^$$' -fuzz "^$$n$$" -fuzztime 10s || exit 1; done; done

bench: ## every benchmark once
	go test -run '^$$' -bench . -benchtime 1x ./...

docker: ## the container image
	docker build --build-arg VERSION=$(VERSION) -t chokepoint .

.PHONY: help build run demo test lint ci golden fuzz bench docker
