"""Nouns of on-chip learning: what a rule is, how weights are kept, and what is counted.

Rules never report their own cost. The engine counts what it reads, multiplies, logs and sends; the
``WeightStore`` counts what it reads and writes back. A ratio between two rules is then a ratio of
numbers that neither of them could choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: What one learning sample does, per layer. Column k of every count array is ``OPERATIONS[k]``.
#: A *layer* is a projection with its targets: n_in sources, n_out targets.
OPERATIONS = (
    # forward
    "synop",  # stored weights read because of one delivered input event
    "neuron_update",  # membrane updates (clocked: steps x targets)
    "crossing",  # spike times solved (spike-time rules, once per target)
    "spike",  # spikes that the targets emit
    # what is kept for the backward walk
    "log_word",  # one spike-log word (neuron, time, slope)
    "history_word",  # one membrane or spike word of a step-by-step history
    # backward
    "error_event",  # (neuron, time) at which an error enters the layer
    "gradient_mac",  # multiply-accumulates into weight gradients
    "gradient_add",  # additions into weight gradients (the factor is a spike)
    "propagation_mac",  # multiply-accumulates that carry an error to the sources
    "transposed_read",  # weights read against their storage order for them
    "surrogate",  # surrogate derivatives evaluated
    "decay_lookup",  # powers of the decay looked up
    "division",  # reciprocals of a slope
    "exponential",  # of the head's softmax
    "error_packet",  # error words sent to the sources, one per source event and core
    # update, counted by the WeightStore alone
    "weight_read",
    "weight_write",
    "random_word",  # words drawn for stochastic rounding
    "trace_update",  # of local rules: per-neuron or per-synapse traces decayed or raised
)

#: Column of every operation.
OPERATION_INDEX: Mapping[str, int] = {name: k for k, name in enumerate(OPERATIONS)}

#: Operations of every phase; ``learning only`` is all but ``forward``.
PHASES: Mapping[str, tuple[str, ...]] = {
    "forward": ("synop", "neuron_update", "crossing", "spike"),
    "log": ("log_word", "history_word"),
    "backward": (
        "error_event",
        "gradient_mac",
        "gradient_add",
        "propagation_mac",
        "transposed_read",
        "surrogate",
        "decay_lookup",
        "division",
        "exponential",
        "error_packet",
        "trace_update",
    ),
    "update": ("weight_read", "weight_write", "random_word"),
}

Trigger = Literal["on_pre", "on_post", "on_step", "on_epoch", "on_error", "on_sample_end"]


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What a learning rule needs from the machine that runs it.

    Attributes
    ----------
    name : str
        As on the command line, e.g. "std-ed".
    title : str
    equation : str
        The update in one line, in the terms of ``docs/learning.md``.
    pre_traces, post_traces : int
        Traces per source and per target neuron.
    synapse_words : int
        State words per synapse besides the weight.
    third_factor : "none" | "global" | "per-neuron" | "per-synapse"
    triggers : tuple of Trigger
    needs_log, needs_transpose, needs_reverse_pass : bool
        A spike log of the sample, weight access by target, a walk backward in time.
    source : str
        Paper, DOI.
    is_reconstruction : bool
        The equations are our reading; the source's own text was not available.
    needs_surrogate : bool
        A surrogate derivative per target and step.
    products : int
        Multiply-accumulates per synapse and update.
    random_words : int
        Random words per step (rounding of traces), besides those of the weights.
    epoch_steps : int
        Steps between two "on_epoch".
    """

    name: str
    title: str
    equation: str
    pre_traces: int = 0
    post_traces: int = 0
    synapse_words: int = 0
    third_factor: Literal["none", "global", "per-neuron", "per-synapse"] = "none"
    triggers: tuple[Trigger, ...] = ()
    needs_log: bool = False
    needs_transpose: bool = False
    needs_reverse_pass: bool = False
    source: str = ""
    is_reconstruction: bool = False
    needs_surrogate: bool = False
    products: int = 1
    random_words: int = 0
    epoch_steps: int = 1


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How learned weights are stored and written back.

    Attributes
    ----------
    bits : int or None
        Signed width; None keeps floats (no chip does; for comparison).
    max_abs : float
        Weight of the largest code: one code is ``max_abs / (2**(bits-1) - 1)``.
    rounding : "stochastic" | "nearest"
        Stochastic: floor(x + r) with r from a seeded LFSR.
    policy : "always" | "if-changed"
        Whether a weight whose code stays the same is written back.
    skip_confidence, skip_error : float
        Skip the whole update when the target class has at least this probability (0: never), and
        output errors below ``skip_error``.
    accumulate : "sample" | "stream"
        One read-modify-write per touched weight and sample, or one per contribution.
    """

    bits: int | None = 8
    max_abs: float = 1.5
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    policy: Literal["always", "if-changed"] = "if-changed"
    skip_confidence: float = 0.0
    skip_error: float = 0.0
    accumulate: Literal["sample", "stream"] = "sample"


@dataclass(frozen=True, slots=True, eq=False)
class OperationCounts:
    """Operations per layer, exact.

    Attributes
    ----------
    layers : tuple of str
    values : (n_layers, len(OPERATIONS)) int64
    n_samples : int
        Samples that the counts are the sum of.
    """

    layers: tuple[str, ...]
    values: Ints
    n_samples: int

    def total(self, *names: str) -> int:
        """Return the sum of the named operations over all layers (all operations without names)."""
        columns = [OPERATION_INDEX[name] for name in names or OPERATIONS]
        return int(self.values[:, columns].sum())

    def by_operation(self) -> dict[str, int]:
        """Return the sum over layers of every operation."""
        return {name: int(self.values[:, k].sum()) for k, name in enumerate(OPERATIONS)}

    def __add__(self, other: OperationCounts) -> OperationCounts:
        return OperationCounts(
            self.layers, self.values + other.values, self.n_samples + other.n_samples
        )


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch of training did."""

    epoch: int
    train_accuracy: float
    validation_accuracy: float | None
    test_accuracy: float | None
    counts: OperationCounts
    silent_fraction: Mapping[str, float] = field(default_factory=dict)
    updated_samples: int = 0
