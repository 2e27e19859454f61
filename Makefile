# Sets virt-salvage up from nothing and runs it. `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
LOCK := tests/requirements.lock
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
ARGS ?=
# Two more than there are processors: tests also wait, for a daemon, a terminal, a holder that lets go.
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))

.DEFAULT_GOAL := help
.PHONY: help run test faults classical check screenshots bench crash vm dist clean packages packages-test

help: ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | \
	while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

run: packages .venv/.run ## install what is missing and open the wizard; ARGS="…" hands arguments on
	@$(BIN)/virt-salvage $(ARGS)

test: packages-test .venv/.dev ## install what is missing and run every test that this machine can run
	$(BIN)/python -m compileall -q core tui tests
	$(BIN)/python -m pytest -rs -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: packages-test .venv/.dev ## let every fault hit at every point, and look what is left; ARGS="--only qcow2"
	$(BIN)/python -m tests.faults.sweep $(ARGS)

classical: packages-test .venv/.dev ## the same for the ways by device mapper, nbd and md, in test machines; ARGS="kpartx"
	$(BIN)/python -m tests.vm.faults $(ARGS)

check: packages .venv/.dev ## lint, types, import rules, leftovers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	.ci/leftovers

screenshots: packages-test .venv/.dev ## draw screenshots/ from the running program
	$(BIN)/python -m tests.screenshots $(ARGS)

bench: packages-test .venv/.dev ## measure side by side with what one would use instead (root)
	$(BIN)/python -m tests.bench $(ARGS)

crash: packages-test .venv/.dev ## kill twenty machines while they write, and bring back what they had saved (root)
	$(BIN)/python -m tests.vm.crash $(ARGS)

vm: packages-test .venv/.dev ## a shell in the test machine, which has what this kernel lacks
	@$(BIN)/python -m tests.vm shell

# A pex makes itself an environment at its first start: so the children that run Python find pyparted too.
# It gets every wheel by name: from "virt-salvage" alone pex loses what only an extra of a package asks for.
dist: packages-test .venv/.dev ## build sdist, wheel and the one file virt-salvage.pex into dist/
	rm -rf dist build/wheels
	$(BIN)/python -m tui.manual
	$(BIN)/python -c 'from setuptools.build_meta import build_sdist; build_sdist("dist")' >/dev/null
	$(PIP) wheel --no-build-isolation --constraint $(LOCK) --wheel-dir build/wheels dist/virt_salvage-*.tar.gz
	cp build/wheels/virt_salvage-*.whl dist/
	$(BIN)/pex --no-index --find-links build/wheels --venv --script virt-salvage build/wheels/*.whl -o dist/virt-salvage.pex
	@ls -l dist

clean: ## remove what these targets made (not the packages of the system)
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find core tui tests -name __pycache__ -type d -prune -exec rm -rf {} +

packages:
	@PYTHON="$(PYTHON)" .ci/packages run build option

packages-test:
	@PYTHON="$(PYTHON)" .ci/packages run build option test

# The interpreter is a link to the system's: when that goes away in an upgrade, so does this target.
$(BIN)/python: | packages
	@echo "Making the Python environment .venv"
	@$(PYTHON) -m venv --clear .venv

# pyparted is built from source; the pinned setuptools builds it, without a second download.
.venv/.setuptools: $(LOCK) | $(BIN)/python
	@$(PIP) install --constraint $(LOCK) setuptools
	@touch $@

.venv/.run: pyproject.toml $(LOCK) .venv/.setuptools | $(BIN)/python
	@echo "Installing the Python packages that the program needs"
	@$(PIP) install --no-build-isolation --use-pep517 --constraint $(LOCK) --editable .
	@touch $@

.venv/.dev: .venv/.run
	@echo "Installing the Python packages that the tests need"
	@$(PIP) install --no-build-isolation --use-pep517 --constraint $(LOCK) --editable '.[dev]'
	@touch $@
