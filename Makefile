# SPDX-License-Identifier: GPL-3.0-or-later
# `make` lists what there is. Each target sets itself up on a machine with nothing but Python >= 3.11 (with venv),
# make and a package index. Behind the targets stand the nox sessions of noxfile.py.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that runs and can make a virtual environment; a pyenv shim of a version that is not activated
# is found on PATH and yet does not run. Choose another one with `make PYTHON=/path/to/python3 ...`.
CANDIDATES := python3 python3.13 python3.12 python3.11 $(wildcard $(HOME)/.pyenv/versions/3.1[1-9].*/bin/python3)
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

NOX := .venv/bin/nox
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check
# Ansible wants a collection at .../ansible_collections/<namespace>/<name>: a link to the checkout, so that it is used in place.
IN_PLACE := build/collections/ansible_collections/immutable/fleet
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.base $(IN_PLACE)  ## Provision, roll and mend a simulated fleet, with live progress
	.venv/bin/ansible-playbook playbooks/demo.yml

.PHONY: quick
quick: .venv/.dev $(IN_PLACE)  ## Format, types, import contracts, unit tests: before each commit, under a minute
	$(NOX) -s quick

# Two sessions at a time, the long ones first, each session's output in one piece when it ends; all run, even if one fails.
SESSIONS := compatibility simulation sanity playbooks importer quick lint
.PHONY: test
test: .venv/.dev $(IN_PLACE)  ## All that needs no lab: quick, simulation, playbooks, lint, sanity, other Pythons and ansible-cores
	$(MAKE) --jobs=2 --keep-going --output-sync=target --no-print-directory $(SESSIONS:%=session-%)
	@cat build/compatibility/tested.txt
	@echo "make test: passed ($(SESSIONS))"

.PHONY: $(SESSIONS:%=session-%)
$(SESSIONS:%=session-%): session-%:
	$(NOX) -s $*

.PHONY: test-labs
test-labs: .venv/.dev $(IN_PLACE)  ## Install and start the labs (OpenStack, Kubernetes, vSphere) and run the system tests against them
	$(NOX) -s labs

.PHONY: bench
bench: .venv/.dev $(IN_PLACE)  ## The benchmarks, into build/bench.json; ONLY=name for one of them
	$(NOX) -s bench -- $(ONLY)

.PHONY: docs
docs: .venv/.dev $(IN_PLACE)  ## Render the documentation into build/docs
	$(NOX) -s docs

.PHONY: venv
venv: .venv/.dev $(IN_PLACE)  ## Only make .venv, with all that development needs
	@.venv/bin/ansible --version | head -n 1

.PHONY: clean
clean:  ## Remove all that the other targets made in the checkout
	rm -rf .venv build .hypothesis

# Stamps: a warm run installs nothing.
.venv/.base:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 with the venv and ensurepip modules found." >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	$(PIP_INSTALL) 'ansible-core>=2.16'
	touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/.base
	$(PIP_INSTALL) -r requirements-dev.txt -r requirements.txt
	touch $@

$(IN_PLACE):
	mkdir -p $(@D)
	ln -s ../../../.. $@
