"""PES on a control toy: spiking neurons learn the force that a controller does not know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nmhw.sim.learning.experiments.result import (
    ExperimentResult,
    Floats,
    Progress,
    lines,
    report,
)
from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

N_NEURONS = 120
DT_S = 0.005
PERIOD_S = 4.0
KP, KD = 30.0, 8.0
#: Output of the decoders in units of acceleration: weights stay within +-1.5.
FORCE_GAIN = 40.0
GENERATOR = (
    "unit mass, x'' = u + g(x), g(x) = 6 sin(2 x) + 4 unknown to the controller; PD control "
    f"(kp {KP:g}, kd {KD:g}) follows sin(2 pi t / {PERIOD_S:g} s); {N_NEURONS} LIF neurons encode "
    f"x; steps of {DT_S * 1000:g} ms"
)


def unknown_force(x: float) -> float:
    """Return g(x)."""
    return 6.0 * np.sin(2.0 * x) + 4.0


def _engine(seed: int, bits: int | None, rate: float) -> LocalEngine:
    """Return encoders (fixed) and decoders (learned, from 0)."""
    rng = stream(seed, "experiment.encoders")
    sign = np.where(rng.random(N_NEURONS) < 0.5, -1.0, 1.0)
    intercept = rng.uniform(-1.3, 1.2, N_NEURONS)
    # current sign * x - intercept, scaled so that 0.1 per step and above fires (decay 0.9)
    gain = rng.uniform(0.25, 0.6, N_NEURONS)
    neuron = LocalNeuron(decay=0.9, theta=1.0, reset="subtract")
    encoder = LocalLayer("encoder", 1, N_NEURONS, neuron, bias=gain * (0.1 - intercept) + 0.1)
    decoder = LocalLayer(
        "decoder", N_NEURONS, 1, LocalNeuron("integrator", decay=0.9, gain=0.1),
        local_rule("pes", decay=0.9), rate=rate,
    )  # fmt: skip
    first = [(gain * sign)[None, :], np.zeros((N_NEURONS, 1))]
    return LocalEngine([encoder, decoder], first, WeightFormat(bits, max_abs=0.6), seed=seed,
                       use_compiled=True)  # fmt: skip


def track(
    engine: LocalEngine, n_steps: int, learn: bool, mirrored: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Floats:  # fmt: skip
    """Return the tracking error of every step; mirrored: the error signal has the wrong sign."""
    x = velocity = 0.0
    errors = np.zeros(n_steps)
    for step in range(n_steps):
        phase = 2.0 * np.pi * step * DT_S / PERIOD_S
        wanted, wanted_velocity = np.sin(phase), 2.0 * np.pi / PERIOD_S * np.cos(phase)
        acceleration = -((2.0 * np.pi / PERIOD_S) ** 2) * np.sin(phase)
        pd = KP * (wanted - x) + KD * (wanted_velocity - velocity)
        sign = 1.0 if mirrored else -1.0
        error = sign * pd / FORCE_GAIN
        engine.run(np.array([[x]]), lambda *_, e=error: [None, e], learn=learn,
                   keep_state=step > 0)  # type: ignore[misc]  # fmt: skip
        learned = FORCE_GAIN * engine.populations[1].v[0]
        velocity += DT_S * (acceleration + pd + learned + unknown_force(x))
        velocity = float(np.clip(velocity, -50.0, 50.0))
        x = float(np.clip(x + DT_S * velocity, -1.5, 1.5))
        errors[step] = wanted - x
        if progress:
            progress(step + 1)
    return errors


def run_pes(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.001,
) -> ExperimentResult:  # fmt: skip
    """Track with learning, without, and with the error's sign turned round."""
    period = round(PERIOD_S / DT_S)
    n = (4 if quick else 12) * period

    def tell(k: int) -> Callable[[int], None]:
        return lambda done: report(progress, k * n + done, 3 * n)

    engine = _engine(seed, bits, rate)
    learned = track(engine, n, True, progress=tell(0))
    control = track(_engine(seed, bits, rate), n, False, progress=tell(1))
    mirrored = track(_engine(seed, bits, rate), n, True, mirrored=True, progress=tell(2))
    runs = {"learned": learned, "no_learning": control, "error_mirrored": mirrored}
    rms = {k: np.sqrt((e.reshape(-1, period) ** 2).mean(axis=1)) for k, e in runs.items()}
    at = np.arange(1, n // period + 1) * PERIOD_S
    panels = (
        lines("tracking error per period", "time (s)", "RMS error",
              **{k: (at, r) for k, r in rms.items()}),
        lines("last period", "time (s)", "error",
              **{k: (np.arange(period) * DT_S, runs[k][-period:]) for k in ("learned",
                                                                           "no_learning")}),
    )  # fmt: skip
    factor = 2.0 if quick else 3.0
    last, base = float(rms["learned"][-1]), float(rms["no_learning"][-1])
    return ExperimentResult(
        "pes-control", "PES learns an unknown force", "pes", GENERATOR, seed,
        "RMS tracking error of the last period", last, base, "no learning",
        f"at most 1/{factor:g} of the control", last * factor <= base,
        {"error signal mirrored": float(rms["error_mirrored"][-1])}, panels, engine.counts,
    )  # fmt: skip
