# make demo [VIDEO=concert.mp4]   install into .venv, analyze the video (or a clip made on the spot), show the report
# make test                       install into .venv, run the tests, one process more than there are cores: many wait
# make bench                      measure speed and memory, as ratios in one run
# make bench-sql                  write 100 million faces (3.5 GB, half an hour) and ask questions of them
# make torture [KILLS=1000]      kill an analysis again and again and compare what comes out (hours)
# make constraints                pin the versions of all dependencies anew

PYTHON ?= python3
VENV ?= .venv
VIDEO ?=
KILLS ?= 1000
BIN := $(VENV)/bin

.PHONY: demo test bench bench-sql torture constraints clean

demo: $(VENV)/.installed
	$(BIN)/crowdmood demo $(if $(VIDEO),"$(VIDEO)")

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $$(($$(nproc) < 7 ? $$(nproc) + 1 : 8)) --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.installed
	$(BIN)/python tests/bench.py

bench-sql: $(VENV)/.installed
	$(BIN)/python tests/bench_sql.py

torture: $(VENV)/.installed
	$(BIN)/python -m tests.torture --kills $(KILLS)

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "crowdmood needs Python 3.11 or newer; name it: make PYTHON=python3.11 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,train]'
	@touch $@

# A CPU-only build of torch is published as 2.x.y+cpu; without the suffix the line fits every build.
constraints: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet 'pip-tools>=7.4,<8'
	$(BIN)/pip-compile --quiet --extra test --extra train --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file constraints.txt setup.cfg
	sed -i 's/+cpu$$//; /^#/d; /^$$/d' constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
