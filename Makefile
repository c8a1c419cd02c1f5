# mbusgw. `make` alone lists what there is.
#
# Everything runs in .venv, which is made anew when setup.cfg changes. Programs that the
# tests and the demo need are installed with apt where they are missing (as root or
# through sudo). Where systemd runs, Debian starts a mosquitto service of its own on port
# 1883 when it installs it; tests and demo use brokers of theirs on free ports and leave
# that one alone (`systemctl disable --now mosquitto` if you do not want it).

SHELL := /bin/bash
PY := .venv/bin/python
STAMP := .venv/.installed
# Most of a test's time is waiting for something real, so twice as many at a time as the smallest machines have cores;
# every test takes its own ports and folders. What is compiled is kept in .venv: pytest rewrites each module, and the
# tests start the gateway a few hundred times.
PYTEST ?= env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX='$(CURDIR)/.venv/pycache' $(PY) -m pytest -n 4

.DEFAULT_GOAL := help
.PHONY: help venv demo test fast explore lint bench clean broker tools

help:  ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## the project, installed in .venv

$(STAMP): setup.cfg setup.py .ci/prepare
	@PYTHON="$(PYTHON)" .ci/prepare venv
	@touch $@

demo: $(STAMP) broker  ## simulated meters, a broker and the real gateway in this terminal
	@.venv/bin/mbusgw demo

test: $(STAMP) broker tools  ## all tests
	@$(PYTEST)

fast: $(STAMP) broker  ## the quick tests: a minute or two
	@$(PYTEST) -m "not slow"

explore: $(STAMP) broker tools  ## the tests that draw their examples, with new ones
	@$(PYTEST) -m hypothesis --hypothesis-profile explore

lint: $(STAMP)  ## style, types, and who may import whom
	@.venv/bin/flake8 mbusgw tests benchmarks setup.py
	@.venv/bin/isort --check-only --quiet mbusgw tests benchmarks setup.py
	@.venv/bin/mypy
	@.venv/bin/lint-imports > .venv/lint-imports.txt || { cat .venv/lint-imports.txt; exit 1; }

bench: $(STAMP) broker  ## how fast it is, and how small
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) $$file; done

clean:  ## remove what was made here
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

broker:
	@.ci/prepare tool mosquitto mosquitto

tools:
	@.ci/prepare tool systemd-analyze systemd
