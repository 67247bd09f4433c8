"""``nmhw.record``: the spikes and the connectivity of a module that need not be a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from nmhw.api.reading import give_meaning
from nmhw.errors import InputError, TorchError, UsageError
from nmhw.torch.conversion import DEFAULT_DT_S, copy_at_rest
from nmhw.torch.graph import INPUT
from nmhw.torch.host_counts import count_call
from nmhw.torch.layers import is_layer
from nmhw.torch.recognize import is_neuron, own_step_s
from nmhw.torch.recorded_check import check_sums
from nmhw.torch.recorded_graph import RecordedGraph
from nmhw.torch.recorded_network import recorded_network
from nmhw.torch.sites import Extent, check_same_calls, find_own_neurons, raster
from nmhw.torch.tracing import Trace as ModuleTrace
from nmhw.torch.tracing import tensors_in, trace_module
from nmhw.values.events import SpikeEvents, check_counts
from nmhw.values.notice import Notice
from nmhw.values.trace import HostOperation, Trace

LAYOUTS = ("NT", "TN", "N")
Parts = dict[str, list[SpikeEvents]]


@dataclass(slots=True, eq=False)
class _Recording:
    """What is kept of the batches seen so far."""

    graph: RecordedGraph
    trace: ModuleTrace
    own: frozenset[str]
    spikes: Parts = field(default_factory=dict)
    rows: dict[str, HostOperation] = field(default_factory=dict)
    n_samples: int = 0


def record(
    module: nn.Module,
    loader: Any,
    *,
    layout: str = "NT",
    n_steps: int | None = None,
    dt_s: float | None = None,
    neurons: type[nn.Module] | tuple[type[nn.Module], ...] = (),
    max_batches: int | None = None,
    name: str | None = None,
) -> Trace:
    """Store the spikes of every layer and what connects the layers, for ``nmhw.cost``.

    Works where ``from_torch`` does not: spiking transformers, own neurons, blocks that no chip
    has. A copy of the module runs in evaluation mode, every batch from its own resting state.
    Linear, Conv1d, Conv2d, BatchNorm, average pools, sums and products with constants between
    spikes and neurons become projections (also over tokens, heads and changed axes), max-pools
    over spikes threshold neurons; products of two activations, softmax, LayerNorm, other
    activations and everything behind them up to the next neurons become host operations.

    Parameters
    ----------
    module : torch.nn.Module
    loader : tensor, or iterable of tensors or (tensor, labels) batches
    layout : "NT" | "TN" | "N"
        Axes of a batch: (samples, steps, ...), (steps, samples, ...), or (samples, ...) where the
        module makes the steps itself; then ``n_steps`` is needed and the input is a host value.
    n_steps : int, optional
    dt_s : float, optional
        Step in seconds; default the neurons' own, else 1 ms, noted.
    neurons : class or tuple of classes, optional
        Layers that make spikes and are not recognized. Own layers without weights that return 0
        and 1 in the shape of one input that is no spikes are found without.
    max_batches : int, optional
    name : str, optional
        Default the module's class.

    Returns
    -------
    Trace

    Raises
    ------
    UsageError
        For arguments that make no sense.
    InputError
        For batches that are no tensors or that the module fails on.
    TorchError
        For layers whose steps are not found, spikes that are no counts, a module in which no layer
        of neurons makes spikes, or one that does what was not followed: the sums that arrive at
        the neurons of the first batch are recomputed from the record.
    """
    _check(module, layout, n_steps, dt_s, neurons, max_batches)
    kept: _Recording | None = None
    label = name or type(module).__name__
    for batch in islice(_batches(loader), max_batches):
        for part in _pieces(batch, layout, n_steps):
            with torch.no_grad():
                kept = _add(kept, module, part, layout, n_steps, dt_s, neurons)
    if kept is None:
        raise InputError("there is no batch to record", got="an empty loader", rule="record.empty")
    network, notices = recorded_network(kept.graph, label)
    network = give_meaning(network, network.profile, dt_s=kept.graph.step_s)
    taken = {port.name for port in network.inputs} | {p.name for p in network.populations}
    spikes = {n: _joined(parts) for n, parts in kept.spikes.items() if n in taken}
    if dt_s is None and not _own_step(module):
        text = "the neurons count in steps; a step is taken as 1 ms (rates and real-time pace)"
        notices.append(Notice("torch.dt", label, text, "assumption", "dt_s=SECONDS"))
    return Trace(
        label, network, spikes, tuple(kept.rows.values()), kept.n_samples,
        kept.graph.extent.n_steps, tuple(notices),
    )  # fmt: skip


def _check(
    module: Any, layout: str, n_steps: Any, dt_s: Any, neurons: Any, max_batches: Any
) -> None:
    if not isinstance(module, nn.Module):
        raise UsageError("this takes a torch.nn.Module", got=type(module).__name__)
    if layout not in LAYOUTS:
        raise UsageError("no such layout", got=repr(layout), hint=", ".join(LAYOUTS))
    for what, number in (("n_steps", n_steps), ("max_batches", max_batches)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise UsageError(f"{what} is a whole number above 0", got=repr(number))
    if layout == "N" and n_steps is None:
        raise UsageError("a batch without steps needs n_steps", hint='n_steps=4, or layout="TN"')
    if dt_s is not None and not (isinstance(dt_s, int | float) and 0 < dt_s < float("inf")):
        raise UsageError("dt must be positive", got=repr(dt_s))
    classes = neurons if isinstance(neurons, tuple) else (neurons,)
    if not all(isinstance(c, type) and issubclass(c, nn.Module) for c in classes):
        raise UsageError("neurons are classes of modules", got=repr(neurons))


def _batches(loader: Any) -> Iterator[torch.Tensor]:
    if isinstance(loader, torch.Tensor):
        loader = [loader]
    if not isinstance(loader, Iterable):
        hint = "a tensor, a DataLoader or a list of batches"
        raise InputError("this is no data", got=type(loader).__name__, hint=hint)
    for batch in loader:
        found = tensors_in(batch)
        if not found:
            got = type(batch).__name__
            raise InputError("a batch without a tensor", got=got, rule="record.batch")
        yield found[0]


def _pieces(batch: torch.Tensor, layout: str, n_steps: int | None) -> Iterator[torch.Tensor]:
    """Yield a batch; in two where it has as many samples as steps, so that axes stay distinct."""
    axis = 1 if layout == "TN" else 0
    least = 1 if layout == "N" else 2
    if batch.ndim <= least or 0 in batch.shape:
        hint = 'layout="N" where there is no axis of steps'
        what = "a batch has samples, steps and features"
        raise InputError(what, got=tuple(batch.shape), hint=hint, rule="record.batch")
    if batch.dtype.is_floating_point and not bool(torch.isfinite(batch).all()):
        raise InputError("a batch holds NaN or infinite values", rule="record.finite")
    steps = n_steps if layout == "N" else batch.shape[1 - axis]
    if n_steps is not None and steps != n_steps:
        raise InputError("a batch of another number of steps", got=steps, limit=n_steps)
    if steps == batch.shape[axis] and steps != 1:
        yield batch.narrow(axis, 0, steps - 1)
        yield batch.narrow(axis, steps - 1, 1)
    else:
        yield batch


def _own_step(module: nn.Module) -> float | None:
    steps = (own_step_s(part) for part in module.modules() if is_neuron(part))
    return next((step for step in steps if step is not None), None)


def _add(
    kept: _Recording | None, module: nn.Module, batch: torch.Tensor, layout: str,
    n_steps: int | None, dt_s: float | None, neurons: Any,
) -> _Recording:  # fmt: skip
    """Run one batch and add what it did."""
    steps_axis = {"NT": 1, "TN": 0}.get(layout)
    steps = n_steps if steps_axis is None else int(batch.shape[steps_axis])
    assert steps is not None
    extent = Extent(int(batch.shape[1 if layout == "TN" else 0]), steps, layout)
    own = find_own_neurons(_rested(module), batch, neurons) if kept is None else kept.own
    ready = _rested(module)
    parts = frozenset(part for path, part in ready.named_modules() if path in own)
    trace = trace_module(ready, batch, lambda m: m in parts or is_neuron(m) or is_layer(m))
    if kept is None:
        step_s = dt_s or _own_step(module) or DEFAULT_DT_S
        graph = RecordedGraph(trace, extent, parts, step_s, layout != "N" and _is_counts(batch))
        check_sums(graph)
        kept = _Recording(graph, trace, own)
    else:
        check_same_calls(kept.trace, trace, type(module).__name__)
        if steps != kept.graph.extent.n_steps:
            limit = kept.graph.extent.n_steps
            raise InputError("a batch of another number of steps", got=steps, limit=limit)
    _keep(kept, trace, extent, batch)
    return kept


def _rested(module: nn.Module) -> nn.Module:
    return copy_at_rest(module).eval()


def _is_counts(batch: torch.Tensor) -> bool:
    values = batch.double()
    return bool((values >= 0).all() and (values == values.floor()).all() and values.max() < 256)


def _keep(kept: _Recording, trace: ModuleTrace, extent: Extent, batch: torch.Tensor) -> None:
    graph = kept.graph
    is_spikes = graph.forms[graph.trace.root] is not None
    if is_spikes and not _is_counts(batch):
        raise InputError("the first batch was spikes, this one is not", rule="record.batch")
    if is_spikes:
        table = batch.transpose(0, 1) if extent.layout == "TN" else batch
        _store(kept.spikes, INPUT, table, tuple(int(n) for n in table.shape[2:]))
    for site in graph.sites.values():
        if site.kind in ("if", "lif", "cubalif", "threshold"):
            table = raster(extent, [trace.values[v] for v in site.values], site.order)
            _store(kept.spikes, site.name, table, site.shape)
    for index, reason in sorted(graph.host_calls.items()):
        call = trace.calls[index]
        operation = call.function or type(call.module).__name__
        row = kept.rows.get(call.name, HostOperation(call.name, operation, reason))
        kept.rows[call.name] = count_call(row, call, trace)
    kept.n_samples += extent.n_samples


def _store(spikes: Parts, name: str, table: torch.Tensor, shape: tuple[int, ...]) -> None:
    values = table.detach().cpu().numpy()
    try:
        check_counts(values, name)
    except InputError as error:
        raise TorchError(
            "what these neurons make is no count of spikes", got=error.got, where=name,
            hint="spikes of 0 and 1; scale weights in place of spikes", rule="record.graded",
        ) from error  # fmt: skip
    spikes.setdefault(name, []).append(SpikeEvents.from_dense(values, shape))


def _joined(parts: list[SpikeEvents]) -> SpikeEvents:
    """Return the events of consecutive batches as one record."""
    starts = np.cumsum([0, *(p.n_samples for p in parts)])
    columns = [
        np.concatenate([p.sample + np.int32(s) for p, s in zip(parts, starts, strict=False)]),
        *(np.concatenate([getattr(p, c) for p in parts]) for c in ("step", "index")),
    ]
    sample, step, index = (np.ascontiguousarray(c, np.int32) for c in columns)
    return replace(parts[0], sample=sample, step=step, index=index, n_samples=int(starts[-1]))
