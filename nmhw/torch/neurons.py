"""Layers of neurons over whole rasters, with the step equations of the float run.

The coefficients come from ``nmhw.values.discretize`` and the order of operations is that of a
``Profile``: in float64 a module's spikes are those of ``nmhw.run_float``.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from nmhw.errors import InputError, ProfileError, UsageError
from nmhw.torch.step import CellTensors, advance, first_state
from nmhw.torch.surrogate import check_surrogate
from nmhw.values.discrete import FloatCell
from nmhw.values.discretize import discretize_population
from nmhw.values.network import Population
from nmhw.values.network_builder import make_neuron
from nmhw.values.neuron import NeuronKind, NeuronModel
from nmhw.values.profile import Profile, preset


class Neurons(nn.Module):
    """Base of the neuron layers: (samples, steps, ...) inputs to spikes, or membranes, alike.

    Parameters
    ----------
    dt_s : float
        Step in seconds.
    profile : Profile or str
        Integrator, order, comparison and reset; a preset's name or a Profile.
    reset : "zero" | "value" | "subtract" | "none", optional
        Overrides the profile's.
    surrogate : "atan" | "triangle"
        Derivative of the spike in training; the reset passes no gradient.
    surrogate_width : float
        Its width in units of the membrane.
    **parameters
        Fields of the kind in physical units, each a number or an array that broadcasts to the
        shape of the features (per channel: shape (channels, 1, 1)).

    Raises
    ------
    UsageError, ProfileError
        For parameters or a profile that make no sense.
    """

    kind: ClassVar[NeuronKind]

    def __init__(
        self,
        *,
        dt_s: float = 1e-3,
        profile: Profile | str = "snntorch",
        reset: str | None = None,
        surrogate: str = "atan",
        surrogate_width: float = 1.0,
        **parameters: Any,
    ) -> None:
        super().__init__()
        check_surrogate(surrogate, surrogate_width)
        self.profile = _layer_profile(profile, dt_s, reset)
        self.surrogate, self.surrogate_width = surrogate, float(surrogate_width)
        self.parameters_given = {k: _as_array(v) for k, v in parameters.items() if v is not None}
        shape = np.broadcast_shapes(*(a.shape for a in self.parameters_given.values()))
        self.parameter_shape = shape
        model = self.neuron_model(shape)
        population = Population(type(self).__name__, shape or (1,), model)
        self._check_dt(model)
        self._cell: FloatCell = discretize_population(population, self.profile)
        self._tensors: dict[tuple[torch.device, torch.dtype], CellTensors] = {}

    def _check_dt(self, model: NeuronModel) -> None:
        for tau in (model.tau_mem_s, model.tau_syn_s):
            dt_s = self.profile.dt_s or 0.0
            if tau is not None and self.profile.integrator == "euler" and (tau < dt_s).any():
                raise ProfileError(
                    "dt is longer than a time constant, which a Euler step cannot follow",
                    got=f"dt = {dt_s:.6g} s", limit=f"{float(tau.min()):.6g} s",
                    where=type(self).__name__, rule="profile.dt-too-long",
                )  # fmt: skip

    def neuron_model(self, shape: tuple[int, ...]) -> NeuronModel:
        """Return the parameters of a population of this shape.

        Raises
        ------
        UsageError
            For parameters that do not broadcast to ``shape``.
        """
        size = math.prod(shape)
        try:
            full = {
                name: np.broadcast_to(value, shape).reshape(-1)
                for name, value in self.parameters_given.items()
            }
        except ValueError as error:
            raise UsageError(
                "a neuron's parameters do not fit its features",
                got=self.parameter_shape, limit=shape, where=type(self).__name__,
            ) from error  # fmt: skip
        return make_neuron(self.kind, size, **full)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map inputs (samples, steps, ...) to spikes, or to membranes where nothing spikes."""
        if x.ndim < 3 or not x.is_floating_point():
            raise InputError(
                "neurons take floating-point data (samples, steps, ...)",
                got=f"{tuple(x.shape)} {x.dtype}", where=type(self).__name__,
                hint="x.unsqueeze(1) for a single step, .float() for integers",
            )  # fmt: skip
        key = (x.device, x.dtype)
        if key not in self._tensors:
            self._tensors[key] = CellTensors.of(self._cell, self.parameter_shape, *key)
        tensors = self._tensors[key]
        v, u = first_state(tensors, x[:, 0])
        out = []
        for now in x.unbind(1):
            sent, v, u = advance(self, tensors, now, v, u)
            out.append(sent)
        return torch.stack(out, 1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tensors made for one device."""
        return {**self.__dict__, "_tensors": {}}

    def extra_repr(self) -> str:
        """Return parameters and meaning."""
        given = [f"{k}={v.item():g}" for k, v in self.parameters_given.items() if v.size == 1]
        meaning = f"dt_s={self.profile.dt_s:g}, profile={self.profile.name}"
        return ", ".join([*given, meaning, f"reset={self.profile.reset}"])


class IF(Neurons):
    """Integrate and fire: dv/dt = r x.

    ``r`` is per step under profiles with ``if_gain`` "per-step" (then 1 by default), and per
    second otherwise (1 / dt).
    """

    kind = "if"

    def __init__(
        self,
        *,
        r: Any = None,
        v_threshold: Any = 1.0,
        v_reset: Any = 0.0,
        dt_s: float = 1e-3,
        **options: Any,
    ) -> None:
        gain = _unit_gain(r, options.get("profile"), dt_s)
        super().__init__(r=gain, v_threshold=v_threshold, v_reset=v_reset, dt_s=dt_s, **options)


class I(Neurons):  # noqa: E742 (NIR's own name)
    """Integrator without spikes: dv/dt = r x, output v; ``r`` as in ``IF``."""

    kind = "i"

    def __init__(self, *, r: Any = None, dt_s: float = 1e-3, **options: Any) -> None:
        super().__init__(r=_unit_gain(r, options.get("profile"), dt_s), dt_s=dt_s, **options)


class LIF(Neurons):
    """Leaky integrate and fire: tau dv/dt = v_leak - v + r x.

    Parameters
    ----------
    tau_mem_s : float or array
    r : float or array, optional
        Default tau_mem_s / dt_s: an input of 1 in one step adds 1 to v, as most frameworks have
        it, and a file proves its dt. r = 1 is the equation in physical units.
    v_leak, v_threshold, v_reset : float or array
    """

    kind = "lif"

    def __init__(
        self,
        tau_mem_s: Any = 10e-3,
        *,
        r: Any = None,
        v_leak: Any = 0.0,
        v_threshold: Any = 1.0,
        v_reset: Any = 0.0,
        dt_s: float = 1e-3,
        **options: Any,
    ) -> None:
        gain = _per_step(r, tau_mem_s, dt_s)
        super().__init__(
            tau_mem_s=tau_mem_s, r=gain, v_leak=v_leak, v_threshold=v_threshold,
            v_reset=v_reset, dt_s=dt_s, **options,
        )  # fmt: skip


class LI(Neurons):
    """Leaky integrator: tau dv/dt = v_leak - v + r x, output v; ``r`` as in ``LIF``."""

    kind = "li"

    def __init__(
        self,
        tau_mem_s: Any = 10e-3,
        *,
        r: Any = None,
        v_leak: Any = 0.0,
        dt_s: float = 1e-3,
        **options: Any,
    ) -> None:
        gain = _per_step(r, tau_mem_s, dt_s)
        super().__init__(tau_mem_s=tau_mem_s, r=gain, v_leak=v_leak, dt_s=dt_s, **options)


class CubaLIF(Neurons):
    """Leaky integrate and fire with a synaptic current.

    tau_syn du/dt = -u + w_in x; tau_mem dv/dt = v_leak - v + r u. ``r`` and ``w_in`` are
    tau / dt by default, as in ``LIF``.
    """

    kind = "cubalif"

    def __init__(
        self,
        tau_mem_s: Any = 10e-3,
        tau_syn_s: Any = 5e-3,
        *,
        r: Any = None,
        w_in: Any = None,
        v_leak: Any = 0.0,
        v_threshold: Any = 1.0,
        v_reset: Any = 0.0,
        dt_s: float = 1e-3,
        **options: Any,
    ) -> None:
        super().__init__(
            tau_mem_s=tau_mem_s, tau_syn_s=tau_syn_s, r=_per_step(r, tau_mem_s, dt_s),
            w_in=_per_step(w_in, tau_syn_s, dt_s), v_leak=v_leak, v_threshold=v_threshold,
            v_reset=v_reset, dt_s=dt_s, **options,
        )  # fmt: skip


class CubaLI(Neurons):
    """Leaky integrator with a synaptic current, output v; parameters as in ``CubaLIF``."""

    kind = "cubali"

    def __init__(
        self,
        tau_mem_s: Any = 10e-3,
        tau_syn_s: Any = 5e-3,
        *,
        r: Any = None,
        w_in: Any = None,
        v_leak: Any = 0.0,
        dt_s: float = 1e-3,
        **options: Any,
    ) -> None:
        super().__init__(
            tau_mem_s=tau_mem_s, tau_syn_s=tau_syn_s, r=_per_step(r, tau_mem_s, dt_s),
            w_in=_per_step(w_in, tau_syn_s, dt_s), v_leak=v_leak, dt_s=dt_s, **options,
        )  # fmt: skip


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _per_step(gain: Any, tau_s: Any, dt_s: float) -> Any:
    return _as_array(tau_s) / dt_s if gain is None else gain


def _unit_gain(r: Any, profile: Profile | str | None, dt_s: float) -> Any:
    if r is not None:
        return r
    chosen = preset(profile) if isinstance(profile, str) else profile
    return 1.0 / dt_s if chosen is not None and chosen.if_gain == "physical" else 1.0


def _layer_profile(profile: Profile | str, dt_s: float, reset: str | None) -> Profile:
    chosen = preset(profile) if isinstance(profile, str) else profile
    if not isinstance(chosen, Profile):
        raise ProfileError("this is no profile", got=repr(profile), hint="snntorch, norse...")
    if not (isinstance(dt_s, int | float) and math.isfinite(dt_s) and dt_s > 0):
        raise ProfileError("dt must be positive", got=repr(dt_s), rule="profile.dt")
    if chosen.hop_steps:
        raise ProfileError(
            "a module hands its spikes on within the step; this profile takes one step per hop",
            got=chosen.name, hint="hop_steps=0 here; a chip's own hops are added when it is mapped",
        )  # fmt: skip
    chosen = chosen.with_(dt_s=float(dt_s))
    return chosen if reset is None else chosen.with_(reset=reset)
