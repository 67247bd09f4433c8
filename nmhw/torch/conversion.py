"""``nmhw.from_torch``: a PyTorch module and one sample of its input become a Network."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from nmhw.api.reading import give_meaning
from nmhw.errors import ProfileError, TorchError, UsageError
from nmhw.torch.agreement import check_agreement
from nmhw.torch.assemble import assemble
from nmhw.torch.faithful import precision_notices, refuse_chance, refuse_numbers
from nmhw.torch.framework_neurons import FoundNeurons
from nmhw.torch.graph import Graph
from nmhw.torch.layers import is_layer
from nmhw.torch.recognize import find_neurons, is_neuron, keeps_states, own_step_s
from nmhw.torch.tracing import tensors_in, trace_module
from nmhw.values.network import Network
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile

#: Step of a module whose neurons count in steps; only rates and real-time pace depend on it.
DEFAULT_DT_S = 1e-3
#: Fields of a profile that say how a membrane without spikes moves.
_MEMBRANE_FIELDS = ("integrator", "input_gain", "current_gain", "if_gain", "synapse_order")


def from_torch(
    module: nn.Module,
    sample: torch.Tensor,
    *,
    profile: Profile | str | None = None,
    dt_s: float | None = None,
    check: bool = True,
    name: str | None = None,
) -> Network:
    """Read a PyTorch module as a Network, with the profile of its neurons.

    A copy of the module, in evaluation mode, is run once on the sample and followed call by call,
    so that Python loops over steps are understood. Neurons are those of ``nmhw.torch``, snnTorch
    (Leaky, Synaptic, RLeaky, RSynaptic, Lapicque), Norse (LIF, LIFBox, LI, LIFRecurrent and their
    cells), SpikingJelly (IFNode, LIFNode, ParametricLIFNode) and sinabs (IAF, LIF, ExpLeak,
    recurrent ones too); between them Linear, Conv1d, Conv2d, AvgPool2d, MaxPool2d over spikes,
    BatchNorm (folded), Flatten, Dropout (dropped), sums of branches, ``torch.cat`` of channels.

    Parameters
    ----------
    module : torch.nn.Module
    sample : tensor
        Input as the module takes it: with its axes of samples and steps.
    profile : Profile or str, optional
        Overrides the meaning of the neurons.
    dt_s : float, optional
        Step in seconds, for neurons that count in steps; default 1 ms, noted.
    check : bool
        Compare the float run with the module's own spikes on the sample, and refuse random numbers
        and Python that branches on the data.
    name : str, optional
        Default the module's class.

    Returns
    -------
    Network
        Populations are called by the paths of their submodules; ``notices`` list what was folded,
        dropped, approximated or compared.

    Raises
    ------
    TorchError
        For layers and functions that have no place in a network, by path.
    InputError
        For a sample that the module does not take, or parameters that are not finite.
    ProfileError
        For layers that disagree on the meaning of a step.
    """
    if not isinstance(module, nn.Module) or not isinstance(sample, torch.Tensor):
        got = f"{type(module).__name__}, {type(sample).__name__}"
        raise UsageError("this takes a torch.nn.Module and a tensor", got=got)
    refuse_numbers(module, sample)
    evaluated = copy_at_rest(module).eval()
    try:
        trace = trace_module(evaluated, sample, lambda m: is_neuron(m) or is_layer(m))
        if check:
            refuse_chance(trace)
        graph = Graph(trace)
        step_s, notices = _step(graph, dt_s)
        found = {
            site.name: find_neurons(site.module, step_s, site.name)
            for site in graph.order
            if site.module is not None
        }
        meaning = replace(_one_profile(found), dt_s=step_s)
        network, meaning, more = assemble(
            graph, found, meaning, name or type(module).__name__, type(module).__name__
        )
    except TorchError as error:
        raise _with_skeleton(error, module) from error
    if profile is not None:
        meaning = give_meaning(network, profile, dt_s=step_s).profile or meaning
    notices = [*notices, *precision_notices(trace), *more]
    network = replace(network, notices=(*network.notices, *notices))
    network = give_meaning(network, meaning, dt_s=meaning.dt_s)
    if not check:
        return network
    return replace(network, notices=(*network.notices, *check_agreement(network, graph, found)))


#: What frameworks call the method that forgets the last sample.
_RESETS = ("reset_mem", "reset_states", "reset")


def copy_at_rest(module: nn.Module) -> nn.Module:
    """Return a copy whose neurons have forgotten the samples they saw last."""
    kept = [tensor for part in module.modules() for tensor in tensors_in(vars(part))]
    made = [tensor for tensor in kept if not tensor.is_leaf]
    memo: dict[int, Any] = {id(t): t.detach().clone() for t in made}
    try:
        for part in module.modules():
            # the copier of sinabs' recurrent layers takes parameters of parts for its own
            if isinstance(getattr(part, "rec_connect", None), nn.Module):
                memo[id(part)] = part.__class__.__new__(part.__class__)
                memo[id(part)].__dict__.update(copy.deepcopy(part.__dict__, memo))
        copied = copy.deepcopy(module, memo)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise TorchError(
            "the module cannot be copied, probably because it keeps states of the last sample",
            got=str(error).splitlines()[0], where=type(module).__name__,
            hint="reset its states first (utils.reset, functional.reset_net, reset_states)",
            rule="torch.copy",
        ) from error  # fmt: skip
    for part in copied.modules():
        if is_neuron(part) or keeps_states(part):
            forget = next((f for name in _RESETS if callable(f := getattr(part, name, None))), None)
            if forget is not None:
                forget()
    return copied


def _step(graph: Graph, dt_s: float | None) -> tuple[float, list[Notice]]:
    """Return the one step length of all neurons."""
    if dt_s is not None and not (isinstance(dt_s, int | float) and dt_s > 0):
        raise ProfileError("dt must be positive", got=repr(dt_s), rule="profile.dt")
    own = {
        site.name: step
        for site in graph.order
        if site.module is not None and (step := own_step_s(site.module)) is not None
    }
    for name, step in own.items():
        wanted = next(iter(own.values())) if dt_s is None else dt_s
        if not math.isclose(step, wanted, rel_tol=1e-9):
            raise ProfileError(
                "the neurons have another time step", got=f"{step:.6g} s", limit=f"{wanted:.6g} s",
                where=name, hint="one dt for all layers", rule="profile.dt-disagrees",
            )  # fmt: skip
    if dt_s is not None or own:
        return float(next(iter(own.values())) if dt_s is None else dt_s), []
    text = "the neurons count in steps; a step is taken as 1 ms (rates and real-time pace alone)"
    return DEFAULT_DT_S, [
        Notice("torch.dt", "network", text, "assumption", "dt_s=SECONDS", about="network")
    ]


def _one_profile(found: dict[str, FoundNeurons]) -> Profile:
    """Return the profile that all layers share; membranes without spikes have no reset."""
    spiking = {n: f for n, f in found.items() if f.kind in ("if", "lif", "cubalif")}
    silent = {n: f for n, f in found.items() if n not in spiking}
    if not found:
        return Profile("snntorch")
    first, *others = [*spiking.items(), *silent.items()]
    for name, other in others:
        fields = _MEMBRANE_FIELDS if name not in spiking else tuple(
            f for f in Profile.__dataclass_fields__ if f not in ("name", "dt_s")
        )  # fmt: skip
        for field in fields:
            one, two = (getattr(f.profile, field) for f in (first[1], other))
            if one != two:
                raise ProfileError(
                    f"layers differ in their {field}, and a network has one",
                    got=f"{first[0]}: {one}, {name}: {two}", hint="neurons of one kind and reset",
                    rule="torch.profiles-differ",
                )  # fmt: skip
    return first[1].profile


def _with_skeleton(error: TorchError, module: nn.Module) -> TorchError:
    """Return the error with the module's own layers as a Sequential to start from."""
    parts = [
        f"nmhw.torch.{_like(part)}" if is_neuron(part) else f"nn.{part!r}"
        for part in module.modules()
        if is_neuron(part) or is_layer(part)
    ]
    hint = error.hint or "only layers and neurons in the module"
    if parts:
        hint += "; or as one Sequential: nmhw.torch.Sequential(" + ", ".join(parts[:20]) + ")"
    return TorchError(
        error.what, got=error.got, limit=error.limit,
        where=error.where or type(module).__name__, hint=hint, rule=error.rule,
    )  # fmt: skip


def _like(neurons: nn.Module) -> Any:
    """Return the neurons of nmhw.torch that resemble a layer, as a call."""
    try:
        found = find_neurons(neurons, DEFAULT_DT_S, "")
    except TorchError:
        return "LIF()"
    names = {"if": "IF", "lif": "LIF", "cubalif": "CubaLIF", "i": "I", "li": "LI"}
    tau = found.parameters.get("tau_mem_s")
    given = f"tau_mem_s={float(np.mean(tau)):.4g}" if tau is not None else ""
    return f"{names.get(found.kind, 'CubaLI')}({given})"
