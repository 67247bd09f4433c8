"""The time step of a network: what the file proves, what has to be asked for, what looks wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ProfileError
from nmhw.values.linear import Delay
from nmhw.values.network import Network, Population
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile, preset

# NIR files are written in float32; a product of two such numbers is exact to about 1e-7.
TOLERANCE = 2e-6
# A membrane slower than this is more likely counted in steps, one faster more likely divided by
# dt twice (Norse 1.1.0 writes dt / tau_mem_inv).
_SLOW_S, _FAST_S = 1.0, 2e-5


def infer_dt(network: Network, profile: Profile | None = None) -> tuple[float | None, list[Notice]]:
    """Return the step that the file proves, and what looks implausible.

    A discrete-time framework exports a leak ``beta`` as ``tau = dt / (1 - beta)`` together with a
    gain ``r = tau / dt`` (and ``w_in = tau_syn / dt``), so that one step's input enters with
    weight 1. Where ``r dt / tau == 1`` holds for every neuron with one dt, that dt is proven.
    ``r == 1`` with a time constant in physical units proves nothing.

    Parameters
    ----------
    network : Network
    profile : Profile, optional
        When it carries ``dt_s``, that value is returned and only checked against the file.

    Returns
    -------
    dt_s : float or None
        None when the file does not prove one.
    notices : list of Notice

    Raises
    ------
    ProfileError
        When layers prove different steps, or some prove one and others contradict it.
    """
    notices = _tau_notices(network)
    if profile is not None and profile.dt_s is not None:
        try:
            proven = _proven_dt(network)
        except ProfileError:
            proven = None
        if proven is not None and abs(proven / profile.dt_s - 1) > 1e-3:
            text = f"the file's gains prove dt = {proven:.6g} s, but {profile.dt_s:.6g} s is used"
            notices.append(
                Notice("profile.dt-differs", network.name, text, hint=f"--dt {proven:.6g}")
            )
        return profile.dt_s, notices
    proven = _proven_dt(network)
    if proven is not None:
        text = f"dt = {proven:.6g} s, because r dt / tau is 1 in every leaky layer"
        notices.append(Notice("profile.dt-inferred", network.name, text, kind="assumption"))
    return proven, notices


def needs_dt(network: Network, profile: Profile) -> bool:
    """Whether any equation of the network contains dt (decays, physical gains, delays)."""
    for population in network.populations:
        if population.model.is_leaky:
            return True
        if population.model.kind in ("if", "i") and profile.if_gain == "physical":
            return True
    delays = (op for p in network.projections for op in p.ops if isinstance(op, Delay))
    return any(bool(np.any(op.delay_s)) for op in delays)


def resolve_profile(
    network: Network, profile: Profile | str, dt_s: float | None = None, **overrides: Any
) -> Profile:
    """Return the complete meaning of a network: a preset, its overrides, and dt.

    Parameters
    ----------
    profile : Profile or str
        A preset's name or a Profile.
    dt_s : float, optional
        Step in seconds; None = the profile's, else what the file proves.
    **overrides
        Fields of Profile.

    Raises
    ------
    ProfileError
        For an unknown preset, field or value, for layers that disagree about dt, and when dt is
        needed but neither given nor proven.
    """
    chosen = preset(profile) if isinstance(profile, str) else profile
    if not isinstance(chosen, Profile):
        hint = "the name of one (snntorch, norse...) or an nmhw.Profile"
        raise ProfileError("this is no profile", got=repr(profile), hint=hint)
    if overrides:
        chosen = chosen.with_(**overrides)
    if dt_s is not None:
        if isinstance(dt_s, bool) or not isinstance(dt_s, int | float | np.floating):
            raise ProfileError("dt must be a number of seconds", got=repr(dt_s), rule="profile.dt")
        chosen = chosen.with_(dt_s=float(dt_s))
    if chosen.dt_s is None and needs_dt(network, chosen):
        inferred, _ = infer_dt(network)
        if inferred is None:
            raise ProfileError(
                "the file does not say how long a step is, and its time constants need it",
                where=_display_name(network),
                hint="--dt SECONDS (dt_s=...), the step the network was trained with, e.g. 1e-3",
                rule="profile.dt-missing",
            )
        chosen = chosen.with_(dt_s=inferred)
    if chosen.dt_s is not None:
        if not math.isfinite(chosen.dt_s) or chosen.dt_s <= 0:
            raise ProfileError("dt must be positive", got=chosen.dt_s, rule="profile.dt")
        check_step(network, chosen)
    return chosen


def check_step(network: Network, profile: Profile) -> None:
    """Refuse a Euler step longer than a time constant (v would change sign in every step)."""
    if profile.integrator != "euler" or profile.dt_s is None:
        return
    for population in network.populations:
        for field, tau in _time_constants(population):
            shortest = float(tau.min())
            if profile.dt_s > shortest * (1 + TOLERANCE):
                raise ProfileError(
                    "dt is longer than a time constant, which a Euler step cannot follow",
                    got=f"dt = {profile.dt_s:.6g} s",
                    limit=f"{field} = {shortest:.6g} s",
                    where=population.name,
                    hint="a shorter --dt, or a profile with integrator=exponential",
                    rule="profile.dt-too-long",
                )


def _time_constants(population: Population) -> list[tuple[str, NDArray[np.float64]]]:
    model = population.model
    pairs = (("tau_mem_s", model.tau_mem_s), ("tau_syn_s", model.tau_syn_s))
    return [(name, tau) for name, tau in pairs if tau is not None]


def _tau_notices(network: Network) -> list[Notice]:
    notices = []
    for population in network.populations:
        for name, tau in _time_constants(population):
            where = f"{network.name}: {population.name}"
            if float(np.median(tau)) > _SLOW_S:
                text = (
                    f"{name} = {float(np.median(tau)):.4g} s is long: probably steps, not seconds"
                )
                hint = "--dt 1 counts time in steps (as files written by Sinabs do)"
                rule = "profile.tau-in-steps"
                notices.append(Notice(rule, where, text, hint=hint, about=population.name))
            elif float(np.median(tau)) < _FAST_S:
                text = (
                    f"{name} = {float(np.median(tau)):.4g} s is short: probably divided by dt twice"
                )
                hint = "check the exporter (Norse 1.1.0 writes dt / tau_mem_inv)"
                rule = "profile.tau-microseconds"
                notices.append(Notice(rule, where, text, hint=hint, about=population.name))
    return notices


def _proven_dt(network: Network) -> float | None:
    """Return the one dt at which every gain is 1; None without evidence; refuse contradictions."""
    evidence: list[tuple[str, float]] = []
    silent: list[tuple[str, NDArray[np.float64]]] = []
    for population in network.populations:
        model = population.model
        pairs = [("tau_mem_s / r", model.tau_mem_s, model.r)]
        if model.has_current:
            pairs.append(("tau_syn_s / w_in", model.tau_syn_s, model.w_in))
        for label, tau, gain in pairs:
            if tau is None or gain is None or not np.all(gain > 0):
                continue
            steps = tau / gain
            uniform = float(np.ptp(steps)) <= TOLERANCE * float(steps.max())
            if uniform and np.all(gain >= 1 - TOLERANCE) and np.any(gain > 1 + TOLERANCE):
                evidence.append((f"{population.name} ({label})", _tidy(float(np.median(steps)))))
            else:
                silent.append((f"{population.name} ({label})", steps))
    if not evidence:
        return None
    first, dt = evidence[0]
    for where, other in evidence[1:]:
        if abs(other / dt - 1) > 1e-5:
            _refuse(network, first, dt, where, f"{other:.6g} s")
    for where, steps in silent:
        worst = float(steps[np.argmax(np.abs(steps / dt - 1))])
        if abs(worst / dt - 1) > 1e-5:
            _refuse(network, first, dt, where, f"{worst:.6g} s")
    return dt


def _display_name(network: Network) -> str:
    """Return the name of the file, without its folder, or of the network."""
    return Path(network.path).name if network.path else network.name


def _refuse(network: Network, first: str, dt: float, other: str, value: str) -> None:
    raise ProfileError(
        f"layers disagree about the time step: {first} gives {dt:.6g} s, {other} gives {value}",
        where=_display_name(network),
        hint="--dt SECONDS (dt_s=...) if you know the step the network was trained with",
        rule="profile.dt-disagrees",
    )


def _tidy(value: float) -> float:
    """Return the three-digit decimal next to ``value`` if float32 rounding explains the rest."""
    rounded = float(f"{value:.2e}")
    return rounded if abs(rounded / value - 1) <= TOLERANCE else value
