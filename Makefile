# Only Python 3.11 or newer and make are needed. See docs/operations.md.
VENV := .venv
PY := $(VENV)/bin/python
LAUNCH := $(PY) -m crm_site.launcher
ARGS ?=
CUSTOMERS ?= 1000000

# A start is a dozen Python processes of 2,000 modules each: they are compiled once, whatever the machine's habit.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run test prove bench lint format browser pooler lock clean
.DELETE_ON_ERROR:

setup: $(VENV)/run.stamp static/vendor/.stamp

$(PY):
	@for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$($$python --version)"; \
	    $$python -m venv --without-pip $(VENV) && exit 0; \
	    echo "$$python cannot create a virtual environment (Debian and Ubuntu: apt-get install python3-venv)" >&2; \
	    exit 1; \
	  fi; \
	done; echo "Python 3.11 or newer is needed." >&2; exit 1

INSTALL := $(PY) requirements/install.py

$(VENV)/run.stamp: requirements/run.txt requirements/uv.txt | $(PY)
	@echo "Installing the locked packages"
	@began=$$(date +%s) && $(INSTALL) requirements/run.txt && echo "packages: $$(($$(date +%s) - began)) s"
	@touch $@

$(VENV)/test.stamp: requirements/test.txt | $(VENV)/run.stamp
	@echo "Installing the locked test packages"
	@$(INSTALL) requirements/test.txt
	@touch $@

static/vendor/.stamp: package-lock.json crm_site/launcher/vendor.py | $(VENV)/run.stamp
	@echo "Fetching front-end files"
	@$(LAUNCH) vendor

# The front-end files arrive while the servers start.
run: $(VENV)/run.stamp
	@BANYAN_FOLLOW_PARENT=1 exec $(LAUNCH) run

test: setup $(VENV)/test.stamp
	@exec $(LAUNCH) test -- $(ARGS)

prove: setup $(VENV)/test.stamp pooler
	@exec $(LAUNCH) exec -- $(PY) -m tests.prove $(ARGS)

bench: setup $(VENV)/test.stamp
	@exec $(PY) -m tests.bench --customers $(CUSTOMERS) $(ARGS)

# No database is needed: what would ask one is told that there is none.
LINT := env -u DATABASE_URL -u DATABASE_OWNER_URL -u REDIS_URL
lint: setup $(VENV)/test.stamp
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(LINT) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(LINT) $(PY) manage.py check_templates
	$(VENV)/bin/djlint --quiet --lint templates

format: $(VENV)/test.stamp
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

browser:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then \
	  echo "A Chromium is here."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	else \
	  echo "No Chromium: install the packages chromium and fonts-noto-cjk; until then browser tests are skipped."; \
	fi

# For the proof behind a pooler of `make prove`.
pooler:
	@if PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null; then \
	  echo "A PgBouncer is here."; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	    apt-get install -qq -y --no-install-recommends pgbouncer >/dev/null; } \
	  || echo "PgBouncer could not be installed: its row of the table will say NOT RUN."; \
	else \
	  echo "No PgBouncer: install the package pgbouncer; until then its row of the table says NOT RUN."; \
	fi

lock:
	uv pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url --python-version 3.11 \
	  requirements/uv.in -o requirements/uv.txt
	uv pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url --python-version 3.11 \
	  requirements/run.in -o requirements/run.txt
	uv pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url --python-version 3.11 \
	  -c requirements/run.txt requirements/test.in -o requirements/test.txt

clean:
	rm -rf $(VENV) node_modules static/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
