# make demo and make test do all the set-up in a private .venv; nothing is global.
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin

.PHONY: demo test lint validation lock clean

demo: .venv/ready
	$(BIN)/snakemake --cores $(CORES)

test: .venv/ready
	$(BIN)/python -m pytest -n $(CORES)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

# docs/validation.md; GAMMAPY_DATA and GAMMASTACK_REFERENCE must be set
validation: .venv/ready
	PYTHONPATH=scripts:docs $(BIN)/python -m validation

# A new set of versions; needs uv
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate --upgrade --quiet \
		--custom-compile-command "make lock" --output-file requirements.txt

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("gammastack needs Python 3.11 or newer, this is %s; try make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

clean:
	rm -rf .venv .snakemake results
