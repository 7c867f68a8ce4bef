# What CI runs is what you run. `make demo` and `make test` set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# What plans an operation; authz/ decides, both are held to a coverage of lines and branches.
PLANNER := resolvers/planner.py,resolvers/roots.py,resolvers/rows.py,resolvers/pages.py,resolvers/connections.py,resolvers/lookups.py,resolvers/entities.py,resolvers/where.py,resolvers/search.py,resolvers/aggregates.py,resolvers/statistics.py,resolvers/metering.py,resolvers/passes.py,resolvers/cells.py,resolvers/entry_paths.py,resolvers/selection.py,resolvers/values.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo demo-reset tour test lint bench lock workbench mutants fuzz workflows

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: $(PYTHON) is Python %d.%d, Tanglai needs 3.11 or later: choose another with PYTHON=" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@

demo: $(VENV)/.runtime  ## starts the demo region and prints where to look
	@$(BIN)/python -m demo serve --port $(PORT)

demo-reset: $(VENV)/.runtime  ## empties the demo's state
	@$(BIN)/python -m demo reset

tour: $(VENV)/.runtime  ## runs the tour over the demo region on free ports
	@$(BIN)/python -m demo tour

lint: $(VENV)/.dev  ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## everything a change must pass; JOBS=n files of tests at once, 2 by default
	$(BIN)/python -m demo tour
ifdef ARGS
	$(BIN)/python -m pytest -q $(ARGS)
else
	$(BIN)/python -m pytest -q -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder --cov --cov-report=
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=100 --include='authz/*'
	$(BIN)/python -m coverage report --show-missing --skip-covered --fail-under=95 --include='$(PLANNER)'
endif

mutants: $(VENV)/.dev  ## plants faults, each of which the oracle's tests must catch; MUTANTS="NAME ..." some, JOBS=n at once
	@$(BIN)/python -m tests.oracle.mutants $(MUTANTS) --jobs $(or $(JOBS),1)

fuzz: $(VENV)/.dev  ## random operations against the oracle for SECONDS=n; START=seed, OPERATIONS=n at most, JOBS=n processes, or SEED=n alone
	@$(BIN)/python -m tests.oracle.fuzz $(if $(SEED),--seed $(SEED),$(or $(SECONDS),60) $(if $(START),--start $(START)) $(if $(OPERATIONS),--operations $(OPERATIONS)) --jobs $(or $(JOBS),1))

workflows: $(VENV)/.dev  ## random people act through all workflows against a model for SECONDS=n; START=seed
	@$(BIN)/python -m tests.property.workflows $(or $(SECONDS),60) $(START)

bench: $(VENV)/.dev  ## measures; CASE=name one case, ROUNDS=n, SECONDS=n; COMPARE=ref: this program beside that of a commit
	@$(BIN)/python -m benchmarks $(if $(CASE),--case $(CASE)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(COMPARE),--compare $(COMPARE))

workbench: ## rebuilds the workbench's assets (needs npm)
	cd workbench && npm ci && npm run build

LOCK := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml
lock:  ## writes the lock files anew (needs uv)
	$(LOCK) --group build -o requirements.lock
	$(LOCK) --group build --group dev -c requirements.lock -o requirements-dev.lock
