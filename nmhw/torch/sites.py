"""Where a module's neurons are, and how their tensors lie: steps, samples, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from nmhw.errors import TorchError
from nmhw.torch.forms import Form
from nmhw.torch.framework_neurons import FoundNeurons
from nmhw.torch.recognize import is_neuron
from nmhw.torch.tracing import Call, Trace, tensors_in
from nmhw.values.linear import Shape

#: (steps, samples, ...), (samples, steps, ...), one call per step, (steps * samples, ...),
#: (samples * steps, ...)
Order = Literal["TN", "NT", "step", "T*N", "N*T"]


@dataclass(frozen=True, slots=True)
class Extent:
    """Samples and steps of one batch, and the order of the axes of the module's input."""

    n_samples: int
    n_steps: int
    layout: str

    def order(self, shape: Sequence[int], n_calls: int, name: str, flat: Order | None) -> Order:
        """Return how a layer's tensor of this shape lies.

        Parameters
        ----------
        flat : "N*T" where the layer is known to flatten samples first

        Raises
        ------
        TorchError
            Where neither samples nor steps are found in the leading axes.
        """
        t, n = self.n_steps, self.n_samples
        lead = tuple(shape[:2])
        if n_calls > 1 and n_calls == t and shape[0] == n:
            return "step"
        if n_calls == 1 and flat is None:
            if lead == (t, n):
                return "TN"
            if lead == (n, t):
                return "NT"
        if n_calls == 1 and shape[0] == t * n:
            return flat or ("N*T" if self.layout == "NT" else "T*N")
        raise TorchError(
            "samples and steps are not found in the axes of this layer's tensors",
            got=f"{n_calls} calls of shape {tuple(shape)}", limit=f"{t} steps, {n} samples",
            where=name, rule="record.axes",
            hint='layout="TN" or "NT" as the module takes its input, n_steps where it makes the '
            "steps itself, and one object per layer of neurons",
        )  # fmt: skip

    def features(self, shape: Sequence[int], order: Order) -> Shape:
        """Return the shape of one sample and step."""
        return tuple(int(n) for n in shape[2 if order in ("TN", "NT") else 1 :]) or (1,)

    def sorted(self, tensor: torch.Tensor, order: Order) -> torch.Tensor:
        """Return a tensor as (steps, samples, features); one step where it is one call's."""
        t, n = self.n_steps, self.n_samples
        if order == "step":
            return tensor.reshape(1, n, -1)
        if order in ("TN", "T*N"):
            return tensor.reshape(t, n, -1)
        return tensor.reshape(n, t, -1).transpose(0, 1)

    def labels(self, shape: Sequence[int], order: Order, turn: int) -> torch.Tensor:
        """Return the labels of a source's own tensor: group * size + feature."""
        steps = 1 if order == "step" else self.n_steps
        size = int(np.prod(self.features(shape, order)))
        table = torch.arange(steps * self.n_samples * size).reshape(steps, self.n_samples, size)
        table = table + (turn * self.n_samples * size if order == "step" else 0)
        if order in ("NT", "N*T"):
            table = table.transpose(0, 1)
        return table.reshape(tuple(shape))


@dataclass(slots=True, eq=False)
class RecordedSite:
    """Neurons, a max-pool over spikes, or the linear end of the network.

    Attributes
    ----------
    form : Form or None
        What arrives in the last call; None = something that no core can make.
    values, inputs : numbers of the tensors made and taken, one per call
    """

    name: str
    kind: str
    shape: Shape
    order: Order
    found: FoundNeurons | None
    module: nn.Module | None
    values: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    form: Form | None = None
    input_value: int = 0
    is_host: bool = False


def raster(extent: Extent, values: Sequence[torch.Tensor], order: Order) -> torch.Tensor:
    """Return what a site made as (samples, steps, features)."""
    if order == "step":
        return torch.stack([v.reshape(extent.n_samples, -1) for v in values], 1)
    return extent.sorted(values[0], order).transpose(0, 1)


def find_own_neurons(module: nn.Module, sample: torch.Tensor, neurons: Any) -> frozenset[str]:
    """Return the paths of modules that make spikes and are of no known framework.

    They hold no layers, take one tensor that is not spikes, and return 0 and 1 in its shape.
    """
    candidates = {
        path: part
        for path, part in module.named_modules()
        if isinstance(part, neurons) or (path and _may_be_neuron(part))
    }
    is_spiking = dict.fromkeys(candidates, False)
    is_other: set[str] = set()
    hooks = []

    def watch(path: str) -> Any:
        def seen(part: nn.Module, args: Any, out: Any) -> None:
            given, made = tensors_in(args), tensors_in(out)
            if not given or not made or given[0].shape != made[0].shape or not _binary(made[0]):
                is_other.add(path)
            is_spiking[path] |= bool(given) and not _binary(given[0])

        return seen

    for path, part in candidates.items():
        hooks.append(part.register_forward_hook(watch(path)))
    try:
        with torch.no_grad():
            module(sample)
    except Exception:  # the traced run says what is wrong
        return frozenset()
    finally:
        for hook in hooks:
            hook.remove()
    given = {path for path, part in candidates.items() if isinstance(part, neurons)}
    return frozenset({p for p, yes in is_spiking.items() if yes} - is_other | given)


def _may_be_neuron(part: nn.Module) -> bool:
    in_torch = type(part).__module__.startswith("torch.")
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return not in_torch and not any(is_neuron(p) or isinstance(p, layers) for p in part.modules())


def _binary(tensor: torch.Tensor) -> bool:
    return bool(((tensor == 0) | (tensor == 1)).all())


def check_same_calls(first: Trace, other: Trace, where: str) -> None:
    """Refuse a module that does other things with other batches.

    Raises
    ------
    TorchError
    """
    one, two = ([c.name for c in t.calls] for t in (first, other))
    if one != two:
        pairs = enumerate(zip(one, two, strict=False))
        place = next((k for k, (a, b) in pairs if a != b), min(len(one), len(two)))
        got = two[place] if place < len(two) else "nothing"
        raise TorchError(
            "the module makes other calls for another batch", got=got,
            limit=one[place] if place < len(one) else "nothing", where=where,
            hint="no branches on the data", rule="record.calls",
        )  # fmt: skip


def own_call(call: Call, own: frozenset[nn.Module]) -> bool:
    """Whether a call is one of a layer of neurons."""
    return call.module is not None and (call.module in own or is_neuron(call.module))
