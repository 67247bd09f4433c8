"""From one traced batch to sites, the linear forms between them, and what stays on the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nmhw.errors import TorchError
from nmhw.torch.forms import (
    DIFFERENCES,
    REDUCTIONS,
    Branch,
    Form,
    fed,
    is_move,
    moved,
    summed,
    transformed,
)
from nmhw.torch.graph import INPUT
from nmhw.torch.label_rows import find_rows
from nmhw.torch.layers import SUMS, is_max_pool
from nmhw.torch.recognize import find_neurons, is_neuron
from nmhw.torch.sites import Extent, Order, RecordedSite, own_call
from nmhw.torch.tracing import MAKERS, Call, Trace

_ANALOG = "its input is no sum of spikes of one step"
_BEHIND = "it works on values of the host"


class RecordedGraph:
    """Sites of a module in the order of their first calls.

    Attributes
    ----------
    sites : dict of name to RecordedSite
    host_calls : dict of call index to reason
    """

    def __init__(
        self, trace: Trace, extent: Extent, own: frozenset[nn.Module], step_s: float,
        takes_spikes: bool,
    ) -> None:  # fmt: skip
        self.trace, self.extent, self.own, self.step_s = trace, extent, own, step_s
        self.sites: dict[str, RecordedSite] = {}
        self.host_calls: dict[int, str] = {}
        self.read_by_host: set[str] = set()
        self._keys: dict[Any, str] = {}
        self._n_calls: dict[Any, int] = {}
        for call in trace.calls:
            key = call.module or call.name
            self._n_calls[key] = self._n_calls.get(key, 0) + 1
        self.forms: dict[int, Form | None] = {trace.root: self._root() if takes_spikes else None}
        for index, call in enumerate(trace.calls):
            self._follow(index, call)
        for value in trace.results:
            self._end(value)

    def _root(self) -> Form | None:
        if self.extent.layout == "N":
            return None
        sample = self.trace.values[self.trace.root]
        order: Order = "TN" if self.extent.layout == "TN" else "NT"
        shape = self.extent.features(sample.shape, order)
        labels = self.extent.labels(sample.shape, order, 0)
        return Form((Branch(INPUT, shape, labels),))

    def _form(self, value: int) -> Form | None:
        if value not in self.forms:  # a parameter, a state, a constant
            tensor = self.trace.values[value]
            is_nothing = tensor.dtype.is_floating_point and not bool(tensor.any())
            self.forms[value] = Form((), None if is_nothing else tensor)
        return self.forms[value]

    def _follow(self, index: int, call: Call) -> None:
        forms = [self._form(value) for value in call.inputs]
        if own_call(call, self.own):
            self._neurons(index, call, forms[0])
            return
        if call.function in MAKERS:
            forms = [Form()]
        known = [form for form in forms if form is not None]
        if len(known) == len(forms) and not any(form.branches for form in known):
            for value in call.outputs:  # zeros become Form()
                self._form(value)
            return
        made: list[Form | None] = [None] * len(call.outputs)
        reason = _BEHIND
        if is_move(call):
            if len(known) == len(forms):
                made = list(moved(call, index, known, self.trace))
            self._set(call, made)
            return
        if len(known) == len(forms):
            reason = _why(call, known)
            if call.function in SUMS or call.function in DIFFERENCES:
                made = [summed(call, known, self.trace)]
            elif is_max_pool(call) and self._pool(call, known[0]):
                return
            else:
                made = [transformed(call, index, known, self.trace)] * len(call.outputs)
        self._set(call, made)
        if any(form is None for form in made):
            self.host_calls[index] = reason
            for value, form in zip(call.inputs, forms, strict=True):
                if form is not None and form.branches:
                    self._read(value, form, may_end=call.function in REDUCTIONS)

    def _set(self, call: Call, made: list[Form | None]) -> None:
        for value, form in zip(call.outputs, made, strict=True):
            self.forms[value] = form

    def _read(self, value: int, form: Form, may_end: bool) -> None:
        """Note that the host takes a value: it also computes the layers in front of it."""
        if form.calls and may_end and self._linear_end(value, form):
            return
        for index in form.calls:
            self.host_calls.setdefault(index, "the host takes its sums as values")
        self.read_by_host.update(branch.source for branch in form.branches)

    def _new(self, key: Any, name: str, **fields: Any) -> RecordedSite:
        plain = name.replace(": ", ".").replace("/", ".")
        unique, number = plain, 2
        while unique in self.sites or unique == INPUT:
            unique, number = f"{plain}_{number}", number + 1
        self._keys[key] = unique
        self.sites[unique] = RecordedSite(unique, **fields)
        return self.sites[unique]

    def _neurons(self, index: int, call: Call, form: Form | None) -> None:
        module, value = call.module, call.outputs[0]
        assert module is not None
        tensor, total = self.trace.values[value], self._n_calls[module]
        if module not in self._keys:
            found = find_neurons(module, self.step_s, call.name) if is_neuron(module) else None
            flat: Order | None = "N*T" if found and found.layout == "squeeze" else None
            order = self.extent.order(tensor.shape, total, call.name, flat)
            kind = "lif" if found is None else found.kind
            shape = self.extent.features(tensor.shape, order)
            self._new(module, call.name, kind=kind, shape=shape, order=order, found=found,
                      module=module)  # fmt: skip
        site = self.sites[self._keys[module]]
        turn = len(site.values)
        site.values.append(value)
        site.inputs.append(call.inputs[0])
        feed = None if site.found is None else site.found.feed
        if form is not None and feed is not None:
            form = fed(form, feed, self.trace.values[call.inputs[0]], tensor, f"{call.name}.feed")
        site.form, site.input_value = form, call.inputs[0]
        if form is None or not form.branches or not self._is_aligned(site, form, turn):
            site.is_host = True
            if form is not None and form.branches:
                self._read(site.input_value, form, may_end=False)
        for other in call.outputs[1:]:
            self.forms[other] = None
        is_spiking = site.kind in ("if", "lif", "cubalif")
        labels = self.extent.labels(tensor.shape, site.order, turn)
        self.forms[value] = Form((Branch(site.name, site.shape, labels),)) if is_spiking else None
        if site.is_host:
            self.host_calls[index] = _ANALOG if form is not None else _BEHIND

    def _is_aligned(self, site: RecordedSite, form: Form, turn: int) -> bool:
        """Whether every branch brings each sample what it made itself, at one delay."""
        size = self.trace.values[site.values[-1]].numel()
        if any(branch.labels.numel() != size for branch in form.branches):
            return False
        return all(alignment(self.extent, site.order, b, turn) is not None for b in form.branches)

    def _pool(self, call: Call, form: Form) -> bool:
        """Make neurons of a max-pool over spikes; False where it is over anything else."""
        if len(form.branches) != 1 or form.offset is not None or form.branches[0].ops:
            return False
        branch = form.branches[0]
        given, value = self.trace.values[call.inputs[0]], call.outputs[0]
        rows = find_rows(branch.labels.reshape(given.shape[0], -1), branch.size)
        if rows is None or not rows.is_identity(branch.size) or given.max() > 1:
            return False
        key = (call.module or call.name, branch.source)
        tensor = self.trace.values[value]
        try:
            if key not in self._keys:
                order = self.extent.order(
                    tensor.shape, self._n_calls[call.module or call.name], call.name, None
                )
                shape = self.extent.features(tensor.shape, order)
                self._new(key, call.name, kind="threshold", shape=shape, order=order, found=None,
                          module=call.module)  # fmt: skip
        except TorchError:
            return False
        site = self.sites[self._keys[key]]
        labels = self.extent.labels(tensor.shape, site.order, len(site.values))
        site.values.append(value)
        site.form, site.input_value = form, call.inputs[0]
        self.forms[value] = Form((Branch(site.name, site.shape, labels),))
        return True

    def _linear_end(self, value: int, form: Form) -> bool:
        """Make the site of a linear end whose sums the host takes over the steps."""
        tensor = self.trace.values[value]
        try:
            order = self.extent.order(tensor.shape, 1, "", None)
        except TorchError:
            return False
        if any(alignment(self.extent, order, b, 0) is None for b in form.branches):
            return False
        key = tuple(sorted(form.calls))
        if key in self._keys:
            return True
        name = self.trace.calls[max(form.calls)].name
        site = self._new(key, name, kind="linear", shape=self.extent.features(tensor.shape, order),
                         order=order, found=None, module=None)  # fmt: skip
        site.form, site.input_value = form, value
        return True

    def _end(self, value: int) -> None:
        form = self._form(value)
        if form is not None and form.branches:
            self._read(value, form, may_end=True)


def alignment(
    extent: Extent, order: Order, branch: Branch, turn: int
) -> tuple[int, torch.Tensor] | None:
    """Return a branch's delay in steps and its feature per feature of the target (-1 = none).

    None where samples, steps or features are mixed.
    """
    labels = extent.sorted(branch.labels, order)
    steps, n, _ = labels.shape
    first = turn if order == "step" else 0
    group = torch.arange(first * n, (first + steps) * n).reshape(steps, n, 1)
    inside = labels >= 0
    if not bool(inside.any()):
        return None
    apart = (group - labels // branch.size)[inside]
    feature = torch.where(inside, labels % branch.size, labels)
    is_same = bool((feature == feature[:1, :1]).all())
    if not is_same or bool((apart != apart[0]).any()) or int(apart[0]) % n or int(apart[0]) < 0:
        return None
    return int(apart[0]) // n, feature[0, 0]


def _why(call: Call, forms: list[Form]) -> str:
    """Return why a call over spikes and constants has no place on a chip."""
    if sum(bool(form.branches) for form in forms) > 1:
        return "product of two activations"
    name = (call.function or type(call.module).__name__).lower()
    if "norm" in name:
        return "it normalizes by what it sees"
    if "softmax" in name:
        return "softmax"
    if is_max_pool(call):
        return "a maximum over values"
    if call.function in REDUCTIONS:
        return "it joins steps"
    return "no linear operation between neurons"
