"""A training counted as machines would work that walk every step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.learning.closed_forms import SPIKES_PER_WORD, Accounting, natural_accounting
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.synapses import Synapses
from nmhw.sim.learning.weight_store import rewrite_counts
from nmhw.values.learning import OPERATION_INDEX as AT
from nmhw.values.learning import WeightFormat

Ints = NDArray[np.int64]

_FORWARD = ("synop", "neuron_update", "crossing", "spike", "exponential")
_STORE = ("weight_read", "weight_write", "random_word")


def count_as(
    accounting: Accounting,
    net: LearningNetwork,
    rule: GradientRule,
    own: Ints,
    n_synops: Ints,
    n_seen: int,
    n_learned: int,
    n_inputs: int,
    is_trained: Sequence[bool],
    n_updates: int,
    weight_format: WeightFormat,
) -> Ints:
    """Return the counts of a machine that walks every step, (n_layers, n_operations).

    Weight traffic is what the store did, unless this machine would touch other weights.

    Parameters
    ----------
    own : (n_layers, n_operations) int64
        By events, with the store's.
    n_synops : (n_layers,) int64
        Forward reads of the samples that were learned from.
    n_seen, n_learned : int
        Samples that ran; samples that were not skipped.
    n_inputs : int
        Input events of the samples that ran.
    is_trained : sequence of bool
        Per layer: its weights change.
    n_updates : int
        Rewrites of the touched weights (batches with a sample that was learned from).
    weight_format : WeightFormat

    Raises
    ------
    UnsupportedError
        For an event accounting that is not the rule's own, and for a gated one of a training with
        a mask: it left no record of the weights that the gate would have opened.
    """
    if accounting in ("event", "band") or rule.name not in ("mpd-ed", "stbp"):
        raise UnsupportedError(
            f"a training by {rule.name} with this mask is not counted so", got=accounting,
            hint=f"{natural_accounting(rule)}, or train with that mask",
            rule="learning.accounting",
        )  # fmt: skip
    counts = np.zeros_like(own)
    for name in (*_FORWARD, *_STORE):
        counts[:, AT[name]] = own[:, AT[name]]
    if rule.mask != "none" and accounting != "dense" and weight_format.accumulate == "sample":
        raise UnsupportedError(
            "a training with a mask does not know which weights a gated machine rewrites",
            got=accounting, hint="train by stbp, or accumulate='stream'",
            rule="learning.accounting",
        )  # fmt: skip
    is_dense, is_stream = accounting == "dense", weight_format.accumulate == "stream"
    lowest = list(is_trained).index(True) if any(is_trained) else len(net.layers)
    for k, layer in enumerate(net.layers):
        row = counts[k]
        is_head = k == net.feedforward[-1] and rule.head == "integrator"
        steps = rule.n_steps - 1 if layer.is_recurrent else rule.n_steps
        every = 1 if is_head and accounting == "gated-once" else steps
        if not layer.is_recurrent and not is_head:
            if k >= lowest:  # no error reaches the membranes of frozen layers
                row[AT["history_word"]] = n_seen * steps * layer.n_out
            if is_dense:
                words = -(-layer.n_out // SPIKES_PER_WORD)
                row[AT["history_word"]] += n_seen * steps * words
            else:
                row[AT["log_word"]] = own[k, AT["spike"]]
        if k < lowest:
            continue
        if not layer.is_recurrent:
            row[AT["error_event"]] = n_learned * every * layer.n_out
            if not is_head:
                row[AT["surrogate"]] = n_learned * steps * layer.n_out
        n_synapses = Synapses(layer).n_synapses
        if is_trained[k]:
            dense = n_learned * steps * n_synapses
            contributions = dense if is_dense else int(n_synops[k])
            row[AT["gradient_mac" if is_dense else "gradient_add"]] = contributions
            if is_dense or rule.mask != "none":
                n = contributions if is_stream else layer.n_weights * n_updates
                for name in _STORE:
                    row[AT[name]] = 0
                row += rewrite_counts(n, int(own[k, AT["weight_write"]]), weight_format)
        if k > lowest:
            row[AT["propagation_mac"]] = n_learned * every * n_synapses
            row[AT["transposed_read"]] = row[AT["propagation_mac"]]
            row[AT["error_packet"]] = n_learned * every * layer.n_source
    if not is_trained[0]:
        return counts  # a frozen first layer needs no inputs
    if is_dense:
        words = -(-net.n_inputs // SPIKES_PER_WORD)
        counts[0, AT["history_word"]] += n_seen * rule.n_steps * words
    else:
        counts[0, AT["log_word"]] += n_inputs
    return counts


def clocked_packets(
    accounting: Accounting, net: LearningNetwork, rule: GradientRule, n_learned: int, lowest: int
) -> list[Ints]:
    """Return the error packets that each neuron is told by a machine that walks every step.

    One per neuron and step; "gated-once" sends the error of an integrator head, the same in every
    step, once.
    """
    layers = net.feedforward
    packets = [np.zeros(net.layers[k].n_out, np.int64) for k in layers]
    for q, behind in enumerate(layers[1:]):
        is_head = behind == layers[-1] and rule.head == "integrator"
        every = 1 if is_head and accounting == "gated-once" else rule.n_steps
        if behind > lowest:
            packets[q] += n_learned * every
    return packets
