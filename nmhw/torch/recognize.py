"""Which layers are neurons: those of ``nmhw.torch``, and other frameworks' by name and attributes.

No framework is imported. What each class computes per step was observed by running it: snnTorch
1.0.0, Norse 1.1.0, SpikingJelly 2.0.0, sinabs 3.1.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nmhw.errors import TorchError
from nmhw.torch.neurons import Neurons
from nmhw.values.neuron import NeuronKind
from nmhw.values.profile import Profile, preset

Floats = NDArray[np.float64]
#: NT: (samples, steps, ...); TN: steps first; step: one call per step; squeeze: (samples * steps).
Layout = Literal["NT", "TN", "step", "squeeze"]


@dataclass(frozen=True, slots=True, eq=False)
class FoundNeurons:
    """A layer of neurons in the words of ``Network.build().population``."""

    kind: NeuronKind
    parameters: dict[str, Any]
    profile: Profile
    layout: Layout


Reader = Callable[[nn.Module, float, str], FoundNeurons]


def is_neuron(module: nn.Module) -> bool:
    """Whether a layer is one that ``find_neurons`` reads."""
    return isinstance(module, Neurons) or _reader(module) is not None


def own_step_s(module: nn.Module) -> float | None:
    """Return the step length that a layer of neurons carries itself."""
    if isinstance(module, Neurons):
        return module.profile.dt_s
    dt = getattr(module, "dt", None)
    return float(dt) if _package(module) == "norse" and dt is not None else None


def find_neurons(module: nn.Module, dt_s: float, where: str) -> FoundNeurons:
    """Return what a layer of neurons computes.

    Raises
    ------
    TorchError
        For options of the layer that no profile expresses.
    """
    if isinstance(module, Neurons):
        given = dict(module.parameters_given)
        return FoundNeurons(module.kind, given, module.profile, "NT")
    reader = _reader(module)
    assert reader is not None
    return reader(module, dt_s, where)


def _reader(module: nn.Module) -> Reader | None:
    for cls in type(module).__mro__:
        reader = _READERS.get((cls.__module__.partition(".")[0], cls.__name__))
        if reader is not None:
            return reader
    return None


def _package(module: nn.Module) -> str:
    packages = (cls.__module__.partition(".")[0] for cls in type(module).__mro__)
    return next((p for p in packages if p not in ("builtins", "__main__")), "")


def _number(value: Any) -> Floats:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value, np.float64)


def _leaky(keep: Floats, gain: Any, dt_s: float, where: str) -> dict[str, Any]:
    """Return tau and r of v = keep v + gain x in Euler steps; nothing leaks where keep is 1."""
    if (keep == 1).all():
        return {"r": _number(gain)}
    if (keep == 1).any():
        _refuse("some neurons of the layer leak and others do not", where, "two layers")
    tau_steps = 1.0 / (1.0 - keep)
    return {"tau_mem_s": tau_steps * dt_s, "r": _number(gain) * tau_steps}


def _refuse(what: str, where: str, hint: str) -> None:
    raise TorchError(what, where=where, hint=hint, rule="torch.neuron")


def _snntorch(module: Any, dt_s: float, where: str) -> FoundNeurons:
    if getattr(module, "inhibition", False) or getattr(module, "state_quant", False):
        _refuse("inhibition and quantized states have no equation here", where, "a plain layer")
    if not (_number(getattr(module, "graded_spikes_factor", 1.0)) == 1).all():
        _refuse("graded spikes are not spikes", where, "graded_spikes_factor=1, scaled weights")
    keep = np.clip(_number(module.beta), 0.0, 1.0)
    parameters = _leaky(keep, 1.0, dt_s, where)
    leaks = "tau_mem_s" in parameters
    if hasattr(module, "alpha"):
        alpha = np.clip(_number(module.alpha), 0.0, 1.0)
        if not leaks or (alpha == 1).any():
            _refuse("alpha and beta must be below 1", where, "alpha=0.9, beta=0.9")
        tau_steps = 1.0 / (1.0 - alpha)
        parameters |= {"tau_syn_s": tau_steps * dt_s, "w_in": tau_steps}
    reset = module._reset_mechanism
    profile = preset("snntorch")
    if reset == "subtract":
        rule = {"reset_lag": 1} if module.reset_delay else {"overshoot_rule": True}
        profile = profile.with_(reset="subtract", **rule)
    if reset == "zero" and module.reset_delay and hasattr(module, "alpha"):
        _refuse(
            "Synaptic's reset to zero a step late also drops the input of that step", where,
            'reset_delay=False, or reset_mechanism="subtract"',
        )  # fmt: skip
    is_spiking = reset != "none"
    if is_spiking:
        parameters["v_threshold"] = _number(module.threshold)
    kinds: dict[tuple[bool, bool], NeuronKind] = {
        (False, True): "lif", (False, False): "li", (True, True): "cubalif",
        (True, False): "cubali",
    }  # fmt: skip
    kind = kinds[hasattr(module, "alpha"), is_spiking]
    if not leaks:
        kind = "if" if is_spiking else "i"
    return FoundNeurons(kind, parameters, profile, "step")


def _spikingjelly(module: Any, dt_s: float, where: str) -> FoundNeurons:
    layout: Layout = "TN" if module.step_mode == "m" else "step"
    profile = preset("spikingjelly")
    parameters: dict[str, Any] = {"v_threshold": _number(module.v_threshold)}
    if module.v_reset is None:
        profile, rest = profile.with_(reset="subtract"), 0.0
    else:
        rest = float(module.v_reset)
        parameters["v_reset"] = rest
        if rest:
            parameters["v0"] = rest
    if not hasattr(module, "decay_input"):
        return FoundNeurons("if", {**parameters, "r": 1.0 / dt_s}, profile, layout)
    tau_steps = 1.0 / _number(module.w.sigmoid()) if hasattr(module, "w") else _number(module.tau)
    gain = np.ones_like(tau_steps) if module.decay_input else tau_steps
    leak = {"tau_mem_s": tau_steps * dt_s, "r": gain, "v_leak": rest}
    return FoundNeurons("lif", {**parameters, **leak}, profile, layout)


def _sinabs(module: Any, dt_s: float, where: str) -> FoundNeurons:
    spike, reset = _class_name(module.spike_fn), _class_name(module.reset_fn)
    if spike not in ("MultiSpike", "SingleSpike") or reset not in (
        "MembraneSubtract", "MembraneReset",
    ):  # fmt: skip
        _refuse(f"{spike} with {reset} is not known", where, "MultiSpike or SingleSpike")
    if getattr(module.reset_fn, "subtract_value", None) is not None:
        _refuse("a reset by another value than the threshold", where, "MembraneSubtract()")
    profile = preset("sinabs").with_(
        input_gain="scaled", current_gain="scaled", synapse_order="add-decay",
        lower_bound="none", multi_spike=spike == "MultiSpike",
        reset="subtract" if reset == "MembraneSubtract" else "zero",
    )  # fmt: skip
    parameters: dict[str, Any] = {"v_threshold": _number(module.spike_threshold)}
    if module.min_v_mem is not None:
        parameters["v_min"] = _number(module.min_v_mem)
    layout: Layout = "squeeze" if type(module).__name__.endswith("Squeeze") else "NT"
    keep = _number(module.alpha_mem_calculated)
    has_current = module.alpha_syn_calculated is not None
    if (keep == 1).all():
        if has_current:
            _refuse("IAF with a synaptic current is no neuron of NIR", where, "LIF with tau_syn")
        return FoundNeurons("if", {**parameters, "r": 1.0}, profile, layout)
    tau_steps = -1.0 / np.log(keep)
    gain = 1.0 - keep if module.norm_input else 1.0
    parameters |= {"tau_mem_s": tau_steps * dt_s, "r": gain * tau_steps}
    if has_current:
        syn_steps = -1.0 / np.log(_number(module.alpha_syn_calculated))
        parameters |= {"tau_syn_s": syn_steps * dt_s, "w_in": syn_steps}
    return FoundNeurons("cubalif" if has_current else "lif", parameters, profile, layout)


def _class_name(thing: Any) -> str:
    return thing.__name__ if isinstance(thing, type) else type(thing).__name__


def _norse(module: Any, dt_s: float, where: str) -> FoundNeurons:
    p, name = module.p, type(module).__name__
    profile = preset("norse")
    method = _class_name_of_function(getattr(p, "reset_method", None))
    if method == "reset_subtract":
        profile = profile.with_(reset="subtract")
    elif method not in ("", "reset_value"):
        _refuse(f"the reset {method} is not known", where, "reset_value or reset_subtract")
    tau_mem_s = 1.0 / _number(p.tau_mem_inv)
    v_leak = _number(p.v_leak)
    parameters: dict[str, Any] = {"tau_mem_s": tau_mem_s, "r": 1.0, "v_leak": v_leak}
    if v_leak.any():
        parameters["v0"] = v_leak
    is_spiking, has_current = hasattr(p, "v_th"), hasattr(p, "tau_syn_inv")
    if is_spiking:
        parameters |= {"v_threshold": _number(p.v_th), "v_reset": _number(p.v_reset)}
    if has_current:
        tau_syn_s = 1.0 / _number(p.tau_syn_inv)
        parameters |= {"tau_syn_s": tau_syn_s, "w_in": tau_syn_s / dt_s}
    kind: NeuronKind = "lif" if is_spiking else "li"
    if has_current:
        kind = "cubalif" if is_spiking else "cubali"
    return FoundNeurons(kind, parameters, profile, "step" if "Cell" in name else "TN")


def _class_name_of_function(function: Any) -> str:
    return getattr(function, "__name__", "") if function is not None else ""


_READERS: dict[tuple[str, str], Reader] = {
    **{("snntorch", name): _snntorch for name in ("Leaky", "Synaptic")},
    **{("spikingjelly", n): _spikingjelly for n in ("IFNode", "LIFNode", "ParametricLIFNode")},
    **{("sinabs", name): _sinabs for name in ("IAF", "LIF", "IAFSqueeze", "LIFSqueeze")},
    **{
        ("norse", name): _norse
        for name in ("LIFCell", "LIF", "LIFBoxCell", "LIFBox", "LICell", "LI", "LIBoxCell", "LIBox")
    },
}
