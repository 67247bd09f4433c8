"""A starting file for one's own chip: complete, valid, commented, and it runs."""

from __future__ import annotations

import tomllib
from importlib import resources

from nmhw.errors import ChipFileError
from nmhw.io.chip_document import packaged_files
from nmhw.io.chip_file import restore_chip

#: Name of the chip in the packaged file.
_PLACEHOLDER = "my-chip"


def write_template(name: str) -> str:
    """Return the text of a chip file for a new chip.

    Parameters
    ----------
    name : str
        Of the chip; no packaged one has it.

    Raises
    ------
    ChipFileError
        For a name that no chip can have, or that is taken.
    """
    if name in packaged_files():
        raise ChipFileError(
            "a packaged chip has this name",
            got=repr(name),
            hint=f'my-{name}; for a variant of it, a file with extends = "{name}"',
            rule="chip.name",
        )
    # the name is checked before it stands in a text that it could break
    document = tomllib.loads(_packaged_text())
    restore_chip({**document, "name": name}, f"new chip {name!r}")
    return _packaged_text().replace(_PLACEHOLDER, name)


def _packaged_text() -> str:
    return (resources.files("nmhw.data") / "new_chip.toml").read_text(encoding="utf-8")
