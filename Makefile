# Everything that a stranger needs: `make demo`, `make test`. Both do their own set-up.
.DEFAULT_GOAL := help
.PHONY: help demo test quick check coverage mutate long walk pythons venv packages engines format bench clean
.NOTPARALLEL:
# Each test of the command line is a Python: none shall compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# Some tests wait for others (ufw, a grace of five seconds): half as many workers again as processors.
WORKERS := $(shell echo $$(( $$(nproc) * 3 / 2 )))
TOOLS := iproute2 iputils-ping util-linux procps python3 python3-venv
TEST_TOOLS := $(TOOLS) strace gcc libc6-dev nftables iptables passt uidmap slirp4netns tcpdump curl
ENGINES := ufw firewalld dbus docker.io libvirt-daemon-system libvirt-clients dnsmasq-base \
	nginx-light tinyproxy-bin radvd tshark systemd nscd udhcpc keepalived openvpn frr
BENCH_TOOLS := $(TEST_TOOLS) mininet bridge-utils iperf3

WALKS := $(addprefix tests/cli/test_,no_trace.py uplink_walk.py ports.py run_walk.py interrupted.py descriptors.py \
	across.py any_error.py) tests/api/test_many.py tests/pure/test_transaction.py tests/cli/test_lives.py

help:      ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1	/p' $(MAKEFILE_LIST)

demo:      ## a lab, made, shown, proved and taken away
	@sh tools/packages $(TOOLS) && $(MAKE) --no-print-directory venv && sh examples/demo.sh

test: packages check ## all that the tests need (system packages as root), then `make check`

quick: venv ## pytest without a kernel, with few examples: for every save
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest -q -n $(shell nproc) -m "not needs and not long" \
		tests/pure tests/wire tests/house $(PYTEST_ARGS)

check: venv ## ruff, its format, mypy, pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not long" $(PYTEST_ARGS)

long: venv ## the tests that `test` leaves out since they take seconds each
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long $(PYTEST_ARGS)

coverage: venv ## which lines and branches `check` runs, those in programs that the tests start, too
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal -m "not long" $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutate: venv ## what share of 100 one-line mutations of the pure floors their tests find
	$(BIN)/python -m tests.house.mutate $(MUTATE_ARGS)

walk: venv ## the walks of the tests, whole: at each of their calls or moments, where `test` takes samples
	NETLOOM_WALK=whole $(BIN)/pytest -n $(WORKERS) --dist worksteal $(WALKS)

pythons: venv ## the tests of the API, and the pure ones, by every other Python that is here
	@sh tools/pythons .venv/pythons -n $(WORKERS) tests/pure tests/api/test_lab.py tests/api/test_plugin.py

venv: .venv/ready ## .venv with netloom, editable, and what the tests use
	@:

packages:  ## Debian packages that the tests use, if they are missing
	@sh tools/packages $(TEST_TOOLS)

engines:   ## install other people's firewalls and engines, not started; without them their tests skip
	@sh tools/packages --not-started $(ENGINES)

format: venv ## let ruff write the format
	$(BIN)/ruff format .

bench:     ## measure against the floor and the peers; root; BENCH_ARGS=--quick for a first look
	@sh tools/packages $(BENCH_TOOLS) && $(MAKE) --no-print-directory venv
	$(BIN)/pip install --quiet --disable-pip-version-check munet
	$(BIN)/python -m venv --clear .venv/starts && .venv/starts/bin/pip install --quiet --disable-pip-version-check .
	$(BIN)/python -m bench.run $(BENCH_ARGS)

clean:     ## remove what was built here
	rm -rf .venv build dist bench/floor .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/ready: pyproject.toml tools/venv
	@sh tools/venv .venv && touch $@
