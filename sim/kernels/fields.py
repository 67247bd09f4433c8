"""Column numbers of the int64 descriptor tables that the kernels read, and their codes."""

from __future__ import annotations

# ---- projections: one row each, grouped by target population in update order
J_KIND = 0  # one of the KIND_* codes
J_SOURCE = 1  # index of the input or of the population (in update order)
J_IS_INPUT = 2
J_DELAY = 3
J_ACC = 4  # offset of the accumulator in the pool of its width
J_WEIGHTS = 5  # offset in the weight pool (conv: of the kernel)
J_WIDTH = 6  # dense: padded row length; packed: bits of a weight
J_FLUSH = 7  # dense int8: rows between two flushes of the int16 sums
J_ROWS = 8  # number of rows (pooled sources)
J_POINTERS = 9  # sparse: offset of the row pointers; conv: offset of the segment pointers
J_INDICES = 10  # sparse: offset of the targets
J_TABLE = 11  # conv: offset of the (accumulator, kernel, phase) table
J_POOL = 12  # offset of the pool's row pointers, -1 without pools
J_POOLED = 13  # offset of the pool's pooled indices
J_TARGETS = 14  # number of targets
J_FIELDS = 15

KIND_DENSE8 = 0  # int8 rows
KIND_DENSE16 = 1  # int16 rows
KIND_SPARSE_WIDE = 2  # uint16 targets, int8 weights, rows padded to quads
KIND_SPARSE_PACKED = 3  # uint32: target above, weight in the lowest J_WIDTH bits
KIND_SPARSE32 = 4  # uint32 targets, int32 weights
KIND_CONV16 = 5  # int16 accumulators
KIND_CONV32 = 6  # int32 accumulators
KIND_IN_ORDER = 7  # int32 weights added to the int64 current itself, each sum overflowing
KIND_DENSE_TILES = 8  # int8 rows in tiles of TILE columns, the last of them perhaps narrower

#: Columns of a tile; the width of a tiled matrix is a multiple of HALF_TILE.
TILE, HALF_TILE = 128, 64

# ---- accumulators (ports), grouped by population
A_OFFSET = 0  # of the first valid element
A_ROWS = 1  # valid elements form rows of A_LENGTH with distance A_STRIDE
A_LENGTH = 2
A_STRIDE = 3
A_SHIFT = 4  # left shift of the sums (negative: floor); behind a fold 0
A_IS16 = 5
A_FIELDS = 6

# ---- populations in update order
P_SIZE = 0
P_BASE = 1  # of its neurons in the common pools (multiple of 64)
P_UPDATE = 2  # one of the UPDATE_* codes
P_STATE = 3  # base in the int64 or float32 pools of the general and float forms
P_FIRST_PROJECTION = 4
P_END_PROJECTION = 5
P_FIRST_PORT = 6
P_END_PORT = 7
P_RING = 8  # offset of its slots in the spike ring
P_SLOTS = 9
P_CAPACITY = 10  # length of a slot: all its spikes, and room that a scan may scribble on
P_RING_COUNT = 11  # offset of the counts of its slots
P_LATE = 12  # base of its late-spike counts, -1 without outgoing delays
P_LATE_STEPS = 13
P_SHIFT = 14  # input shift (fast forms: with the port's shift)
P_HAS_CURRENT = 15
P_IS_SPIKING = 16
P_U_DECAY = 17
P_V_DECAY = 18
P_DECAY_BITS = 19
P_FLOOR = 20  # decay product floored (else toward zero)
P_U_BITS = 21
P_V_BITS = 22
P_U_WRAP = 23
P_V_WRAP = 24
P_STRICT = 25  # compare is ">"
P_RESET = 26
P_RESET_DELAY = 27
P_MAX_SPIKES = 28
P_HAS_V_MIN = 29  # 1: saturates there, 2: resets below
P_ORDER = 30  # offset of its author's indices in internal order, -1 where equal
P_KEEP = 31  # fast uniform: shift of the decay
P_DECAY_MASK = 32  # fast: -1 where v decays by a shift, else 0
P_CLEAR_MASK = 33  # fast: 0 where v is cleared in every step, else -1
P_STATE_MASK = 34  # fast: -1 where the reset subtracts or does nothing, else 0
P_THRESHOLD = 35  # fast uniform: fires where v > this
P_SUBTRACT = 36  # fast uniform: what the reset takes away from the masked v
P_SUM_BITS = 37  # width of v before the comparison, 0 where it is that of the state
P_SECOND = 38  # base of the second current in the int64 pools, -1 without one
P_FIRST_RUN = 39  # its runs of neurons, see RUN_*
P_END_RUN = 40
P_VARIANT = 41  # of UPDATE_LANES, see V_*
P_U_DECAY_MASK = 42  # as P_DECAY_MASK and P_CLEAR_MASK, of the current
P_U_CLEAR_MASK = 43
P_BLOCK = 44  # elements between the sums of two steps of a block; 0: one step at a time
P_FIELDS = 45

# ---- runs: neurons in a row on one core whose sums lie in a row; updated, and counted, together
RUN_NEURON = 0  # its first, in the common pools
RUN_ACC = 1  # of its sums, in the pool of the population's first port (fast forms)
RUN_LENGTH = 2
RUN_COLUMN = 3  # of its core in the counts of active updates
RUN_WEIGHT = 4  # compartments per neuron
RUN_FIELDS = 5

UPDATE_UNIFORM = 0  # int32, one parameter set, overflow impossible
UPDATE_UNIFORM_CLAMP = 1  # the same with saturation
UPDATE_ARRAYS = 2  # int32, parameters per neuron, saturation
UPDATE_CURRENT = 3  # int32, u and v with multiplicative decays
UPDATE_FLOAT_ROWS = 4  # float32, one spike, reset in the same step, no refractory time
UPDATE_LANES = 5  # int32, parameters per neuron, nearly everything: see V_*
UPDATE_GENERAL = 6  # int64, everything (this and the next read the folded int64 sums)
UPDATE_FLOAT = 7  # float32, everything
UPDATE_SATURATING = 8  # int64, input added in order before the decay, two currents, aliases

# ---- variants of UPDATE_LANES: a decay and flags
V_SHIFT = 0  # shift, none, clear
V_FACTOR = 1  # mulshift, none, clear
V_SUBTRACT = 2
V_CONVERGE = 3
V_DECAYS = 4
V_CURRENT = 4  # a current, which decays as v does
V_LATE = 8  # reset one step behind the spike
V_RESTS = 16  # refractory steps
V_END = 32

DECAY_NONE = 0
DECAY_CLEAR = 1
DECAY_MULSHIFT = 2
DECAY_SHIFT = 3
DECAY_SUBTRACT = 4
DECAY_SHIFT_TAIL = 5
DECAY_CONVERGE = 6  # acts behind the input

OVERFLOW_SATURATE = 0
OVERFLOW_WRAP = 1
OVERFLOW_FULL = 2  # saturates, -2^(b-1) included

RESET_ZERO = 0
RESET_VALUE = 1
RESET_SUBTRACT = 2
RESET_NONE = 3

# ---- rows of the parameter pools
I_THRESHOLD = 0  # int32 pool: fires where v > this
I_SUBTRACT = 1
I_BIAS = 2  # without current: u_bias + v_bias
I_KEEP = 3  # of v
I_U_KEEP = 4
I_U_BIAS = 5
I_V_MIN = 6
I_FIELDS = 7

G_U_KEEP = 0  # int64 pool
G_V_KEEP = 1
G_U_BIAS = 2
G_V_BIAS = 3
G_THRESHOLD = 4
G_V_RESET = 5
G_V_MIN = 6
G_ALIAS = 7  # neuron of the population that repeats the spikes, -1 = none
G_FIELDS = 8

F_U_KEEP = 0  # float32 pool
F_U_GAIN = 1
F_V_KEEP = 2
F_V_GAIN = 3
F_DRIVE = 4
F_THRESHOLD = 5
F_V_RESET = 6
F_FIELDS = 7

# ---- probes
R_POPULATION = 0
R_IS_U = 1  # 0: v, 1: u, 2: the second current
R_EVERY = 2
R_OFFSET = 3  # of its first value in the probe pool of its type
R_KEPT = 4  # steps kept per sample
R_FIELDS = 5

# ---- control words
C_ROW = 0  # next row = sample * n_steps + step
C_STOP = 1  # return before this row
C_STEPS = 2  # steps per sample
C_EVENTS = 3  # events in the buffer
C_RESERVE = 4  # most events one step can add
C_KEEP = 5  # 1: record events
C_CONTINUOUS = 6
C_CORE_STEPS = 7  # 1: active updates per row and column
C_LAST_SAMPLE = 8
C_BLOCK = 9  # steps that a population may run before the next one starts
C_FIELDS = 10

# ---- slots in the table of kernel addresses
CALL_UPDATE = 0  # + 2 * UPDATE_* + (accumulator is int16)
CALL_FOLD = 18  # to int64; + (accumulator is int16)
CALL_FOLD_NARROW = 20  # to int32; + (accumulator is int16)
CALL_PROBES = 22
CALL_POOL = 23
CALL_DELIVER = 24  # + KIND_*
CALL_LANES = 34  # + 2 * P_VARIANT + (accumulator is int16)
CALL_SLOTS = CALL_LANES + 2 * V_END
