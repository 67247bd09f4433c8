"""Where the Lava environment is: named by ``NMHW_LAVA_PYTHON``, else in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from nmhw.errors import MissingExtraError, UsageError

#: Environment variable with the interpreter that has lava-nc.
VARIABLE = "NMHW_LAVA_PYTHON"

#: Written last by the installer: an environment without it is half made.
STAMP = "nmhw-lava.json"


def default_folder() -> Path:
    """Return the folder of the environment in the user's cache (XDG base directories)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache) if cache and os.path.isabs(cache) else Path.home() / ".cache"
    return root / "nmhw" / "lava"


def python_in(folder: Path) -> Path:
    """Return the interpreter of an environment in ``folder``."""
    return folder / "bin" / "python"


def lava_python() -> Path:
    """Return the interpreter that has lava-nc.

    Raises
    ------
    UsageError
        When ``NMHW_LAVA_PYTHON`` names no executable file.
    MissingExtraError
        Without an environment.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise UsageError(
                "no such interpreter",
                got=named,
                where=VARIABLE,
                hint=f"unset {VARIABLE}, or the bin/python of an environment with lava-nc",
                rule="lava.python",
            )
        return Path(named).absolute()  # a name without a folder would be looked up on the PATH
    folder = default_folder()
    if not (folder / STAMP).is_file():
        raise MissingExtraError(
            "this needs lava-nc in an environment of its own",
            where=str(folder),
            hint=f"nmhw lava install, or {VARIABLE}=/path/to/bin/python",
            rule="lava.missing",
        )
    return python_in(folder)
