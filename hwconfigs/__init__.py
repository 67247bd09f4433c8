"""Chip files: data only, read with :func:`nmhw.chip`."""

if __name__ == "hwconfigs":
    raise ImportError(
        "the folder hwconfigs/ is the package nmhw.hwconfigs; write 'import nmhw.hwconfigs'"
    )
