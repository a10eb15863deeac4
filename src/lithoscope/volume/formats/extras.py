"""Libraries that only some formats need: imported when such a file is opened, and named when they are not there."""

import importlib
from pathlib import Path
from types import ModuleType

from lithoscope.errors import MissingError


def needed(module: str, path: Path, what: str) -> ModuleType:
    """The module that reads files of this kind, or an error that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingError(f"{path.name} is {what}, and {module} is not installed; install it: pip install 'lithoscope[formats]'") from None
