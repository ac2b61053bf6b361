# The two to begin with:  make demo   and   make test
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/installed
DEMO := demo
MINUTES := 120
# hundreds of child processes import the package: none should compile it anew, whatever the environment says
KEEP_BYTECODE := PYTHONDONTWRITEBYTECODE=

.PHONY: help demo test check exhaustive lint style types contracts docs site bench wheel mini lock clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(SETUP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("PromptLab needs Python 3.11 or newer; type: make PYTHON=python3.11 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

demo: $(SETUP)  ## the story on the bundled model: three grids in ./demo
	@sh examples/story.sh $(BIN)/promptlab $(DEMO)

test: $(SETUP) lint  ## linters, types, contracts, all tests but the exhaustive ones
	$(KEEP_BYTECODE) $(BIN)/pytest -n 2 --dist worksteal

check: $(SETUP) lint  ## what takes less than a minute: linters, types, contracts, quick tests
	$(KEEP_BYTECODE) PROMPTLAB_TESTS=quick $(BIN)/pytest -q -n 2 --dist loadgroup -m 'not slow'

exhaustive: $(SETUP)  ## the rest of each kind of which `make test` runs one; CI does once a week
	PROMPTLAB_TESTS=exhaustive $(BIN)/pytest -n 2 --dist worksteal -m 'exhaustive or fuzz'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[gguf,torchao]'
	$(BIN)/pytest -q tests/engine/loading/test_quantization.py -m 'exhaustive or not exhaustive'

lint: $(SETUP)  ## ruff, mypy, import contracts
	@$(MAKE) --no-print-directory -j 2 types contracts style

style: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP)
	$(BIN)/mypy

contracts: $(SETUP)
	$(BIN)/lint-imports --no-logo

docs: $(SETUP)  ## write the generated blocks of README and docs/ anew
	$(BIN)/cog -r README.md docs/architecture.md docs/reference/commands.md docs/reference/experiment-file.md docs/reference/formats.md docs/quick-starts/*.md

site: $(SETUP)  ## docs/ as a web site in ./site, with the Python reference; offline once its packages are there
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]' --no-build-isolation
	$(BIN)/zensical build --clean --strict

bench: $(SETUP)  ## the figures that the README quotes, into benchmarks/results: ten minutes on two idle cores
	$(BIN)/python benchmarks/commands.py 3
	$(BIN)/python benchmarks/tracking.py 1
	$(BIN)/python benchmarks/saving.py
	$(BIN)/python benchmarks/starting.py 2
	$(BIN)/python benchmarks/sweeping.py
	$(BIN)/python benchmarks/ladder.py --model mini --device cpu --alone 2 --keep

wheel: $(SETUP)  ## dist/promptlab-*.whl
	$(BIN)/python -m build --wheel --no-isolation

mini: $(SETUP)  ## train the bundled model anew, MINUTES=120 long; see training/README.md
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,training]' --no-build-isolation
	$(BIN)/python -m training all --minutes $(MINUTES)

lock: $(SETUP)  ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable --all | grep -ivE '^(pip|promptlab|nvidia-.*|triton)==' | sed 's/+cpu$$//' > constraints.txt

clean:  ## everything that can be made again
	rm -rf .venv dist build site demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
