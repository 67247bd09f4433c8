"""Compiled local rules and the compiled store equal their NumPy forms on any activity."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.sim.learning.local.block_adding import add_block
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import WeightFormat

UNIT = st.floats(0.0, 1.0)
SEEDS = st.integers(0, 2**31 - 1)
FORMATS = st.builds(
    WeightFormat,
    bits=st.integers(2, 16),
    max_abs=st.sampled_from([0.3, 1.5, 7.0, 255.0]),
    rounding=st.sampled_from(["stochastic", "nearest"]),
    policy=st.sampled_from(["always", "if-changed"]),
)
RULES = st.one_of(
    st.builds(
        lambda x, y, plus, minus, soft, offset: local_rule(
            "stdp", decay_x=x, decay_y=y, a_plus=plus, a_minus=minus, soft=soft, offset=offset,
            w_min=-1.0,
        ),
        UNIT, UNIT, UNIT, UNIT, st.sampled_from([0.0, 1.0]), UNIT,
    ),
    st.builds(lambda x, e: local_rule("r-stdp", decay_x=x, decay_e=e), UNIT, UNIT),
    st.builds(lambda d: local_rule("e-prop", decay=d), UNIT),
    st.builds(lambda d: local_rule("drtp", decay=d), UNIT),
    st.builds(lambda q, p: local_rule("decolle", decay_q=q, decay_p=p), UNIT, UNIT),
    st.builds(
        lambda v, low, up, jump: local_rule(
            "sdsp", v_mid=v, ca_low=low, ca_up=low + up, ca_down=low + 1.0, jump=jump, w_min=-1.0
        ),
        UNIT, UNIT, UNIT, UNIT,
    ),
)  # fmt: skip


def trained(rule: Any, form: WeightFormat, seed: int, n_in: int, n_out: int, fast: bool) -> Any:
    rng = np.random.default_rng(seed)
    first = rng.normal(0.0, 0.5, (n_in, n_out))
    layer = LocalLayer("layer", n_in, n_out, LocalNeuron(decay=0.8), rule)
    engine = LocalEngine([layer], [first], form, learning_rate=0.1, seed=seed, use_compiled=fast)
    for _ in range(2):
        spikes = (rng.random((15, n_in)) < 0.4).astype(np.float64)
        errors = rng.normal(size=(15, n_out)) * (rng.random((15, n_out)) < 0.5)
        errors[3] = 0.0
        if rule.spec.third_factor == "global":
            errors[:] = errors[:, :1]
        engine.run(spikes, lambda _, step, e=errors: [e[step]])  # type: ignore[misc]
    return engine


@settings(max_examples=40, deadline=None)
@given(rule=RULES, form=FORMATS, seed=SEEDS, n_in=st.integers(1, 9), n_out=st.integers(1, 7))
def test_compiled_rules_equal_numpy_rules(
    rule: Any, form: WeightFormat, seed: int, n_in: int, n_out: int
) -> None:
    plain, fast = (trained(rule, form, seed, n_in, n_out, use) for use in (False, True))
    np.testing.assert_array_equal(plain.store.flat_codes, fast.store.flat_codes)
    np.testing.assert_array_equal(plain.weights[0], fast.weights[0])
    np.testing.assert_array_equal(plain.store.registers, fast.store.registers)
    np.testing.assert_array_equal(plain.counts.values, fast.counts.values)


@settings(max_examples=60, deadline=None)
@given(form=FORMATS, seed=SEEDS, data=st.data())
def test_blocks_through_the_compiled_store_equal_its_add(
    form: WeightFormat, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))) for _ in range(2)]
    weights = [rng.normal(0.0, form.max_abs, shape) for shape in shapes]
    plain, fast = WeightStore(weights, form, seed), WeightStore(weights, form, seed)
    for layer in (0, 1, 0):
        n_in, n_out = shapes[layer]
        rows = np.flatnonzero(rng.random(n_in) < 0.6)
        cols = np.flatnonzero(rng.random(n_out) < 0.6)
        dw = rng.normal(0.0, form.max_abs, (rows.size, cols.size)) * rng.choice([0.0, 1e-3, 1.0])
        plain.add(layer, (rows[:, None] * n_out + cols).ravel(), dw.ravel())
        add_block(fast, layer, rows, cols, dw)
    np.testing.assert_array_equal(plain.flat_codes, fast.flat_codes)
    np.testing.assert_array_equal(plain.flat_values, fast.flat_values)
    np.testing.assert_array_equal(plain.registers, fast.registers)
    np.testing.assert_array_equal(plain.counts, fast.counts)
