"""The chip's grids, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.grid import (
    choose_decay,
    largest_threshold,
    legal_biases,
    legal_thresholds,
    pack_weights,
    pick_grid,
    weight_grid,
)
from nmhw.values.chip import ArithmeticSpec

LOIHI = ArithmeticSpec(
    "loihi",
    "",
    u_bits=24,
    v_bits=24,
    u_decay_offset=1,
    input_shift=6,
    decays=("none", "clear", "mulshift"),
    weight_bits=(1, 2, 3, 4, 5, 6, 8),
    weight_min=-256,
    weight_max=254,
    weight_step=2,
    sign_modes=("mixed", "excitatory", "inhibitory"),
    threshold_bits=17,
    threshold_shift=6,
    bias_bits=13,
    bias_exponent=(0, 7),
)
GENERIC = ArithmeticSpec("generic", "")


def test_loihi_grids_are_those_of_the_dense_process() -> None:
    mixed = weight_grid(LOIHI)
    assert (mixed.minimum, mixed.maximum, mixed.step) == (-256, 254, 2)
    four = weight_grid(LOIHI, 4)
    assert (four.minimum, four.maximum, four.step) == (-256, 224, 32)
    positive = weight_grid(LOIHI, sign_mode="excitatory")
    assert (positive.minimum, positive.maximum, positive.step) == (0, 255, 1)
    negative = weight_grid(LOIHI, 6, "inhibitory")
    assert (negative.minimum, negative.maximum, negative.step) == (-252, 0, 4)
    # lava-nc: W = clip(W), then the low n bits are cut, n = 8 - bits + is_mixed
    every = np.arange(-300, 300)
    for bits in LOIHI.weight_bits:
        for mode, low, high, is_mixed in (
            ("mixed", -256, 255, 1),
            ("excitatory", 0, 255, 0),
            ("inhibitory", -255, 0, 0),
        ):
            n = 8 - bits + is_mixed
            clipped = np.clip(every, low, high)
            cut = np.sign(clipped) * ((np.abs(clipped) >> n) << n)
            if mode != "inhibitory":
                cut = (clipped >> n) << n
            grid = weight_grid(LOIHI, bits, mode)  # type: ignore[arg-type]
            np.testing.assert_array_equal(grid.holds(every), (cut == every))


def test_widths_and_modes_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"no such weight width: got 7 \(limit 1, 2, 3"):
        weight_grid(LOIHI, 7)
    with pytest.raises(UnsupportedError, match="no such sign mode: got excitatory"):
        weight_grid(GENERIC, sign_mode="excitatory")


def test_one_signed_weights_use_the_finer_mode() -> None:
    assert pick_grid(LOIHI, np.array([0.1, 0.0])).sign_mode == "excitatory"
    assert pick_grid(LOIHI, np.array([-0.1, 0.0])).sign_mode == "inhibitory"
    assert pick_grid(LOIHI, np.array([-0.1, 0.1])).sign_mode == "mixed"
    assert pick_grid(GENERIC, np.array([0.1])).sign_mode == "mixed"


def test_rounding_is_half_to_even_or_toward_zero_and_tells_what_it_clipped() -> None:
    grid = weight_grid(LOIHI)
    x = np.array([1.0, 3.0, -1.0, 2.9, -2.9, 254.9, 255.1, -256.9, -257.1])
    nearest, clipped = grid.round(x)
    np.testing.assert_array_equal(nearest, [0, 4, 0, 2, -2, 254, 254, -256, -256])
    np.testing.assert_array_equal(clipped, [0, 0, 0, 0, 0, 0, 1, 0, 1])
    truncated, _ = grid.round(x, "truncate")
    np.testing.assert_array_equal(truncated, [0, 2, 0, 2, -2, 254, 254, -256, -256])


def test_packing_drops_common_powers_of_two_and_restores_exactly() -> None:
    for weights, dtype, shift in (
        (np.arange(-256, 256, 2), np.int8, 1),
        (np.arange(0, 256), np.int16, 0),
        (np.arange(-127, 128), np.int8, 0),
        (np.array([70000]), np.int32, 0),
        (np.zeros(3, np.int64), np.int8, 0),
        (np.zeros(0, np.int64), np.int8, 0),
    ):
        stored, found = pack_weights(weights.astype(np.int64))
        assert (stored.dtype, found) == (dtype, shift)
        np.testing.assert_array_equal(stored.astype(np.int64) << found, weights)


def test_thresholds_are_mantissas_of_their_width() -> None:
    assert largest_threshold(LOIHI) == ((1 << 17) - 1) << 6
    np.testing.assert_array_equal(
        legal_thresholds(LOIHI, np.array([31.0, 33.0, 1e9, -5.0])), [0, 64, ((1 << 17) - 1) << 6, 0]
    )
    np.testing.assert_array_equal(
        legal_thresholds(LOIHI, np.array([127.0, 128.0]), "down"), [64, 128]
    )
    # a threshold register wider than the state is cut by the state
    assert largest_threshold(replace(LOIHI, threshold_bits=30)) == (1 << 23) - 1


def test_biases_use_the_smallest_exponent_that_holds_them() -> None:
    x = np.array([0.4, 100.6, -4095.0, 4095.6, -8191.0, 524160.0, 1e7])
    value, clipped = legal_biases(LOIHI, x)
    np.testing.assert_array_equal(value, [0, 101, -4095, 4096, -8192, 524160, 524160])
    np.testing.assert_array_equal(clipped, [0, 0, 0, 0, 0, 0, 1])


def test_decay_forms_come_in_order_of_exactness() -> None:
    one, zero = np.ones(3), np.zeros(3)
    assert choose_decay(GENERIC, one, "v").kind == "none"
    assert choose_decay(GENERIC, zero, "v").kind == "clear"
    shift = choose_decay(GENERIC, np.full(3, 1 - 1 / 16), "v")
    assert (shift.kind, shift.code.tolist()) == ("shift", [4, 4, 4])
    assert choose_decay(GENERIC, np.array([0.9375, 0.9]), "v").kind == "mulshift"
    mixed = choose_decay(GENERIC, np.array([1.0, 0.5]), "v")
    assert (mixed.kind, mixed.code.tolist()) == ("mulshift", [4096, 2048])


def test_loihi_decay_registers_match_lava() -> None:
    keep = np.array([0.96, 1.0, 0.0, 1 - 1e-6])
    v = choose_decay(LOIHI, keep, "v")
    dv = 4096 - v.code
    np.testing.assert_array_equal(dv, [164, 0, 4095, 1])  # cannot clear; a leak never vanishes
    u = choose_decay(LOIHI, np.array([0.9, 0.0, 1 - 1e-6]), "u")
    du = 4096 - 1 - u.code
    np.testing.assert_array_equal(du, [round(4096 * 0.1) - 1, 4095, 0])
    assert choose_decay(LOIHI, np.zeros(2), "u").kind == "clear"
    assert choose_decay(LOIHI, np.zeros(2), "v").kind == "mulshift"


def test_a_chip_with_shifts_alone_takes_the_next_shift_and_refuses_mixtures() -> None:
    shifts = replace(GENERIC, decays=("none", "shift"))
    assert choose_decay(shifts, np.array([0.9, 0.95]), "v").code.tolist() == [3, 4]
    with pytest.raises(UnsupportedError, match=r"no decay of v holds this value: got 0\.9\.\.1"):
        choose_decay(shifts, np.array([0.9, 1.0]), "v")


def test_a_chip_with_a_tail_and_none_keeps_what_does_not_leak() -> None:
    arithmetic = ArithmeticSpec("generic", "none", decays=("none", "shift-tail", "subtract"))
    assert choose_decay(arithmetic, np.ones(3), "v").kind == "none"


def test_a_decay_that_does_not_exist_names_the_population() -> None:
    tail = ArithmeticSpec("generic", "none", decays=("shift-tail",))
    with pytest.raises(UnsupportedError, match=r"^hidden: no decay of v .* tau / dt = inf"):
        choose_decay(tail, np.ones(3), "v", where="hidden")
    shifts = ArithmeticSpec("generic", "none", decays=("shift",))
    with pytest.raises(UnsupportedError, match=r"^hidden: no decay of u"):
        choose_decay(shifts, np.ones(3), "u", where="hidden")
