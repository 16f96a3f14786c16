# SPDX-License-Identifier: Apache-2.0
# Everything runs in .venv, which is made on demand from Python >= 3.10 and pip's registry alone.

VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python3.10 python
RECENT := import sys; sys.exit(sys.version_info < (3, 10))
# The first Python that is recent enough; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(RECENT)' 2>/dev/null && echo $$p && break; done)
TEST_ARGS ?= --numprocesses=auto --maxprocesses=4
BENCH_ARGS ?=
SOAK_SECONDS ?= 600
SERVE_ARGS ?=

.PHONY: demo serve test test-slow test-s3 lint format docs bench soak fuzz mutants clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/python -m audioengine demo

# The whole service, in a folder; see the README's walk-through.
serve: $(VENV)/.test
	@$(BIN)/python -m audioengine serve --embedded demo-service $(SERVE_ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -p no:benchmark $(TEST_ARGS)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -p no:benchmark -m slow $(TEST_ARGS)

# Against the store that AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY name, with
# AUDIOENGINE_S3_KMS_KEY for a KMS key of it; else one is started, which takes root and apt-get.
test-s3: $(VENV)/.test
	@set -e; if [ -z "$$AWS_ENDPOINT_URL" ]; then \
		dir=$$(mktemp -d); trap 'tests/storage/real_s3.sh stop "$$dir"; rm -rf "$$dir"' EXIT; \
		named=$$(tests/storage/real_s3.sh start "$$dir"); export $$named; \
	fi; $(BIN)/python -m pytest -p no:benchmark -m real_s3 tests/storage

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The site, in site/; its picture is made anew from a fixture.
docs: $(VENV)/.docs
	$(BIN)/python -m docs.picture
	$(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.bench
	$(BIN)/python -m pytest benchmarks $(BENCH_ARGS)

# SOAK_SEED repeats a run that said its seed.
soak: $(VENV)/.test
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m soak

# In an environment of its own: atheris has wheels for some Pythons only. What is found, and what was
# reached, stays in .fuzz; FUZZ_TARGETS="index store" chooses targets.
FUZZ_VENV := .venv-fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
FUZZES := import platform as p, sys; sys.exit(not ((3, 10) <= sys.version_info < (3, 14) \
	and p.system() == "Linux" and p.machine() == "x86_64"))
FUZZ_PYTHON ?= $(shell for p in $(PYTHON) python3.13 python3.12 python3.11 python3.10; do \
	$$p -c '$(FUZZES)' 2>/dev/null && echo $$p && break; done)

fuzz:
	@test -n '$(FUZZ_PYTHON)' || { echo 'make fuzz needs atheris, which has wheels for Python' \
		'3.10 to 3.13 on Linux x86_64, and there is none of these here. Name one:' \
		'make fuzz FUZZ_PYTHON=/path/to/python3' >&2; exit 1; }
	@$(MAKE) --no-print-directory VENV=$(FUZZ_VENV) PYTHON=$(FUZZ_PYTHON) $(FUZZ_VENV)/.fuzz
	$(FUZZ_VENV)/bin/python -m fuzzing --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Which changes of the code does no test notice? In an environment of its own, and a copy of the tree
# in .mutants. MUTANTS="mp3/reservoir plan" chooses modules or packages.
MUTANT_VENV := .venv-mutants
MUTANTS ?=

mutants:
	@$(MAKE) --no-print-directory VENV=$(MUTANT_VENV) $(MUTANT_VENV)/.mutants
	$(MUTANT_VENV)/bin/python -m mutation $(MUTANTS)

clean:
	rm -rf $(VENV) $(FUZZ_VENV) $(MUTANT_VENV) build dist site .benchmarks .cache .fuzz .hypothesis .mutants \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each extra: pip runs again only after pyproject.toml has changed.
$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.bench $(VENV)/.fuzz $(VENV)/.mutants: $(VENV)/.%: $(VENV)/.made pyproject.toml
	@echo "installing audioengine[$*] and what it needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@

$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'audioengine needs Python 3.10 or later, and none of' \
		'$(CANDIDATES) is. Install one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c '$(RECENT)' 2>/dev/null || { echo '$(PYTHON) is no Python >= 3.10.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { v=$$($(PYTHON) -c \
		'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "$(PYTHON) can't make virtual environments: its venv package is missing." \
		"On Debian and Ubuntu: apt install python3-venv (or $$v)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
