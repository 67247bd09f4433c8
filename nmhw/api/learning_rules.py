"""From settings to rules: gradient rules by name, their defaults, their baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nmhw.errors import UsageError
from nmhw.values.learning_settings import LearningSettings

if TYPE_CHECKING:
    from nmhw.sim.learning.gradient_rule import GradientRule

#: Largest option of a rule: fixed-point tables hold it.
LARGEST_OPTION = 1e6

#: Settings that were chosen on the validation part of the digits (docs/learning.md says how), for
#: the integer form (one sample at a time) and the mini-batch float form.
DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    ("std-ed", "integer"): {"lr": 0.01},
    ("mpd-ed", "integer"): {"lr": 0.02},
    ("stbp", "integer"): {"lr": 0.02},
    ("std-ed", "float"): {"lr": 5e-3, "batch": 64, "optimizer": "adam"},
    ("mpd-ed", "float"): {"lr": 2e-3, "batch": 64, "optimizer": "adam"},
    ("stbp", "float"): {"lr": 2e-3, "batch": 64, "optimizer": "adam"},
    ("srm", "float"): {"lr": 2e-3, "batch": 64, "optimizer": "adam"},
}

#: Where a rule can be trained.
BACKENDS = ("numba", "lava")

#: How each baseline of STBP is trained and counted: mask of the training, accounting.
BASELINE_FORMS: dict[str, tuple[str, str]] = {
    "stbp-dense": ("none", "dense"),
    "stbp-gated": ("none", "gated"),
    "stbp-gated-once": ("none", "gated-once"),
    "stbp-band": ("band", "band"),
}


def gradient_rule(settings: LearningSettings) -> GradientRule:
    """Return the gradient rule of the settings.

    Spike-time rules use exact times in float mode and ticks in integer mode unless
    ``rule_options`` say otherwise.
    """
    from nmhw.sim.learning.gradient_rule import named

    if "n_steps" in settings.rule_options:
        raise UsageError("steps are no parameter of the rule", hint="--steps",
                         got=f"n_steps={settings.rule_options['n_steps']}")  # fmt: skip
    for name, value in settings.rule_options.items():
        if isinstance(value, float | int) and not abs(value) <= LARGEST_OPTION:
            raise UsageError(
                f"{name} is out of range", got=value, limit=LARGEST_OPTION, where=settings.rule
            )
    options: dict[str, Any] = {"n_steps": settings.n_steps, **settings.rule_options}
    if settings.rule == "std-ed":
        options.setdefault("time", "ticks" if settings.mode == "integer" else "exact")
    return named(settings.rule, **options)


def is_local(rule: str) -> bool:
    """Return whether a rule is a local one (built in, installed, or of your own)."""
    from nmhw.sim.learning.gradient_rule import NAMES

    return rule not in NAMES


def learning_rule(settings: LearningSettings) -> Any:
    """Return the GradientRule of the settings, or the ClassifierRule of a local one.

    Raises
    ------
    UsageError, InputError
        For a rule that does not exist or cannot be made.
    """
    if not is_local(settings.rule):
        return gradient_rule(settings)
    from nmhw.sim.learning.local.classifier import classifier_rule

    return classifier_rule(settings.rule, **settings.rule_options)


def check_backend(backend: str, settings: LearningSettings) -> None:
    """Refuse a backend that does not exist, or does not train by these settings.

    Raises
    ------
    UsageError
    """
    if backend not in BACKENDS:
        raise UsageError(
            "no such backend", got=repr(backend), hint=" or ".join(BACKENDS), rule="learn.backend"
        )
    if backend == "lava":
        from nmhw.sim.lava.learn import refuse_learning

        refuse_learning(settings.rule, settings.mode, settings.batch)


#: Learning rate of integer mode for images as levels in every step, whose inputs are stronger.
DIRECT_LR = 0.002


def default_settings(rule: str, mode: str, code: str = "latency") -> dict[str, Any]:
    """Return the settings of a rule that a user did not give."""
    found = dict(DEFAULTS.get((rule, mode), {}))
    if code == "direct" and mode == "integer" and "lr" in found:
        found["lr"] = DIRECT_LR
    return found


#: Options of the rule that its baselines share; thresholds where both have the same law.
_SHARED = ("decay", "surrogate", "width", "theta0", "band", "head", "init_gain")
_SHARED_THRESHOLDS = ("threshold", "theta_floor", "target_rate", "homeostasis_rate")


def threshold_law(settings: LearningSettings) -> str:
    """Return the threshold law of the trained neurons; "const" for local rules."""
    return "const" if is_local(settings.rule) else gradient_rule(settings).threshold


def threshold_notes(settings: LearningSettings, own: LearningSettings) -> tuple[str, ...]:
    """Return what a baseline's row says of its thresholds, beside those of the rule (``own``)."""
    law, wanted = threshold_law(settings), threshold_law(own)
    if law == wanted and own.rule != "std-ed":
        return (f"threshold {law}",)
    return (f"threshold {law}: the {wanted} threshold of {own.rule} is a law of spike times",)


def baseline_settings(settings: LearningSettings, name: str) -> LearningSettings:
    """Return the settings of a baseline: STBP, same network, code, steps, weights and epochs.

    Its thresholds follow the law of a membrane rule; those of a spike-time rule are laws of another
    time, so its baselines keep constant ones, and their rows say so (`threshold_notes`).
    """
    mask, _ = BASELINE_FORMS[name]
    kept = {
        k: v
        for k, v in settings.rule_options.items()
        if (k in _SHARED and settings.rule in ("mpd-ed", "stbp", "srm"))
        or (k in _SHARED_THRESHOLDS and settings.rule in ("mpd-ed", "stbp"))
    }
    rule = "stbp" if mask == "none" else "mpd-ed"
    mode = "integer" if is_local(settings.rule) and settings.weights.bits else settings.mode
    options = kept if mask == "none" else {**kept, "mask": mask}
    defaults = default_settings("stbp", mode, settings.code)
    rate = settings.lr if settings.rule in ("mpd-ed", "stbp") else defaults.get("lr", settings.lr)
    return replace(settings, rule=rule, rule_options=options, lr=rate, mode=mode)


def writes_nir(settings: LearningSettings) -> bool:
    """Return whether the trained neurons are LIF neurons that NIR has."""
    if settings.rule not in ("mpd-ed", "stbp"):
        return False
    return gradient_rule(settings).threshold == "const"
