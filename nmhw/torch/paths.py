"""Paths between layers of neurons: the calls on the way, and who carries their biases."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from nmhw.torch.functions import rank_of, weights_of
from nmhw.torch.layers import AXES, PLACE, RESHAPES, SAME, SUMS
from nmhw.torch.tracing import Call, Trace
from nmhw.values.linear import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Calls that lead from a site (or the input) to another; ``port`` is the value they start at.

    ``delay`` counts steps: the source was called that many steps before the target. Where paths
    meet in a sum, one of them carries the biases behind; the others carry those of their first
    ``n_biased`` calls. Where they are joined along the channels, the same holds from the layer on
    that takes all channels: ``n_joined`` calls lie in front of the join.
    """

    source: str
    delay: int
    port: int
    calls: tuple[Call, ...] = ()
    n_biased: int | None = None
    n_joined: int | None = None

    def signature(self) -> tuple[Any, ...]:
        """Return what must be alike in every step; added constants show in the comparison."""
        calls = (c for c in self.calls if c.function not in SUMS)
        return (self.source, tuple(c.module or c.function for c in calls))

    def then(self, call: Call) -> Path:
        """Return the path with one more call."""
        return replace(self, calls=(*self.calls, call))

    @property
    def is_carrier(self) -> bool:
        """Whether it carries all biases so far."""
        return self.n_biased is None and self.n_joined is None

    def following(self, is_join: bool) -> Path:
        """Return the path where another carries the biases from here on.

        A join's own call, the last one, lies behind the meeting.
        """
        if is_join:
            return replace(self, n_joined=len(self.calls) - 1)
        return replace(self, n_biased=len(self.calls))

    def carries(self, position: int) -> tuple[bool, bool]:
        """Return whether it carries the biases of one of its calls: of its part, of the whole."""
        own = self.n_biased is None or position < self.n_biased
        return own, own and (self.n_joined is None or position < self.n_joined)

    def entry(self, arrived: int) -> int:
        """Return the value that the first call takes that does more than pick samples or steps.

        ``arrived`` is what comes out at the path's end.
        """
        for call in self.calls:
            if call.function not in SAME and call.function not in AXES:
                return call.inputs[0]
        return arrived


def meet(paths: list[Path], *, is_join: bool = False) -> list[Path]:
    """Let one path, of this step where there is one, carry the biases behind the meeting."""
    able = [k for k, p in enumerate(paths) if p.is_carrier]
    carrier = next((k for k in able if not paths[k].delay), next(iter(able), -1))
    followers = set(able) - {carrier}
    return [p.following(is_join) if k in followers else p for k, p in enumerate(paths)]


def claimed_shape(path: Path, trace: Trace, features: Shape) -> Shape:
    """Return the shape of one sample's data at the start of a path, by what its layers take.

    Parameters
    ----------
    features : shape at the path's end, where nothing on the way says otherwise
    """
    for position, call in enumerate(path.calls):
        given = trace.values[call.inputs[0]].shape
        module: Any = call.module
        weights = module if module is not None else weights_of(call, trace)
        if isinstance(weights, nn.Linear):
            return (weights.in_features,)
        if call.function == PLACE:
            return tuple(given[len(given) - call.arguments[2] :])
        rank = _rank(module, call, len(given))
        if rank:
            return tuple(given[-rank:])
        if isinstance(module, nn.Flatten | nn.Unflatten) or call.function in RESHAPES:
            rest = Path(path.source, 0, 0, path.calls[position + 1 :])
            size = math.prod(claimed_shape(rest, trace, features))
            fits = [k for k in range(1, len(given)) if math.prod(given[k:]) == size]
            if fits:
                return tuple(given[fits[0] :])
    return features


def _rank(module: Any, call: Call, n_axes: int) -> int:
    """Return how many axes of a layer's input belong to one sample; 0 = it does not say."""
    if isinstance(module, nn.BatchNorm1d):
        return 1 if n_axes == 2 else 2
    if isinstance(module, nn.Conv1d):
        return 2
    two = (nn.Conv2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.LPPool2d, nn.BatchNorm2d)
    return 3 if isinstance(module, two) else rank_of(call)
