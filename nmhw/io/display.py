"""Names from files, made fit for messages."""


def display(name: object, width: int = 80) -> str:
    """Return ``name`` printable, on one line, and not longer than ``width``."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return shown if len(shown) <= width else shown[: width - 3] + "..."
