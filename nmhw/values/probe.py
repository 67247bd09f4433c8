"""Probe: a request to record one state variable of one population."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral

from nmhw.errors import UsageError


@dataclass(frozen=True, slots=True)
class Probe:
    """Record ``variable`` of ``population`` every k-th step, after the reset.

    Variables: "u" (synaptic current), "u2" (second one, where there is one), "v" (membrane).
    """

    population: str
    variable: str = "v"
    every: int = 1

    def __post_init__(self) -> None:
        if self.variable not in ("u", "u2", "v"):
            raise UsageError(
                "no such variable to probe", got=repr(self.variable), hint="u, u2 or v"
            )
        if not isinstance(self.every, Integral) or not 1 <= self.every < 2**31:
            raise UsageError("every is out of range", got=self.every, limit="1 to 2^31 - 1")

    @staticmethod
    def parse(text: str) -> Probe:
        """Read ``population:variable[:every=k]``, e.g. ``lif1:v:every=10``."""
        match = re.fullmatch(r"(?P<pop>.+?):(?P<var>[a-z]+2?)(?::every=(?P<every>\d+))?", text)
        if match is None:
            raise UsageError(
                "cannot read the probe", got=repr(text), hint="lif1:v or lif1:v:every=10"
            )
        return Probe(match["pop"], match["var"], int(match["every"] or 1))
