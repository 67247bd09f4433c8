"""What every mapper offers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from typing import Any, Protocol

from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork

#: Told the name of the phase that begins.
Progress = Callable[[str], None]


def say_nothing(phase: str) -> None:
    """Take a phase and tell nobody."""


class Mapper(Protocol):
    """A way to put a quantized network on a chip; the same arguments give the same mapping."""

    @property
    def name(self) -> str:
        """Stored in ``Mapping.mapper``."""
        ...

    def map(
        self,
        quantized: QuantizedNetwork,
        chip: ChipSpec,
        *,
        rates: MappingOf[str, NDArray[Any]] | None = None,
        seed: int = 0,
        progress: Progress = say_nothing,
    ) -> Mapping:
        """Map ``quantized`` to ``chip``.

        Parameters
        ----------
        rates : mapping of node name to (n,) float, optional
            Spikes per sample of every element of inputs and populations; default 1.
        seed : int
            Root of the mapper's random numbers.
        progress : callable(phase), optional
            Told what the mapper begins with.

        Raises
        ------
        DoesNotFitError
            One sentence per violated budget.
        """
        ...
