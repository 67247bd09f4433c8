"""From a trace to populations and the paths between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nmhw.errors import TorchError
from nmhw.torch.layers import AXES, RESHAPES, SAME, SUMS, is_max_pool, refuse_step_norm
from nmhw.torch.recognize import is_neuron
from nmhw.torch.tracing import Call, Trace
from nmhw.values.linear import Shape

INPUT = "input"
_JOINS = ("stack", "cat", "concat", "concatenate")


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Calls that lead from a site (or the input) to another; ``port`` is the value they start at.

    ``delay`` counts steps: the source was called that many steps before the target.
    """

    source: str
    delay: int
    port: int
    calls: tuple[Call, ...] = ()

    def signature(self) -> tuple[Any, ...]:
        """Return what must be alike in every step."""
        return (self.source, tuple(c.module or c.function for c in self.calls))

    def then(self, call: Call) -> Path:
        """Return the path with one more call."""
        return Path(self.source, self.delay, self.port, (*self.calls, call))

    def entry(self) -> int:
        """Return the value that the first call takes that does more than pick samples or steps."""
        for call in self.calls:
            if call.function not in SAME and call.function not in AXES:
                return call.inputs[0]
        return self.calls[-1].outputs[0] if self.calls else self.port


@dataclass(slots=True, eq=False)
class Site:
    """A population to be: neurons, a max-pool over spikes, or a linear end of the network.

    ``calls`` are indices into the trace, one per step or one for all steps; ``value`` is what
    arrives in the last of them.
    """

    name: str
    module: nn.Module | None
    calls: list[int]
    value: int
    paths: list[Path] = field(default_factory=list)
    is_pool: bool = False


class Graph:
    """Sites in an order in which sources come before targets, loops apart."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.sites: dict[str, Site] = {}
        self.order: list[Site] = []
        self._names: dict[Any, str] = {}
        ends = [self._end(value) for value in trace.results]
        found = dict.fromkeys(name for names in ends for name in names)
        if not found:
            raise TorchError(
                "what the module returns comes from no layer of neurons and no Linear or Conv",
                hint="return the spikes or the membranes of the last layer", rule="torch.output",
            )  # fmt: skip
        fed = {path.source for site in self.order for path in site.paths}
        last = [name for name in found if name not in fed]
        self.outputs = tuple(last or found)

    def entries(self, site: Site) -> list[int]:
        """Return what the input's path to a site takes in every one of its calls."""
        out = []
        for turn, index in enumerate(site.calls):
            paths = self._back(self.trace.calls[index].inputs[0], turn, len(site.calls))
            out += [p.entry() for p in paths if p.source == INPUT][:1]
        return out

    def _end(self, value: int) -> list[str]:
        """Return the sites behind a result, seen through any function of them."""
        names: list[str] = []
        waiting, seen = [value], set()
        while waiting:
            now = waiting.pop()
            index = self.trace.maker.get(now)
            if now in seen or index is None:
                continue
            seen.add(now)
            call = self.trace.calls[index]
            if call.module is not None and is_neuron(call.module):
                names.append(self._neurons(call.module, call.name))
            elif call.module is not None and not isinstance(call.module, nn.Dropout | nn.Identity):
                names.append(self._linear(call, now))
            else:
                waiting += call.inputs
        return names

    def _new(self, key: Any, name: str, module: nn.Module | None, calls: list[int]) -> Site:
        plain = name.replace(": ", ".").replace("/", ".")
        unique, number = plain, 2
        while unique in self.sites or unique == INPUT:
            unique, number = f"{plain}_{number}", number + 1
        self._names[key] = unique
        site = Site(unique, module, calls, self.trace.calls[calls[-1]].inputs[0])
        self.sites[unique] = site
        return site

    def _neurons(self, module: nn.Module, name: str) -> str:
        if module in self._names:
            return self._names[module]
        calls = self.trace.calls_of(module)
        site = self._new(module, name, module, calls)
        site.paths = self._back(site.value, len(calls) - 1, len(calls))
        if len(calls) > 1:
            self._check_steps(site)
        self.order.append(site)
        return site.name

    def _check_steps(self, site: Site) -> None:
        """Refuse layers that are others in the first step than in the last."""
        first = self._back(self.trace.calls[site.calls[0]].inputs[0], 0, len(site.calls))
        at_first = {p.signature() for p in first if not p.delay}
        at_last = {p.signature() for p in site.paths if not p.delay}
        if at_first == at_last:
            return
        for path in (*first, *site.paths):
            for call in path.calls:
                if isinstance(call.module, _BatchNorm):
                    refuse_step_norm(call.name)
        raise TorchError(
            "the layers in front of these neurons differ from step to step", where=site.name,
            hint="one layer object for all steps, and one object per layer of neurons",
            rule="torch.steps-differ",
        )  # fmt: skip

    def _max_pool(self, call: Call, turn: int, total: int) -> str:
        paths = self._back(call.inputs[0], turn, total)
        key = (call.module or call.name, *(p.signature() for p in paths))
        if key in self._names:
            return self._names[key]
        site = self._new(key, call.name, None, [self.trace.calls.index(call)])
        site.paths, site.is_pool = paths, True
        self.order.append(site)
        return site.name

    def _linear(self, call: Call, value: int) -> str:
        """Make a site of the linear layer that ends the network."""
        if call.module in self._names:
            return self._names[call.module]
        calls = self.trace.calls_of(call.module) if call.module is not None else []
        site = self._new(call.module, call.name, None, calls)
        site.value = value
        site.paths = self._back(value, 0, 1)
        self.order.append(site)
        return site.name

    def _back(self, value: int, turn: int, total: int) -> list[Path]:
        """Return the paths that lead to a value in the target's call number ``turn``."""
        index = self.trace.maker.get(value)
        if index is None:
            return self._given(value)
        call = self.trace.calls[index]
        if call.module is not None and is_neuron(call.module):
            if value != call.outputs[0]:
                raise TorchError(
                    "a membrane goes on to another layer; chips send spikes", where=call.name,
                    hint="hand on the first thing the neurons return", rule="torch.membrane",
                )  # fmt: skip
            name = self._neurons(call.module, call.name)
            calls = self.trace.calls_of(call.module)
            is_stepped = total > 1 and len(calls) == total
            return [Path(name, turn - calls.index(index) if is_stepped else 0, value)]
        if is_max_pool(call):
            return [Path(self._max_pool(call, turn, total), 0, value)]
        if call.function in SUMS:
            self._check_addends(call)
            return [p for v in call.inputs for p in self._back(v, turn, total)]
        if call.function in _JOINS:
            return self._joined(call, turn, total)
        return [p.then(call) for p in self._back(call.inputs[0], turn, total)]

    def _given(self, value: int) -> list[Path]:
        """Return the path from the input, or none from a state that starts at zero."""
        if value == self.trace.root:
            return [Path(INPUT, 0, value)]
        if not self.trace.values[value].any():
            return []
        raise TorchError(
            "a tensor that is no input and no layer's output takes part",
            got=f"shape {tuple(self.trace.values[value].shape)}",
            hint="put constants into a layer's bias", rule="torch.constant",
        )  # fmt: skip

    def _joined(self, call: Call, turn: int, total: int) -> list[Path]:
        """Return the path of steps that were stacked: all of one source."""
        several = [self._back(v, turn, total) for v in call.inputs]
        sources = {tuple(p.signature() for p in paths) for paths in several}
        if len(sources) > 1:
            raise TorchError(
                "outputs of different layers are joined", got=call.function, where=call.name,
                hint="add the branches (x + y), or one layer over the inputs of both",
                rule="torch.joined",
            )  # fmt: skip
        return [Path(p.source, 0, call.outputs[0], p.calls) for p in several[-1]]

    def _check_addends(self, call: Call) -> None:
        numbers = [a for a in call.arguments if isinstance(a, int | float) and a != 0]
        if numbers or call.keywords.get("alpha", 1) != 1:
            raise TorchError(
                "a number is added", got=numbers or call.keywords, where=call.name,
                hint="a layer's bias", rule="torch.constant",
            )  # fmt: skip


def claimed_shape(path: Path, trace: Trace, features: Shape) -> Shape:
    """Return the shape of one sample's data at the start of a path, by what its layers take.

    Parameters
    ----------
    features : shape at the path's end, where nothing on the way says otherwise
    """
    for position, call in enumerate(path.calls):
        given = trace.values[call.inputs[0]].shape
        module: Any = call.module
        if isinstance(module, nn.Linear):
            return (module.in_features,)
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
    return 3 if isinstance(module, two) or "pool2d" in call.function else 0
