# make demo and make test do all the set-up in a private .venv; nothing is global.
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin

# Of Snakemake; the lowest version that pyproject.toml allows
LOWEST = $(shell sed -n 's/.*snakemake>=\([0-9.]*\).*/\1/p' pyproject.toml)

# What only some tests need, which are skipped without it: a browser, which must be installed,
# too (Debian: apt install chromium), and an object store
SERVICES = playwright==1.65.2 moto[s3]==5.2.5 boto3==1.43.117 botocore==1.43.117 flask==3.1.3 flask-cors==6.0.5

.PHONY: demo test test-slow test-slurm test-lowest lint docs validation lock clean

demo: .venv/ready
	$(BIN)/snakemake --cores $(CORES)

test: .venv/ready
	$(BIN)/python -m pytest -n $(CORES)

# The benchmarks in small, random updates, and more moments at which an invocation is ended
test-slow: .venv/ready
	$(BIN)/python -m pytest -n $(CORES) -m slow

# On a cluster of one node that is started for it; as root, with Debian's packages
# slurmctld, slurmd, slurm-client and munge
test-slurm: .venv/ready
	$(BIN)/python -m pytest -m slurm tests/slurm

# What depends on the inner parts of Snakemake, with its lowest version
test-lowest: .lowest/ready
	.lowest/bin/python -m pytest -n $(CORES) tests/test_workflow.py tests/test_reruns.py tests/test_failures.py tests/test_results_folder.py

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

# The documentation as a site: open build/site/index.html
docs: .docs/ready
	.docs/bin/python -m sphinx -c docs --jobs auto --fail-on-warning --nitpicky --quiet . build/site

# docs/validation.md; GAMMAPY_DATA and GAMMASTACK_REFERENCE must be set
validation: .venv/ready
	PYTHONPATH=scripts:docs $(BIN)/python -m validation

.PHONY: pictures rulegraph
# docs/demo.png and docs/gallery; GAMMAPY_DATA must be set
pictures: .venv/ready
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/snakemake --cores $(CORES) --configfile config/hess_dl3_dr1.yaml
	PYTHONPATH=scripts $(BIN)/python docs/pictures.py

# docs/rulegraph.mmd
rulegraph: .venv/ready
	$(BIN)/snakemake --rulegraph mermaid-js --configfile docs/rulegraph.yaml -- all archive doctor figures \
		| $(BIN)/python docs/rulegraph.py > docs/rulegraph.mmd

# A new set of versions; needs uv
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate --upgrade --quiet \
		--custom-compile-command "make lock" --output-file requirements.txt
	uv pip compile --group docs --constraints requirements.txt --universal --python-version 3.11 \
		--fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate --upgrade --quiet \
		--custom-compile-command "make lock" --output-file docs/requirements.txt

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("gammastack needs Python 3.11 or newer, this is %s; try make PYTHON=python3.12" % sys.version.split()[0])'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	# So that "import gammastack" works in this environment
	echo "$(CURDIR)/scripts" > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/gammastack.pth"
	touch $@

.venv/services: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(SERVICES)
	touch $@

.lowest/ready: pyproject.toml
	$(PYTHON) -m venv --clear .lowest
	.lowest/bin/python -m pip install --quiet --disable-pip-version-check '.[workflow,test]' 'snakemake==$(LOWEST).*'
	.lowest/bin/python -m pip uninstall --quiet --yes gammastack
	touch $@

# Sphinx and its theme; the library and its packages are those of .venv
.docs/ready: docs/requirements.txt | .venv/ready
	$(BIN)/python -m venv --clear --without-pip .docs
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.docs/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv.pth"
	$(BIN)/python -m pip --python .docs/bin/python install --quiet --disable-pip-version-check --require-hashes -r docs/requirements.txt
	touch $@

clean:
	rm -rf .venv .lowest .docs build .snakemake results
