"""The NumPy cell against the same rules typed as scalar Python, one neuron at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmhw.values.arithmetic import initial_state, step_cell
from nmhw.values.quantized import CellSpec, QuantizedPopulation


def wrap_or_clip(x: int, bits: int, mode: str) -> int:
    half = 2 ** (bits - 1)
    if mode == "saturate":
        return max(-(half - 1), min(half - 1, x))
    if x > half:
        return x - 2 * half
    return x + 2 * half if x <= -half else x


def decayed(x: int, keep: int, kind: str, bits: int, rounding: str) -> int:
    if kind in ("none", "converge"):
        return x
    if kind == "clear":
        return 0
    if kind == "shift":
        return x - x // 2**keep
    if kind == "subtract":
        return max(x - keep, 0) if x >= 0 else min(x + keep, 0)
    if rounding == "floor":
        return (x * keep) // 2**bits
    magnitude = (abs(x) * keep) // 2**bits
    return magnitude if x >= 0 else -magnitude


class ScalarNeuron:
    """One neuron of the specification at the head of nmhw/values/arithmetic.py."""

    def __init__(self, spec: CellSpec, parameters: dict[str, int]) -> None:
        self.spec, self.p = spec, parameters
        self.u, self.v, self.rest = 0, parameters["v0"], 0

    def fires(self) -> int:
        threshold = self.p["threshold"]
        n = 0
        while n < self.spec.max_spikes_per_step:
            passed = self.v - n * threshold
            over = passed > threshold if self.spec.compare == ">" else passed >= threshold
            if not over:
                break
            n += 1
        return n

    def reset(self, n: int) -> None:
        if n and self.spec.reset != "none":
            after = {
                "zero": 0,
                "value": self.p["v_reset"],
                "subtract": self.v - n * self.p["threshold"],
            }
            self.v = after[self.spec.reset]

    def step(self, summed: int) -> int:
        s, p, n = self.spec, self.p, 0
        u = decayed(self.u, p["u_keep"], s.u_decay, s.decay_bits, s.rounding)
        u = wrap_or_clip(u + summed * 2**s.input_shift + p["u_bias"], s.u_bits, s.u_overflow)
        if s.reset_delay and not self.rest:
            n = self.fires()
            self.reset(n)
        if not self.rest:
            v = decayed(self.v, p["v_keep"], s.v_decay, s.decay_bits, s.rounding) + u + p["v_bias"]
            if s.v_decay == "converge":
                v -= p["v_keep"] * ((v > 0) - (v < 0))
            below = s.lower == "reset" and v < p["v_min"]
            bounded = v if s.lower == "reset" else max(v, p["v_min"])
            self.v = wrap_or_clip(bounded, s.v_bits, s.v_overflow)
            if not s.reset_delay:
                n = self.fires()
                self.reset(n)
            if below and not n:
                after = {"zero": 0, "value": -p["v_reset"], "subtract": self.v - p["v_min"]}
                self.v = after.get(s.reset, self.v)
        self.rest = p["refractory"] if n else max(self.rest - 1, 0)
        if s.has_current:
            self.u = u
        return n


@st.composite
def cells(draw: st.DrawFn) -> tuple[CellSpec, dict[str, int]]:
    bits = draw(st.sampled_from([12, 16, 24]))
    kinds = st.sampled_from(["none", "clear", "mulshift", "shift", "subtract"])
    u_decay, v_decay = draw(kinds), draw(st.one_of(kinds, st.just("converge")))
    spec = CellSpec(
        has_current=draw(st.booleans()),
        u_decay=u_decay,
        v_decay=v_decay,
        rounding=draw(st.sampled_from(["toward-zero", "floor"])),
        input_shift=draw(st.integers(0, 6)),
        u_bits=bits,
        v_bits=bits,
        u_overflow=draw(st.sampled_from(["wrap", "saturate"])),
        v_overflow=draw(st.sampled_from(["wrap", "saturate"])),
        compare=draw(st.sampled_from([">", ">="])),
        reset=draw(st.sampled_from(["zero", "value", "subtract", "none"])),
        reset_delay=draw(st.sampled_from([0, 1])),
        max_spikes_per_step=draw(st.sampled_from([1, 1, 7])),
        lower=draw(st.sampled_from(["saturate", "reset"])),
    )

    def keep(kind: str) -> int:
        return draw(st.integers(0, 8) if kind == "shift" else st.integers(0, 4096))

    parameters = {
        "u_keep": keep(u_decay),
        "v_keep": keep(v_decay),
        "u_bias": draw(st.integers(-50, 50)),
        "v_bias": draw(st.integers(-500, 500)),
        "threshold": draw(st.integers(1, 3000)),
        "v_reset": draw(st.integers(-100, 100)),
        "v0": draw(st.integers(-100, 100)),
        "v_min": draw(st.integers(-5000, -1)),
        "refractory": draw(st.sampled_from([0, 0, 1, 3])),
    }
    return spec, parameters


@given(cells(), st.lists(st.integers(-600, 600), min_size=1, max_size=25))
def test_cell_equals_scalar_rules(cell: tuple[CellSpec, dict[str, int]], sums: list[int]) -> None:
    spec, parameters = cell
    one = {k: np.array([v], np.int64) for k, v in parameters.items()}
    population = QuantizedPopulation(
        name="p",
        shape=(1,),
        spec=spec,
        scale=np.ones(1),
        profile_index=np.zeros(1, np.int64),
        depth=0,
        refractory_steps=one.pop("refractory"),
        **one,
    )
    scalar, state = ScalarNeuron(spec, parameters), initial_state(population)
    for summed in sums:
        spikes = scalar.step(summed)
        result = step_cell(population, state, np.array([summed], np.int64))
        state = result.state
        assert int(result.n_spikes[0]) == spikes
        assert int(state.v[0]) == scalar.v
        assert int(state.u[0]) == scalar.u
