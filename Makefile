# Two commands for a fresh machine: `make book` and `make test`.
PYTHON ?= python3
PROFILE ?= smoke
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help book run test slow coverage real-data format lint audit bench pdf release clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

book: $(READY)  ## run every chapter, build the pages [PROFILE=smoke|quick|laptop|full]
	$(BIN)/tutorials run --all --profile $(PROFILE)
	$(BIN)/tutorials build --profile $(PROFILE)

run: $(READY)  ## run one chapter: CHAPTER=NAME [PROFILE=...]
	$(BIN)/tutorials run $(CHAPTER) --profile $(PROFILE)

test: $(READY)  ## all tests but slow ones and those that need data [ONLY=book for notebooks and pages, ONLY='not book' for the rest]
	$(BIN)/python -m pytest -n auto --dist loadgroup $(if $(ONLY),-m "$(ONLY) and not slow and not real_data")

slow: $(READY)  ## the slow ones: whole chapters, minutes each
	$(BIN)/python -m pytest -m slow  # those on real sets where TUTORIALS_DATA is set

coverage: $(READY)  ## make test, and the lines it did not run
	mkdir -p _build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist loadgroup
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

real-data: $(READY)  ## short tests on the sets in TUTORIALS_DATA
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "real_data and not slow"

format: $(READY)  ## format code and notebooks, then lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(MAKE) lint

lint: $(READY)  ## style, types, notebooks, workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet .github/workflows

audit: $(READY)  ## known vulnerabilities of what is installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --skip-editable

pdf: $(READY)  ## the pages, printed as one PDF
	$(BIN)/tutorials build
	$(BIN)/python .ci/pdf

release: pdf  ## the wheel, and the book as zip and PDF
	rm -rf _build/release && mkdir -p _build/release
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir _build/release .
	cp _build/book.pdf _build/release
	cd _build/html && $(CURDIR)/$(BIN)/python -m zipfile -c ../release/book.zip .

bench: $(READY)  ## speed, as ratios
	KERAS_BACKEND=tensorflow $(BIN)/python benchmarks/run.py
	KERAS_BACKEND=jax $(BIN)/python benchmarks/run.py

clean:  ## remove what the commands above made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache _build _runs
