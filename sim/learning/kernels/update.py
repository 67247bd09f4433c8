"""The end of a batch: thresholds move, touched weights are rewritten in order of position."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from nmhw.sim.kernels.compiled import kernel
from nmhw.sim.learning.kernels.arithmetic import rewrite
from nmhw.sim.learning.kernels.layout import L_IS_FROZEN, L_N_WEIGHTS, L_WEIGHTS


@kernel
def update_weights(wiring, gradient, touched, moves_all, n, store, a):
    """Rewrite touched weights layer by layer (Adam: all); gradients and marks are cleared."""
    for k in range(len(wiring.layers)):
        layer = wiring.layers[k]
        if layer[L_IS_FROZEN]:
            continue
        for w in range(layer[L_WEIGHTS], layer[L_WEIGHTS] + layer[L_N_WEIGHTS]):
            if touched[w] or moves_all:
                rewrite(store, k, w, gradient[w], n, a)
                touched[w] = 0
                gradient[w] = 0


@kernel
def first_highest(scores):
    """Return the position of the highest score, the first of several."""
    best = 0
    for j in range(1, scores.size):
        if scores[j] > scores[best]:
            best = j
    return best
