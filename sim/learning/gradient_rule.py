"""GradientRule: STD-ED, MPD-ED, the multi-spike SRM rule, and STBP as the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from nmhw.errors import UsageError
from nmhw.values.learning import RuleSpec

RuleName = Literal["std-ed", "mpd-ed", "stbp", "srm"]
TimeForm = Literal["exact", "ticks", "steps"]
ThresholdLaw = Literal["fixed", "ramp", "window", "const", "homeostatic", "learnable"]

NAMES = ("std-ed", "mpd-ed", "stbp", "srm")

#: Largest size of a parameter; beyond it tables in fixed point overflow.
LARGEST = 1e9

#: Threshold laws of the spike-time rule and of the membrane rules; the first is the default.
SPIKE_TIME_THRESHOLDS = ("window", "fixed", "ramp")
MEMBRANE_THRESHOLDS = ("const", "ramp", "homeostatic", "learnable")


@dataclass(frozen=True, slots=True)
class GradientRule:
    """A gradient rule with all its parameters; equations in ``docs/learning.md``.

    Attributes
    ----------
    name : "std-ed" | "mpd-ed" | "stbp" | "srm"
    time : "exact" | "ticks" | "steps"
        STD-ED has real-valued times or whole ticks, all others steps.
    n_steps : int
        T steps of a sample; for ticks Q, ticks per unit of time (a window); ignored if exact.
    threshold : str
        STD-ED: "fixed", "ramp" (theta0 - slope t) or "window" (infinite for t < 1, then
        theta0 - slope (t - 1)). MPD-ED and STBP: "const", "ramp" (theta0 (1 - t / T) +
        theta_floor), "homeostatic" (per neuron, moved between samples towards target_rate) or
        "learnable" (per neuron, by gradient). SRM: "const".
    theta0 : float
    slope : float
        k of the spike-time thresholds, per unit of time; 0 if fixed.
    theta_floor : float
        Of the membrane ramp.
    decay : float
        lam: part of the membrane that stays from one step to the next.
    surrogate : "atan" | "triangle"
    width : float
        atan: alpha; triangle: half its base.
    mask : "spike" | "band" | "none"
        Where an error may enter: at own spikes, where abs(v - theta) < band, or everywhere.
    band : float
    head : "integrator" | "spiking"
        "spiking": spike counts (steps), or the spike times themselves (exact, ticks).
    slope_clip : float
        Largest 1 / (du/dt - dtheta/dt) of STD-ED.
    t_end : float
        STD-ED: last time at which a neuron may fire, local to the layer if "window".
    timing_gain : float
        Logits of the timing head are ``-timing_gain * t``.
    tau_m, tau_s, tau_grad : float
        SRM: membrane, synapse and backward kernel, in steps.
    weight_clip, time_clip : float
        SRM: largest 1/du and 1/g.
    target_rate, homeostasis_rate : float
        Homeostatic threshold: spikes per step that it moves towards, and how fast.
    init_gain, init_mean, head_gain : float
        Of ``initial_weights``.
    """

    name: RuleName
    time: TimeForm
    n_steps: int = 16
    threshold: ThresholdLaw = "const"
    theta0: float = 1.0
    slope: float = 0.0
    theta_floor: float = 0.02
    decay: float = 0.9
    surrogate: Literal["atan", "triangle"] = "atan"
    width: float = 2.0
    mask: Literal["spike", "band", "none"] = "spike"
    band: float = 0.5
    head: Literal["integrator", "spiking"] = "integrator"
    slope_clip: float = 11.0
    t_end: float = 1.0
    timing_gain: float = 6.0
    tau_m: float = 10.0
    tau_s: float = 6.0
    tau_grad: float = 5.5
    weight_clip: float = 4.0
    time_clip: float = 10.0
    target_rate: float = 0.1
    homeostasis_rate: float = 0.01
    init_gain: float = 1.5
    init_mean: float = 0.0
    head_gain: float = 0.1

    def __post_init__(self) -> None:
        _check_choices(self)
        _check_finite(self)
        _check_numbers(self)

    @property
    def uses_times(self) -> bool:
        """Whether inputs are times (STD-ED) and not spikes per step."""
        return self.time != "steps"

    @property
    def is_event_driven(self) -> bool:
        """Whether errors enter at a subset of the neuron-steps (all rules but unmasked STBP)."""
        return self.mask != "none"

    @property
    def allows_recurrence(self) -> bool:
        """Whether recurrent layers can be trained: MPD-ED and STBP."""
        return self.name in ("mpd-ed", "stbp")

    @property
    def spec(self) -> RuleSpec:
        """What the rule needs from the machine."""
        return _spec(self)

    def with_(self, **changes: Any) -> GradientRule:
        """Return a copy with some fields changed.

        Raises
        ------
        UsageError
            For a field that does not exist or a value that makes no sense.
        """
        unknown = sorted(set(changes) - set(self.__dataclass_fields__))
        if unknown:
            known = ", ".join(self.__dataclass_fields__)
            raise UsageError("a rule has no such parameter", got=unknown, hint=known)
        return replace(self, **changes)


def _check_choices(rule: GradientRule) -> None:
    laws: tuple[str, ...] = MEMBRANE_THRESHOLDS
    times: tuple[str, ...] = ("steps",)
    masks: tuple[str, ...] = ("spike", "band")
    heads: tuple[str, ...] = ("integrator", "spiking")
    if rule.name == "std-ed":
        laws, times, masks = SPIKE_TIME_THRESHOLDS, ("exact", "ticks"), ("spike",)
    elif rule.name == "srm":
        laws, masks, heads = ("const",), ("spike",), ("integrator",)
    elif rule.name == "stbp":
        masks = ("none",)
    allowed: dict[str, tuple[str, ...]] = {
        "name": NAMES,
        "threshold": laws,
        "time": times,
        "mask": masks,
        "head": heads,
        "surrogate": ("atan", "triangle"),
    }
    for field, values in allowed.items():
        got = getattr(rule, field)
        if got not in values:
            hint = "one of " + ", ".join(values)
            raise UsageError(f"{rule.name} has no such {field}", got=repr(got), hint=hint)


def _check_finite(rule: GradientRule) -> None:
    """Refuse what is no number, and sizes that no fixed-point table holds."""
    for found in fields(rule):
        if found.type not in ("float", "int"):
            continue
        value, kinds = getattr(rule, found.name), (int,) if found.type == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            wanted = "a whole number" if found.type == "int" else "a number"
            raise UsageError(f"{found.name} is {wanted}", got=repr(value), where=rule.name)
        if found.name.endswith("_clip") and value == math.inf:
            continue  # nothing is clipped: float forms alone
        if found.name != "n_steps" and not abs(value) <= LARGEST:
            raise UsageError(f"{found.name} is out of range", got=value, limit=LARGEST)


def _check_numbers(rule: GradientRule) -> None:
    positive = ("theta0", "width", "band", "slope_clip", "t_end", "timing_gain", "tau_m", "tau_s",
                "tau_grad", "weight_clip", "time_clip")  # fmt: skip
    for field in positive:
        if not getattr(rule, field) > 0:
            raise UsageError(f"{field} must be positive", got=getattr(rule, field), where=rule.name)
    bounds = {
        "n_steps": (1, 2**31 - 1), "decay": (0.0, 1.0), "slope": (0.0, math.inf),
        "theta_floor": (0.0, math.inf), "target_rate": (0.0, 1.0),
        "homeostasis_rate": (0.0, math.inf),
    }  # fmt: skip
    for field, (low, high) in bounds.items():
        value = getattr(rule, field)
        if not low <= value <= high:
            raise UsageError(f"{field} is out of range", got=value, limit=f"{low} to {high}")
    if rule.name == "srm" and not (min(rule.tau_m, rule.tau_s, rule.tau_grad) >= 1.0):
        raise UsageError("time constants are at least one step", got=(rule.tau_m, rule.tau_s))
    if rule.name == "srm" and rule.tau_m == rule.tau_s:
        raise UsageError("the two time constants of a PSP must differ", got=rule.tau_m)
    if rule.name == "std-ed":
        _check_spike_time_threshold(rule)


def _check_spike_time_threshold(rule: GradientRule) -> None:
    if rule.threshold == "fixed" and rule.slope != 0:
        raise UsageError("a fixed threshold has slope 0", got=rule.slope)
    if rule.threshold != "fixed" and not rule.slope > 0:
        raise UsageError("a falling threshold has a positive slope", got=rule.slope)
    if rule.threshold == "window" and rule.t_end > 1:
        raise UsageError("windows have the length 1", got=rule.t_end, limit=1.0)
    if not math.isfinite(rule.t_end) or rule.slope * rule.t_end > rule.theta0 * (1 + 1e-9):
        limit = rule.theta0 / rule.slope if rule.slope else "finite"
        raise UsageError("t_end lies behind the threshold's zero", got=rule.t_end, limit=limit)


_TITLES = {
    "std-ed": "spike-time-dependent event-driven learning",
    "mpd-ed": "membrane-potential-dependent event-driven learning",
    "stbp": "surrogate-gradient backpropagation through time (baseline)",
    "srm": "multi-spike event-driven learning on a spike response model",
}
_EQUATIONS = {
    "std-ed": "dL/dw_ij = -e_j (t_j - t_i), e_j = dL/dt_j / (sum_C w + k), i in C",
    "mpd-ed": "dL/dw_ij = sum_t s_i[t] e_j[t*] lam^(t*-t), e = g(v - theta) dL/ds at masked t*",
    "stbp": "dL/dw_ij = sum_t s_i[t] dv_j[t], dv[t] = g dL/ds + lam (1 - s[t]) dv[t+1]",
    "srm": "dL/dw_ij = -sum dL/dt_j eps(t* - t) / du_j[t*]",
}
_SOURCES = {
    "std-ed": "after Wei et al. 2024, arXiv 2403.00270; forward as in Wei et al., ICCV 2023 "
    "(dynamic firing threshold) and Zhang et al. 2021, doi:10.1109/TNNLS.2021.3110991 (recalled)",
    "mpd-ed": "after Wei et al. 2024, arXiv 2403.00270; band mask: Perez-Nieves and Goodman, "
    "NeurIPS 2021",
    "stbp": "Wu et al. 2018, doi:10.3389/fnins.2018.00331 (recalled)",
    "srm": "after Zhu et al. 2022 and 2023 (github.com/zhuyaoyu/SNN-event-driven-learning)",
}


def _spec(rule: GradientRule) -> RuleSpec:
    is_log = rule.mask != "none"
    return RuleSpec(
        rule.name,
        _TITLES[rule.name],
        _EQUATIONS[rule.name],
        third_factor="per-neuron",
        triggers=("on_error", "on_sample_end") if is_log else ("on_step", "on_sample_end"),
        needs_log=is_log,
        needs_transpose=True,
        needs_reverse_pass=True,
        source=_SOURCES[rule.name],
        is_reconstruction=rule.name != "stbp",
    )


_NAMED: dict[str, GradientRule] = {
    "std-ed": GradientRule(
        "std-ed", "exact", 16, "window", slope=1.0, init_gain=math.sqrt(2.0), head_gain=1.0
    ),
    "mpd-ed": GradientRule("mpd-ed", "steps", 16),
    "stbp": GradientRule("stbp", "steps", 16, mask="none"),
    "srm": GradientRule("srm", "steps", 16, init_mean=3.0, head_gain=1.0),
}

#: Spike-time thresholds bring their own slope, end of time and initial mean.
_SPIKE_TIME_DEFAULTS: dict[str, dict[str, float]] = {
    "window": {"slope": 1.0, "t_end": 1.0},
    "fixed": {"slope": 0.0, "t_end": 4.0},
    "ramp": {"slope": 0.5, "t_end": 2.0},
}


def named(name: str, /, **overrides: Any) -> GradientRule:
    """Return a rule by name, with the defaults that were checked, and some fields overridden.

    Parameters
    ----------
    name : str
        "std-ed", "mpd-ed", "stbp" or "srm"; underscores and case do not matter.
    **overrides
        Fields of `GradientRule`. ``threshold="fixed"`` or ``"ramp"`` of STD-ED bring their own
        ``slope`` and ``t_end`` unless these are given too.

    Raises
    ------
    UsageError
        For an unknown rule or parameter, or values that do not go together.
    """
    key = name.strip().lower().replace("_", "-")
    if key not in _NAMED:
        raise UsageError("no such gradient rule", got=repr(name), hint="one of " + ", ".join(NAMES))
    if "name" in overrides:
        raise UsageError("a rule's name is no parameter", got=overrides["name"], where=key,
                         hint="--rule NAME")  # fmt: skip
    if key == "std-ed":
        law = overrides.get("threshold", "window")
        overrides = {**_SPIKE_TIME_DEFAULTS.get(law, {}), **overrides}
    if overrides.get("surrogate") == "triangle":
        overrides = {"width": 1.0, **overrides}
    return _NAMED[key].with_(**overrides)
