# The front door. `make help` lists the targets.
.PHONY: help build test check fmt bench spec kafka microvm fuzz asan tsan sim chaos walk soak clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## the shipped programs, into out/bin
	scripts/build

test: ## install, build, run every check and test
	scripts/test

check: ## layers and format, without building
	scripts/check-layers
	swift format lint --strict --recursive Sources Tests Fuzz Migrations Package.swift

fmt: ## format the sources in place
	swift format --in-place --recursive Sources Tests Fuzz Migrations Package.swift

spec: build ## measure the shipped programs against the numeric specification (SPEC="--only streams --json")
	python3 Benchmarks/spec.py $(SPEC)

bench: build ## processor time against Node with Express and ws in the same run (BENCH="--only GET --json")
	swift build -c release -Xswiftc -static-executable -Xlinker -s --scratch-path .build/static --product dispatch-bench
	python3 Benchmarks/bench.py $(BENCH)

kafka: build ## only the tests of the bus on brokers that were not written here, with kcat, kafka-python and aiokafka
	BERTH_BIN=$(CURDIR)/out/bin swift test --filter SystemTests.KafkaTests

microvm: build ## the kit of all providers, with micro virtual machines among them
	BERTH_MICROVM_KIT=1 BERTH_BIN=$(CURDIR)/out/bin swift test --filter ContractTests.Provider

fuzz: ## throw mutated input at the parsers (FUZZ_SECONDS=240)
	Fuzz/run

asan: build ## every test under AddressSanitizer and LeakSanitizer
	scripts/sanitize address

tsan: build ## every test under ThreadSanitizer
	scripts/sanitize thread

sim: ## a million schedules of the machines, 50,000 of the services, with faults (SIM_SCHEDULES, SIM_SERVICES)
	scripts/simulate

chaos: build ## kill, stop, cut off and fill the shipped programs on PostgreSQL (CHAOS="--kills 60 --database sqlite")
	python3 Tests/Chaos/chaos.py --database postgres $(CHAOS)

walk: build ## 1,000 lifecycle operations on containers, with kill -9 of server and Engine (WALK="--seed 7 --steps 200")
	python3 Tests/Chaos/docker_walk.py $(WALK)

soak: build ## idle, slow and hostile clients by the ten thousand (SOAK="--only idle --json")
	python3 Tests/Soak/soak.py $(SOAK)

clean: ## remove everything that was built
	rm -rf .build .build-* out
