"""What the neurons of torch frameworks compute, read from their attributes.

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
from nmhw.torch.functions import linear_of
from nmhw.values.neuron import NeuronKind
from nmhw.values.profile import Profile, preset

Floats = NDArray[np.float64]
#: NT: (samples, steps, ...); TN: steps first; step: one call per step; squeeze: (samples * steps).
Layout = Literal["NT", "TN", "step", "squeeze"]


@dataclass(frozen=True, slots=True, eq=False)
class FoundNeurons:
    """A layer of neurons in the words of ``Network.build().population``.

    ``feed`` are weights that the layer applies to its own input; ``loop`` is the module through
    which its spikes come back to it a step later.
    """

    kind: NeuronKind
    parameters: dict[str, Any]
    profile: Profile
    layout: Layout
    feed: nn.Linear | None = None
    loop: nn.Module | None = None


Reader = Callable[[nn.Module, float, str], FoundNeurons]


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


def type_name(module: nn.Module, package: str) -> str:
    """Return the name of the framework's own class under a module's."""
    classes = (c for c in type(module).__mro__ if c.__module__.partition(".")[0] == package)
    return next((c.__name__ for c in classes), type(module).__name__)


def _refuse(what: str, where: str, hint: str) -> None:
    raise TorchError(what, where=where, hint=hint, rule="torch.neuron")


def _snntorch(module: Any, dt_s: float, where: str) -> FoundNeurons:
    if getattr(module, "inhibition", False) or getattr(module, "state_quant", False):
        _refuse("inhibition and quantized states have no equation here", where, "a plain layer")
    if not (_number(getattr(module, "graded_spikes_factor", 1.0)) == 1).all():
        _refuse("graded spikes are not spikes", where, "graded_spikes_factor=1, scaled weights")
    is_rc = type_name(module, "snntorch") == "Lapicque"
    if is_rc:
        gain = _number(module.time_step) / _number(module.C)
        parameters = _leaky(1.0 - gain / _number(module.R), gain, dt_s, where)
    else:
        parameters = _leaky(np.clip(_number(module.beta), 0.0, 1.0), 1.0, dt_s, where)
    leaks = "tau_mem_s" in parameters
    loop = getattr(module, "recurrent", None)
    if hasattr(module, "alpha"):
        alpha = np.clip(_number(module.alpha), 0.0, 1.0)
        if not leaks or (alpha == 1).any():
            _refuse("alpha and beta must be below 1", where, "alpha=0.9, beta=0.9")
        tau_steps = 1.0 / (1.0 - alpha)
        parameters |= {"tau_syn_s": tau_steps * dt_s, "w_in": tau_steps}
    reset = module._reset_mechanism
    profile = preset("snntorch")
    if reset == "subtract":
        is_late = is_rc or module.reset_delay
        rule = {"reset_lag": 1} if is_late else {"overshoot_rule": True}
        profile = profile.with_(reset="subtract", **rule)
        if not is_late and hasattr(module, "alpha") and loop is not None:
            _refuse("RSynaptic(reset_delay=False) does not run", where, "reset_delay=True")
    if reset == "zero" and (is_rc or module.reset_delay) and (
        is_rc or loop is not None or hasattr(module, "alpha")
    ):  # fmt: skip
        _refuse(
            f"{type_name(module, 'snntorch')}'s reset to zero a step late also drops the input "
            "of that step", where,
            'reset_mechanism="subtract"' + ("" if is_rc else ", or reset_delay=False"),
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
    return FoundNeurons(kind, parameters, profile, "step", loop=loop)


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
    layout: Layout = "squeeze" if type(module).__name__.endswith("Squeeze") else "NT"
    keep = _number(module.alpha_mem_calculated)
    tau_steps = -1.0 / np.log(np.where(keep == 1, 0.5, keep))
    gain = 1.0 - keep if module.norm_input else 1.0
    parameters: dict[str, Any] = {}
    if module.min_v_mem is not None:
        parameters["v_min"] = _number(module.min_v_mem)
    if module.spike_fn is None:
        profile = preset("sinabs").with_(
            input_gain="scaled", current_gain="scaled", synapse_order="add-decay",
            lower_bound="none", recurrent_bias_from_step=1,
        )  # fmt: skip
        parameters |= {"tau_mem_s": tau_steps * dt_s, "r": gain * tau_steps, "v_leak": 0.0}
        return FoundNeurons("li", parameters, profile, layout)
    spike, reset = _class_name(module.spike_fn), _class_name(module.reset_fn)
    if spike not in ("MultiSpike", "SingleSpike") or reset not in (
        "MembraneSubtract", "MembraneReset",
    ):  # fmt: skip
        _refuse(f"{spike} with {reset} is not known", where, "MultiSpike or SingleSpike")
    if getattr(module.reset_fn, "subtract_value", None) is not None:
        _refuse("a reset by another value than the threshold", where, "MembraneSubtract()")
    profile = preset("sinabs").with_(
        input_gain="scaled", current_gain="scaled", synapse_order="add-decay",
        lower_bound="none", recurrent_bias_from_step=1, multi_spike=spike == "MultiSpike",
        reset="subtract" if reset == "MembraneSubtract" else "zero",
    )  # fmt: skip
    parameters["v_threshold"] = _number(module.spike_threshold)
    loop = getattr(module, "rec_connect", None)
    has_current = module.alpha_syn_calculated is not None
    if (keep == 1).all():
        if has_current:
            _refuse("IAF with a synaptic current is no neuron of NIR", where, "LIF with tau_syn")
        return FoundNeurons("if", {**parameters, "r": 1.0}, profile, layout, loop=loop)
    parameters |= {"tau_mem_s": tau_steps * dt_s, "r": gain * tau_steps}
    if has_current:
        syn_steps = -1.0 / np.log(_number(module.alpha_syn_calculated))
        parameters |= {"tau_syn_s": syn_steps * dt_s, "w_in": syn_steps}
    kind: NeuronKind = "cubalif" if has_current else "lif"
    return FoundNeurons(kind, parameters, profile, layout, loop=loop)


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
    layout: Layout = "step" if "Cell" in name else "TN"
    if not hasattr(module, "recurrent_weights"):
        return FoundNeurons(kind, parameters, profile, layout)
    feed, loop = (linear_of(w) for w in (module.input_weights, module.recurrent_weights))
    return FoundNeurons(kind, parameters, profile, layout, feed, loop)


def _class_name_of_function(function: Any) -> str:
    return getattr(function, "__name__", "") if function is not None else ""


SNNTORCH = ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque")
SPIKINGJELLY = ("IFNode", "LIFNode", "ParametricLIFNode")
SINABS = (
    "IAF", "LIF", "ExpLeak", "IAFSqueeze", "LIFSqueeze", "ExpLeakSqueeze", "IAFRecurrent",
    "LIFRecurrent",
)  # fmt: skip
NORSE = (
    "LIFCell", "LIF", "LIFBoxCell", "LIFBox", "LICell", "LI", "LIBoxCell", "LIBox",
    "LIFRecurrentCell", "LIFRecurrent",
)  # fmt: skip

READERS: dict[tuple[str, str], Reader] = {
    **{("snntorch", name): _snntorch for name in SNNTORCH},
    **{("spikingjelly", n): _spikingjelly for n in SPIKINGJELLY},
    **{("sinabs", name): _sinabs for name in SINABS},
    **{("norse", name): _norse for name in NORSE},
}
