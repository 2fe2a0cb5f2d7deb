# The only commands a newcomer needs. Each brings what it lacks (project/bootstrap); the second time it starts at once.
#   make run     set up, start, print the link          PORT=9000 make run
#   make test    all tests, then make check             make test ARGS='tests/unit -k room'
#   make check   format, types, imports: what CI runs
#   make bench   side by side with peers
#   make model   make the embedded model anew    hours; goes on where it stopped: docs/training.md
#   make lock    pin anew what pyproject.toml asks for

PYTHON := $(shell for name in python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)

.PHONY: run test check bench model lock python

run test check bench model lock: python
	@exec $(PYTHON) -m project.bootstrap $@ $(ARGS)

python:
	@test -n "$(PYTHON)" || { echo "Ensemble needs Python 3.11 (python3.11), which is not here: install it (Debian 12: 'sudo apt install python3.11', macOS: 'brew install python@3.11', anywhere: 'uv python install 3.11') and run make again." >&2; exit 1; }
