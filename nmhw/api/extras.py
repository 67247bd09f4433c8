"""Optional packages, imported on use with one clear message when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from nmhw.errors import MissingExtraError


def import_extra(module: str, extra: str) -> Any:
    """Import an optional package.

    Raises
    ------
    MissingExtraError
        Naming the package and the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        hint = f"pip install 'nmhw[{extra}]'"
        raise MissingExtraError(f"this needs {module}", hint=hint) from error
