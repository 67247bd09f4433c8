"""Named warnings that travel with the value they concern and end up in the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """One warning, assumption or approximation.

    Attributes
    ----------
    rule : str
        Stable identifier, e.g. ``"nir.scalar-parameters"`` or ``"quantize.decay"``.
    where : str
        File and node, population or projection.
    text : str
        What was noticed and what was done about it.
    kind : str
        ``"warning"``, ``"assumption"`` or ``"approximation"``.
    hint : str or None
        One thing to try.
    about : str
        Name of the node or population alone, where several rules may say the same of it.
    """

    rule: str
    where: str
    text: str
    kind: str = "warning"
    hint: str | None = None
    about: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.text}"
        if self.hint:
            text += f"; try: {self.hint}"
        return f"{text} [{self.rule}]"
