#!/usr/bin/env python3
"""Django's command line: ``serve`` starts Ensemble."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    # Called by the machine's own Python, which may have a Django too: what Ensemble needs is in .venv.
    own = Path(__file__).resolve().parent / ".venv"
    python = own / "bin" / "python"
    if python.exists() and not own.samefile(sys.prefix):
        os.execv(python, [str(python), *sys.argv])
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError:
        sys.exit("Ensemble is not set up yet: make run")

    execute_from_command_line(sys.argv)
