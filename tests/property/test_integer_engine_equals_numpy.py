"""The integer engine equals its NumPy specification bit for bit, also after a resume."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.integer_form import IntegerForm
from nmhw.sim.learning.packed import PackedEvents, pack_events, pack_times
from nmhw.sim.learning.tables import IntegerFormat
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OPERATIONS, PHASES, WeightFormat

COUNTED_ALIKE = (*PHASES["forward"], *PHASES["update"], "exponential")


def packed_of(case: Case) -> PackedEvents:
    if case.rule.uses_times:
        return pack_times(case.inputs, case.rule)
    return pack_events(SpikeEvents.from_dense(case.inputs, case.net.in_shape))


@st.composite
def step_rules(draw: Any) -> GradientRule:
    name = draw(st.sampled_from(["mpd-ed", "mpd-ed", "stbp"]))
    options: dict[str, Any] = {
        "n_steps": draw(st.integers(1, 9)),
        "threshold": draw(st.sampled_from(["const", "ramp", "homeostatic", "learnable"])),
        "surrogate": draw(st.sampled_from(["atan", "triangle"])),
        "head": draw(st.sampled_from(["integrator", "integrator", "spiking"])),
        "decay": draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    }
    if name == "mpd-ed":
        options["mask"] = draw(st.sampled_from(["spike", "band"]))
    return named(name, **options)


@st.composite
def time_rules(draw: Any) -> GradientRule:
    threshold = draw(st.sampled_from(["window", "window", "fixed", "ramp"]))
    head = draw(st.sampled_from(["integrator", "spiking"]))
    clip = draw(st.sampled_from([0.4, 3.0, 11.0]))
    return named(
        "std-ed", time="ticks", n_steps=draw(st.integers(2, 20)), threshold=threshold, head=head,
        slope_clip=clip,
    )  # fmt: skip


@st.composite
def formats(draw: Any) -> WeightFormat:
    return WeightFormat(
        bits=draw(st.sampled_from([3, 8, 16, 16])),  # 16: one bit of a gradient shows
        max_abs=draw(st.sampled_from([0.7, 1.5, 4.0])),
        rounding=draw(st.sampled_from(["stochastic", "nearest"])),
        policy=draw(st.sampled_from(["always", "if-changed"])),
        skip_confidence=draw(st.sampled_from([0.0, 0.5])),
        skip_error=draw(st.sampled_from([0.0, 0.2])),
        accumulate=draw(st.sampled_from(["sample", "sample", "stream"])),
    )


@st.composite
def membranes(draw: Any) -> IntegerFormat:
    return IntegerFormat(
        decay_bits=draw(st.sampled_from([5, 12])),
        rounding=draw(st.sampled_from(["toward-zero", "floor"])),
        input_shift=draw(st.sampled_from([0, 6])),
        v_bits=draw(st.sampled_from([14, 24, 32])),
        compare=draw(st.sampled_from([">", ">="])),
    )


def check(
    rule: GradientRule, store: WeightFormat, form: IntegerFormat, seed: int, batch: int, cut: int
) -> None:
    """Train 4 samples; the engine is replaced by a new one, from its state, after ``cut``."""
    case = random_case(rule, seed, 4)
    batch = 1 if store.accumulate == "stream" else batch
    lr = 0.2 if store.bits == 3 else 8.0
    common: dict[str, Any] = {"lr": lr, "seed": seed, "batch": batch, "form": form}
    common["frozen"] = case.net.names[: seed % len(case.net.names)] if seed % 3 == 0 else ()
    twin = IntegerForm(case.net, case.weights, rule, store, **common)
    engine = Engine(case.net, case.weights, rule, store, mode="integer", **common)
    packed, order = packed_of(case), np.array([2, 0, 3, 1, 2])
    for part in (order[:cut], order[cut:]):
        if not part.size:
            continue
        expected = twin.train(case.inputs, case.labels, part.tolist())
        state = engine.state()
        engine = Engine(case.net, case.weights, rule, store, mode="integer", **common)
        engine.restore(state)
        outcome = engine.train(packed, case.labels, part)
        for name, array in twin.state().items():
            assert engine.state()[name].tolist() == array.tolist(), name
        raw = outcome.scores / engine.score_unit
        assert np.rint(raw).astype(np.int64).tolist() == expected.scores.tolist()
        assert (outcome.n_correct, outcome.n_updated) == (expected.n_correct, expected.n_updated)
        if rule.mask != "none":  # else those of a machine that walks every step
            for told, wanted in zip(outcome.error_packets, expected.error_packets, strict=True):
                assert told.tolist() == wanted.tolist()
        columns = list(range(len(OPERATIONS)))
        if rule.mask == "none":  # counted as a machine that walks every step, not by events
            columns = [k for k, name in enumerate(OPERATIONS) if name in COUNTED_ALIKE]
        own = outcome.counts.values[:, columns]
        assert own.tolist() == expected.counts[:, columns].tolist()
    for sample in range(len(case.labels)):
        assert engine.log_of(packed, sample).tolist() == twin.log_of(case.inputs, sample).tolist()


@settings(max_examples=120, deadline=None)
@given(
    step_rules(), formats(), membranes(), st.integers(0, 2**20), st.integers(1, 3),
    st.integers(0, 5),
)  # fmt: skip
def test_rules_in_steps(
    rule: GradientRule, store: WeightFormat, form: IntegerFormat, seed: int, batch: int, cut: int
) -> None:
    check(rule, store, form, seed, batch, cut)


@settings(max_examples=120, deadline=None)
@given(time_rules(), formats(), st.integers(0, 2**20), st.integers(1, 3), st.integers(0, 5))
def test_spike_time_rules(
    rule: GradientRule, store: WeightFormat, seed: int, batch: int, cut: int
) -> None:
    check(rule, store, IntegerFormat(), seed, batch, cut)
