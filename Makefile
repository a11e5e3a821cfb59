# Two commands for a fresh machine: `make book` and `make test`.
PYTHON ?= python3
PROFILE ?= smoke
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help book run test slow coverage real-data format lint audit bench pdf release clean

help:
	@echo "make book [PROFILE=smoke|quick|laptop|full]   run every chapter, build the pages"
	@echo "make run CHAPTER=NAME [PROFILE=...]     run one chapter"
	@echo "make test                               all tests but slow ones and those that need data"
	@echo "make test ONLY=book                     notebooks and pages alone; ONLY='not book': the rest"
	@echo "make slow                               the slow ones: whole chapters, minutes each"
	@echo "make coverage                           make test, and the lines it did not run"
	@echo "make real-data                          short tests on the sets in TUTORIALS_DATA"
	@echo "make format                             format code and notebooks, then lint"
	@echo "make lint                               style, types, notebooks, workflows"
	@echo "make audit                              known vulnerabilities of what is installed"
	@echo "make bench                              speed, as ratios"
	@echo "make pdf                                the pages, printed as one PDF"
	@echo "make release                            the wheel, and the book as zip and PDF"
	@echo "make clean                              remove what the commands above made"

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

book: $(READY)
	$(BIN)/tutorials run --all --profile $(PROFILE)
	$(BIN)/tutorials build --profile $(PROFILE)

run: $(READY)
	$(BIN)/tutorials run $(CHAPTER) --profile $(PROFILE)

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(if $(ONLY),-m "$(ONLY) and not slow and not real_data")

slow: $(READY)
	$(BIN)/python -m pytest -m slow  # those on real sets where TUTORIALS_DATA is set

coverage: $(READY)
	mkdir -p _build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

real-data: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "real_data and not slow"

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(MAKE) lint

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet .github/workflows

audit: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --skip-editable

pdf: $(READY)
	$(BIN)/tutorials build
	$(BIN)/python .ci/pdf

release: pdf
	rm -rf _build/release && mkdir -p _build/release
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir _build/release .
	cp _build/book.pdf _build/release
	cd _build/html && $(CURDIR)/$(BIN)/python -m zipfile -c ../release/book.zip .

bench: $(READY)
	KERAS_BACKEND=tensorflow $(BIN)/python benchmarks/run.py
	KERAS_BACKEND=jax $(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache _build _runs
