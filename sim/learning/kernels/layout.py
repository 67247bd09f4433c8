"""What the kernels take: tables of integers and tuples of flat arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

# Columns of Wiring.layers, one row per layer (projection with its targets).
L_IS_DENSE, L_N_IN, L_N_OUT, L_N_SOURCE = 0, 1, 2, 3
L_WEIGHTS, L_N_WEIGHTS = 4, 5  # first weight in the flat arrays; stored weights
L_ROWS = 6  # of a convolution: its first entry in Wiring.row_ptr
L_POOLS = 7  # its first entry in Wiring.pool_ptr, or -1
L_LOOP = 8  # layer whose sources are this layer's targets, or -1
L_NEURONS = 9  # first neuron in arrays over all neurons
L_IS_FROZEN = 10
N_LAYER_COLUMNS = 11

MASK_SPIKE, MASK_BAND, MASK_NONE = 0, 1, 2
LAW_CONST, LAW_RAMP, LAW_HOMEOSTATIC, LAW_LEARNABLE = 0, 1, 2, 3

IS_SPIKE, IS_ADMITTED = 1, 2  # flags of a log entry

# Columns of the counts, in the order of nmhw.values.learning.OPERATIONS.
(
    O_SYNOP, O_NEURON_UPDATE, O_CROSSING, O_SPIKE, O_LOG, O_HISTORY, O_ERROR_EVENT, O_GRADIENT_MAC,
    O_GRADIENT_ADD, O_PROPAGATION, O_TRANSPOSED, O_SURROGATE, O_DECAY_LOOKUP, O_DIVISION,
    O_EXPONENTIAL, O_PACKET, O_READ, O_WRITE, O_WORD,
) = range(19)  # fmt: skip


class Wiring(NamedTuple):
    """The network: layers, synapses of convolutions, pools, layers in order."""

    layers: Any  # (n_layers, N_LAYER_COLUMNS) int64
    feedforward: Any  # int64: layers that are not recurrent
    row_ptr: Any  # int64, per pooled source of every convolution
    target: Any  # int32, per synapse
    tap: Any  # int32, per synapse: stored weight, counted from the layer's first
    pool_ptr: Any  # int64, per source of every pool
    pool_index: Any  # int32: pooled elements that cover it


class Packed(NamedTuple):
    """Samples as events, one after another."""

    pointers: Any  # (n_samples + 1,) int64
    index: Any  # int32
    moment: Any  # int32 steps or ticks, or float64 times
    value: Any  # int32 spikes


class Store(NamedTuple):
    """The arrays of a WeightStore."""

    values: Any  # float64
    codes: Any  # int32
    registers: Any  # (n_layers,) uint32
    tally: Any  # (n_layers, 2) int64: read-modify-writes, those that changed their weight
    byte_table: Any  # (256,) uint32: eight steps of a register
    max_code: int  # 0: no grid
    is_stochastic: bool
    scale: float


class Plan(NamedTuple):
    """How to train."""

    n_steps: int
    batch: int
    mask: int
    law: int
    head_spikes: bool
    is_stream: bool
    lowest: int  # first layer that is trained: errors go no further


class Outcome(NamedTuple):
    """What the kernels fill in."""

    counts: Any  # (n_layers, n_operations) int64: by events, without the store's
    n_synops: Any  # (n_layers,) int64: of the samples that were learned from
    scores: Any  # (n_samples, n_classes): raw sums
    totals: Any  # (4,) int64: correct samples, updated samples, input events, rows of the log
    fired: Any  # (n_neurons,) uint8: fired in some sample
    error_packets: Any  # (n_neurons,) int64: told to each neuron by the layer behind
    log: Any  # (n, 5): layer, step, neuron, v - theta, flags of the last sample; 0 rows: none


class FloatArithmetic(NamedTuple):
    """float64; times in units of ``1 / scale``."""

    decay: float
    powers: Any  # (T + 1,) float64
    is_triangle: bool
    width: float
    band: float
    theta_floor: float
    homeostasis_rate: float
    target_rate: float
    skip_confidence: float
    skip_error: float
    score_gain: float
    factors: Any  # (batch + 1,) float64: 1 / (samples, scale)
    lr: float
    first_moment: Any  # float64 per weight, empty without Adam
    second_moment: Any
    n_moments: Any  # (1,) int64: updates so far
    moments_all: bool  # Adam moves every weight
    is_ticks: bool
    is_window: bool
    theta0: float  # times scale
    slope: float
    opens: float
    last: float
    reads_at: float
    slope_clip: float
    timing_gain: float


class IntegerArithmetic(NamedTuple):
    """Fixed point; see docs/learning.md, "Integer mode"."""

    keep: int
    decay_bits: int
    floors: bool
    is_strict: bool
    input_shift: int
    v_max: int
    powers: Any  # (T + 1,) int64, 2**-POWER_BITS
    surrogate: Any  # int64, 2**-SLOPE_BITS
    surrogate_shift: int
    band: int
    theta_bits: int  # fraction bits of stored thresholds
    theta_floor: int
    homeostasis_up: int
    homeostasis_down: int
    theta_factor: int
    skip_confidence: int
    skip_error: int
    score_factor: int
    score_shift: int
    exp_coarse: Any  # int64
    exp_fine: Any
    factors: Any  # (batch + 1,) int64
    factor_shift: int
    n_moments: Any  # (1,) int64: updates so far
    moments_all: bool
    carry_factor: int
    is_window: bool
    theta_of_tick: Any  # int64
    slope_codes: int
    opens: int
    last: int
    reads_at: int
    reciprocals: Any  # int64, 2**-SLOPE_BITS
    slope_clip: int
    timing_gain: int
