# One word per chore. Each sets up .venv when it is missing or its requirements changed.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
CLASS ?= class
SCALE ?= 1
ROUNDS ?= 20
export PATH := $(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint format book plain-book lighthouse bench experiments mutants hostile chaos damaged endings grade-bench checkpoints lab clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Debian packages (bubblewrap, node, chromium) and the Python environment in .venv

$(READY): requirements.txt constraints.txt pyproject.toml lib/pyproject.toml .ci/debian-packages
	@PYTHON=$(PYTHON) bash .ci/debian-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.txt into $(VENV) (about two gigabytes, once)"
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

demo: $(READY) ## build chapter 1, grade a small class, write feedback and the book, print the scoreboard
	@course build
	@course demo --class $(CLASS)
	@course book
	@echo
	@echo "the book:   build/book/site/index.html"
	@echo "the class:  $(CLASS)/ (submitted, autograded, feedback, gradebook.db)"

test: lint ## lint, then the test suite
	@pytest -m "not experiments" -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

quick: $(READY) ## the tests that need neither a browser nor ten seconds each
	@pytest -m "not slow and not browser"

lint: $(READY) ## ruff, mypy, import layers, spelling, and the freshness of chapters/
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@codespell
	@course check
	@course build --check

format: $(READY) ## let ruff rewrite what it can
	@ruff check --fix .
	@ruff format .

book: $(READY) ## build/book/site: the published pages (FORMATS="--zip --epub --pdf" for files to take along)
	@course book $(FORMATS)

plain-book: $(READY) ## the pages once more with the newest Sphinx and without Jupyter Book, warnings as errors
	@course book
	@test -x build/plain/bin/python || $(PYTHON) -m venv build/plain
	@build/plain/bin/python -m pip install --quiet "sphinx>=9,<10" "myst-nb>=1.4,<2" "sphinx-book-theme>=1.4,<2" \
		sphinx-copybutton sphinx-design sphinxcontrib-bibtex sphinxext-opengraph
	@python -m grader.book.plain build/book/src build/book/plain
	@PYTHONPATH=$(CURDIR) build/plain/bin/python -m sphinx -W --keep-going -n -q build/book/plain build/book/plain-html
	@echo "build/book/plain-html/index.html"

lighthouse: $(READY) ## Lighthouse's four numbers for chapter 1 on a phone (needs npm; PAGE=all for every chapter)
	@python -m tests.browser.lighthouse $(PAGE)

bench: $(READY) ## measured ratios against peer libraries, side by side in one run (ONLY="words" for some)
	@$(BIN)/python -m pip install --quiet -r tests/bench/requirements.txt
	@python tests/bench/measure.py $(ONLY)

experiments: $(READY) ## run every untouched notebook to its end with all that it measures (a minute a chapter; the book runs the solved ones)
	@pytest -m experiments -n 2

mutants: $(READY) book ## change every reference answer by one small slip at a time: do the hidden checks notice? (a minute a chapter)
	@course prove --mutants --json build/proof.json
	@python -m tests.course.table

chaos: $(READY) ## kill -9 whatever grades a small class at random moments, then compare (ROUNDS=100)
	@python tests/chaos/chaos.py --rounds $(ROUNDS)

damaged: $(READY) ## grade 500 damaged notebooks and print what each kind of damage cost
	@python -m tests.damaged.table

endings: $(READY) ## silence, kill and exit at every code cell of every chapter: does a score rise?
	@python -m tests.damaged.endings

grade-bench: $(READY) ## course grade beside stock nbgrader, and a class of 10,000 (PARTS="stock isolation thousands")
	@python -m tests.bench.grading $(PARTS)

hostile: $(READY) ## the bank of hostile submissions, here and under stock nbgrader, as a table (ONLY="forge learn" for some)
	@python -m tests.hostile.table $(ONLY)

checkpoints: $(READY) ## make the shipped split, tokenizer, small models and table of runs again (an hour; SCALE=4 trains longer)
	@python -m byhand.splitting
	@python -m byhand.corpora.tokenizer
	@OMP_NUM_THREADS=1 python -m byhand.training.recipes --scale $(SCALE)
	@OMP_NUM_THREADS=1 python -m byhand.scaling.sweep

lab: $(READY) ## JupyterLab on the student notebooks
	@jupyter lab --notebook-dir chapters

clean: ## remove what the commands made (not .venv)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
