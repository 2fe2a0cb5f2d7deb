"""Every kind of edit that requests are generated of. Importing this fills ``scene.TRANSFORMS``."""

from inference.training.edits import (
    beyond,
    config,
    functions,
    markup,
    names,
    prose,
    python,
    scratch,
    script,
    shell,
    styles,
    values,
)

__all__ = ["beyond", "config", "functions", "markup", "names", "prose", "python", "scratch", "script", "shell", "styles", "values"]
