#!/usr/bin/env python3
"""Django's command line: ``serve`` starts Ensemble."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.management import execute_from_command_line
    except ModuleNotFoundError:
        # Called as ./manage.py by the machine's own Python: what it needs is in .venv.
        python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
        if not python.exists() or Path(sys.prefix) == python.parent.parent:
            sys.exit("Ensemble is not set up yet: make run")
        os.execv(python, [str(python), *sys.argv])

    execute_from_command_line(sys.argv)
