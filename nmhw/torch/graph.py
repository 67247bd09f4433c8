"""From a trace to populations and the paths between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nmhw.errors import TorchError
from nmhw.torch.layers import (
    PLACE,
    SUMS,
    is_max_pool,
    refuse_layer,
    refuse_step_norm,
)
from nmhw.torch.paths import Path, meet
from nmhw.torch.recognize import is_neuron
from nmhw.torch.tracing import MAKERS, Call, Trace

INPUT = "input"
#: Behind a linear layer these make spikes: neurons that the user wrote.
_COMPARISONS = frozenset(
    {"ge", "gt", "le", "lt", "__ge__", "__gt__", "__le__", "__lt__", "greater", "greater_equal",
     "less", "less_equal", "heaviside", "sign", "round", "floor", "ceil", "apply"}
)  # fmt: skip
_JOINS = ("stack", "cat", "concat", "concatenate")


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
            arrived = self.trace.calls[index].inputs[0]
            paths = self._back(arrived, turn, len(site.calls))
            out += [p.entry(arrived) for p in paths if p.source == INPUT][:1]
        return out

    def _end(self, value: int) -> list[str]:
        """Return the sites behind a result, seen through any function of them."""
        names: list[str] = []
        waiting, seen = [value], set()
        compared: str | None = None
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
                compared = call.name if call.function in _COMPARISONS else compared
                waiting += call.inputs
        linear = next((n for n in names if self.sites[n].module is None), None)
        if compared is not None and linear is not None:
            raise TorchError(
                "behind the last linear layer a function makes spikes: neurons of one's own are "
                "not read", got=compared, where=linear,
                hint="neurons of nmhw.torch in their place (LIF, IF, CubaLIF); or nmhw.record and "
                "nmhw.cost, which take any neurons",
                rule="torch.own-neurons",
            )  # fmt: skip
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
        if self._is_constant(value):
            return self._given(value)
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
            return self._sum(call, turn, total)
        if call.function in _JOINS:
            return self._joined(call, turn, total)
        driven = [v for v in call.inputs if v in self.trace.driven]
        if len(driven) > 1 and call.module is None:
            refuse_layer(call)
        return [p.then(call) for p in self._back((driven or call.inputs)[0], turn, total)]

    def _given(self, value: int) -> list[Path]:
        """Return the path from the input, or none from a state that starts at zero."""
        if value == self.trace.root:
            return [Path(INPUT, 0, value)]
        if not self.trace.values[value].any():
            return []
        raise TorchError(
            "a tensor that is no input and no layer's output takes part",
            got=f"shape {tuple(self.trace.values[value].shape)}",
            hint="put constants into a layer's bias; begin with states of zero",
            rule="torch.constant",
        )  # fmt: skip

    def _sum(self, call: Call, turn: int, total: int) -> list[Path]:
        """Return the paths of all addends; constants go with the one that carries biases."""
        if call.keywords.get("alpha", 1) != 1:
            refuse_layer(call)
        addends = [v for v in call.inputs if not self._is_constant(v)]
        paths = meet([p for v in addends for p in self._back(v, turn, total)])
        numbers = [a for a in call.arguments if isinstance(a, int | float) and a != 0]
        constants = [v for v in call.inputs if self._is_constant(v) and self.trace.values[v].any()]
        if numbers or constants:
            return [p.then(call) if p.is_carrier else p for p in paths]
        return paths

    def _is_constant(self, value: int) -> bool:
        """Whether functions alone made a value of parameters and numbers."""
        if value in self.trace.driven or value == self.trace.root:
            return False
        index = self.trace.maker.get(value)
        if index is None:
            return True
        call = self.trace.calls[index]
        is_made = call.function in MAKERS or all(self._is_constant(v) for v in call.inputs)
        return call.module is None and is_made

    def _joined(self, call: Call, turn: int, total: int) -> list[Path]:
        """Return the path of steps that were stacked, or the paths of features that were joined."""
        several = [self._back(v, turn, total) for v in call.inputs]
        sources = {tuple(p.signature() for p in paths) for paths in several}
        if len(sources) > 1 and call.function != "stack":
            return self._placed(call, several)
        if len(sources) > 1:
            raise TorchError(
                "outputs of different layers are stacked", got=call.function, where=call.name,
                hint="torch.cat along the channels, or add the branches (x + y)",
                rule="torch.joined",
            )  # fmt: skip
        return [replace(p, delay=0, port=call.outputs[0]) for p in several[-1]]

    def _placed(self, call: Call, several: list[list[Path]]) -> list[Path]:
        """Return the paths of tensors joined along an axis, each with its place on that axis."""
        shapes = [self.trace.values[v].shape for v in call.inputs]
        made = self.trace.values[call.outputs[0]].shape
        axis = call.keywords.get("dim", call.arguments[1] if len(call.arguments) > 1 else 0)
        axis = axis % len(made)
        found, offset = [], 0
        for value, shape, paths in zip(call.inputs, shapes, several, strict=True):
            where = (offset, made[axis], len(made) - axis)
            part = Call(call.name, None, PLACE, where, {}, (value,), call.outputs)
            found += [p.then(part) for p in paths]
            offset += shape[axis]
        return meet(found, is_join=True)
