"""Profile: what a NIR file does not say, and every step-by-step simulator must decide.

The presets reproduce what each framework does with the same graph (measured against published
traces; see docs/profiles.md). dt is inferred from the file where it proves it, else asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_type_hints

from nmhw.errors import ProfileError


@dataclass(frozen=True, slots=True)
class Profile:
    """The discrete meaning of a network.

    Attributes
    ----------
    name : str
        Preset name, with ``+`` behind it once a field was overridden.
    dt_s : float or None
        Step length in seconds; None while unknown (a network without time constants needs none).
    integrator : "euler" | "exponential"
        Decay per step 1 - dt/tau or exp(-dt/tau).
    input_gain : "scaled" | "zoh" | "unit"
        Weight of one step's input in a leaky membrane: r dt/tau, r (1 - exp(-dt/tau)), or 1.
    current_gain : "scaled" | "unit"
        Weight of one step's input in a synaptic current: w_in dt/tau_syn, or 1.
    if_gain : "per-step" | "physical"
        IF and I neurons add r x, or r dt x, per step.
    synapse_order : "decay-add" | "add-decay"
        u = a u + x, or u = a (u + x).
    compare : ">" | ">="
        When v passes the threshold.
    reset : "zero" | "value" | "subtract" | "none"
        "zero" sets v to v_reset of the file when that is not 0 (then called "value").
    reset_delay : 0 | 1
        1: the spike is decided on v of the previous step, and the reset is applied then too:
        before the decay when there is a synaptic current, behind it otherwise (a reset to a value
        always before). Such a spike is a step late by itself, so the loop it closes gets no
        further delay.
    multi_spike : bool
        floor(v / threshold) spikes in one step instead of at most one (Threshold nodes excepted).
    overshoot_rule : bool
        snnTorch's subtract: the comparison uses v minus one threshold when v was still above it.
    reset_lag : 0 | 1
        1: snnTorch's default for subtract (its reset_delay=True): the threshold is taken off in
        the step behind the spike, after the decay; the spike itself is not late.
    lower_bound : "none" | "minus-threshold"
        sinabs clips v of its IF (not of its LIF) at -threshold, after the reset.
    recurrent_bias_from_step : int
        Norse adds the bias of the connections that close a loop only from step 1 on.
    hop_steps : 0 | 1
        Steps a spike needs from one population to the next (inputs included).
    """

    name: str
    dt_s: float | None = None
    integrator: Literal["euler", "exponential"] = "euler"
    input_gain: Literal["scaled", "zoh", "unit"] = "scaled"
    current_gain: Literal["scaled", "unit"] = "scaled"
    if_gain: Literal["per-step", "physical"] = "per-step"
    synapse_order: Literal["decay-add", "add-decay"] = "decay-add"
    compare: Literal[">", ">="] = ">"
    reset: Literal["zero", "value", "subtract", "none"] = "zero"
    reset_delay: Literal[0, 1] = 0
    multi_spike: bool = False
    overshoot_rule: bool = False
    reset_lag: Literal[0, 1] = 0
    lower_bound: Literal["none", "minus-threshold"] = "none"
    recurrent_bias_from_step: int = 0
    hop_steps: Literal[0, 1] = 0

    @property
    def step_s(self) -> float | None:
        """Physical length of a step; None where it is unknown, or where dt counts steps (>= 1)."""
        return None if self.dt_s is None or self.dt_s >= 1 else self.dt_s

    def with_(self, **changes: Any) -> Profile:
        """Return a copy with some fields changed; the name gets a ``+``.

        Raises
        ------
        ProfileError
            For a field that does not exist.
        """
        try:
            changed = replace(self, **changes)
        except TypeError as error:
            known = ", ".join(self.__dataclass_fields__)
            raise ProfileError("no such profile field", got=sorted(changes), hint=known) from error
        for field, value in changes.items():
            _check_value(field, value)
        same = {k for k, v in changes.items() if v == getattr(self, k)} | {"name"}
        if "name" not in changes and set(changes) - same - {"dt_s"} and not self.name.endswith("+"):
            changed = replace(changed, name=self.name + "+")
        return changed


PRESETS: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile("snntorch"),
        Profile("norse", recurrent_bias_from_step=1),
        Profile("spikingjelly", compare=">=", if_gain="physical"),
        Profile(
            "sinabs",
            integrator="exponential",
            input_gain="unit",
            current_gain="unit",
            compare=">=",
            reset="subtract",
            multi_spike=True,
            lower_bound="minus-threshold",
        ),
        Profile(
            "rockpool",
            integrator="exponential",
            input_gain="unit",
            current_gain="unit",
            synapse_order="add-decay",
            compare=">=",
            reset="subtract",
            multi_spike=True,
        ),
        Profile("spyx", reset="subtract", reset_delay=1),
        Profile("nengo", integrator="exponential", input_gain="zoh", if_gain="physical"),
        Profile("lava", hop_steps=1),
        Profile("lava-dl", compare=">=", hop_steps=1),
        Profile("spinnaker2", reset="subtract", hop_steps=1),
    )
}


def _check_value(field: str, value: object) -> None:
    allowed = get_args(get_type_hints(Profile)[field])
    choices = tuple(a for a in allowed if not isinstance(a, type))
    if choices and value not in choices:
        hint = "one of " + ", ".join(str(c) for c in choices)
        raise ProfileError(f"{field} has no such value", got=repr(value), hint=hint)
    if field in ("multi_spike", "overshoot_rule") and not isinstance(value, bool):
        raise ProfileError(f"{field} is true or false", got=repr(value))
    if field == "recurrent_bias_from_step" and (not isinstance(value, int) or value < 0):
        raise ProfileError(f"{field} is a whole number >= 0", got=repr(value))


def preset(name: str) -> Profile:
    """Return the preset called ``name``.

    Raises
    ------
    ProfileError
        For a name that is not a preset, listing those that are.
    """
    if name not in PRESETS:
        raise ProfileError("no such profile", got=repr(name), hint="one of " + ", ".join(PRESETS))
    return PRESETS[name]
