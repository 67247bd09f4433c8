"""Optional packages, imported on use with one clear message when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from nmhw.errors import MissingExtraError


def import_extra(module: str, hint: str) -> Any:
    """Import an optional package.

    Parameters
    ----------
    hint : str
        Command that installs it.

    Raises
    ------
    MissingExtraError
        Naming the package and how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"this needs {module}", hint=hint) from error
