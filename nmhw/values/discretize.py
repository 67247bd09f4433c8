"""From differential equations and a profile to the per-step coefficients of each population."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ProfileError, UnsupportedError
from nmhw.values.discrete import FloatCell
from nmhw.values.network import Network, Population
from nmhw.values.neuron import NeuronModel
from nmhw.values.profile import Profile
from nmhw.values.time_step import (
    TOLERANCE,
    check_step,
    infer_dt,
    needs_dt,
    resolve_profile,
)

__all__ = ["discretize", "discretize_population", "infer_dt", "needs_dt", "resolve_profile"]

Floats = NDArray[np.float64]


def discretize(network: Network, profile: Profile) -> dict[str, FloatCell]:
    """Return the step equations of every population, by name.

    Raises
    ------
    ProfileError
        When dt is needed and missing, longer than a time constant under Euler, or when
        multi-spike meets a threshold <= 0.
    UnsupportedError
        For model features that no profile gives a discrete meaning (refractory time...).
    """
    if profile.dt_s is None and needs_dt(network, profile):
        raise ProfileError(
            "the time constants need a step length",
            where=network.name,
            hint="resolve_profile(network, profile, dt_s=...)",
            rule="profile.dt-missing",
        )
    check_step(network, profile)
    return {p.name: discretize_population(p, profile) for p in network.populations}


def discretize_population(population: Population, profile: Profile) -> FloatCell:
    """Return the step equations of one population; see ``discretize``."""
    model, n = population.model, population.size
    _refuse_unsupported(population)
    u_keep, u_gain = _synapse(model, profile, n)
    v_keep, v_gain, drive = _membrane(model, profile, n)
    threshold = np.full(n, np.inf)
    if model.v_threshold is not None:
        threshold = model.v_threshold
        if profile.multi_spike and model.kind != "threshold" and (threshold <= 0).any():
            raise ProfileError(
                "several spikes per step need a positive threshold",
                got=float(threshold.min()),
                where=population.name,
                hint="multi_spike=False",
                rule="profile.multi-spike-threshold",
            )
    v_min = np.full(n, -np.inf) if model.v_min is None else model.v_min
    if profile.lower_bound == "minus-threshold" and model.kind == "if":
        v_min = np.maximum(v_min, -threshold)
    return FloatCell(
        has_current=model.has_current,
        is_spiking=model.is_spiking,
        u_keep=u_keep,
        u_gain=u_gain,
        v_keep=v_keep,
        v_gain=v_gain,
        drive=drive,
        threshold=threshold,
        v_reset=np.zeros(n) if model.v_reset is None else model.v_reset,
        v0=np.zeros(n) if model.v0 is None else model.v0,
        v_min=v_min,
    )


def _synapse(model: NeuronModel, profile: Profile, n: int) -> tuple[Floats, Floats]:
    if not model.has_current or model.tau_syn_s is None or model.w_in is None:
        return np.zeros(n), np.ones(n)
    keep, ratio = _decay(model.tau_syn_s, profile)
    gain = np.ones(n) if profile.current_gain == "unit" else _snap(model.w_in * ratio)
    return keep, gain


def _membrane(model: NeuronModel, profile: Profile, n: int) -> tuple[Floats, Floats, Floats]:
    if model.kind in ("threshold", "linear"):
        return np.zeros(n), np.ones(n), np.zeros(n)
    r = np.ones(n) if model.r is None else model.r
    if not model.is_leaky or model.tau_mem_s is None:
        scale = 1.0 if profile.if_gain == "per-step" else profile.dt_s
        return np.ones(n), _snap(r * np.float64(scale or 1.0)), np.zeros(n)
    keep, ratio = _decay(model.tau_mem_s, profile)
    gain = {"scaled": r * ratio, "zoh": r * (1 - keep), "unit": np.ones(n)}[profile.input_gain]
    v_leak = np.zeros(n) if model.v_leak is None else model.v_leak
    return keep, _snap(gain), v_leak * (1 - keep)


def _decay(tau_s: Floats, profile: Profile) -> tuple[Floats, Floats]:
    """Return (decay per step, dt / tau)."""
    ratio = np.float64(profile.dt_s or 0.0) / tau_s
    if profile.integrator == "exponential":
        return np.exp(-ratio), ratio
    # tau == dt (a leak of 0) read back from float32 may come out as -1e-8
    return np.maximum(1 - ratio, 0.0), ratio


def _snap(gain: Floats) -> Floats:
    """Make a gain 1 that was written as tau / dt in float32: then sums of spikes stay exact."""
    return np.where(np.abs(gain - 1) <= TOLERANCE, 1.0, gain)


def _refuse_unsupported(population: Population) -> None:
    model = population.model
    found = {
        "refractory time": model.refractory_s is not None and bool(np.any(model.refractory_s > 0)),
        f"threshold law {model.threshold_law!r}": model.threshold_law != "constant",
        f"PSP form {model.psp_form!r}": model.psp_form != "delta",
        "a limit of spikes per sample": model.max_spikes_per_sample is not None,
        f"{model.output} output": model.output != "binary",
    }
    for feature, present in found.items():
        if present:
            raise UnsupportedError(
                f"{feature} has no execution yet", where=population.name, rule="neuron.feature"
            )
