"""One source's synapses: sums to the targets, errors back from them, and gradients."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from nmhw.sim.kernels.compiled import kernel
from nmhw.sim.learning.kernels.arithmetic import rewrite
from nmhw.sim.learning.kernels.layout import L_IS_DENSE, L_IS_FROZEN, L_N_OUT, L_ROWS, L_WEIGHTS


@kernel
def add_row(wiring, layer, i, c, weights, out):
    """Add c times the weights of pooled source i to its targets; return its fan-out."""
    first = layer[L_WEIGHTS]
    if layer[L_IS_DENSE]:
        n_out = layer[L_N_OUT]
        first += i * n_out
        for j in range(n_out):
            out[j] += c * weights[first + j]
        return n_out
    begin, end = wiring.row_ptr[layer[L_ROWS] + i], wiring.row_ptr[layer[L_ROWS] + i + 1]
    for s in range(begin, end):
        out[wiring.target[s]] += c * weights[first + wiring.tap[s]]
    return end - begin


@kernel
def carry_row(wiring, layer, i, weights, e, live):
    """Return the sum of weights times errors over live targets, and how many those are."""
    first = layer[L_WEIGHTS]
    total, n = e[0] - e[0], 0
    if layer[L_IS_DENSE]:
        n_out = layer[L_N_OUT]
        first += i * n_out
        for j in range(n_out):
            if live[j]:
                total += weights[first + j] * e[j]
                n += 1
        return total, n
    begin, end = wiring.row_ptr[layer[L_ROWS] + i], wiring.row_ptr[layer[L_ROWS] + i + 1]
    for s in range(begin, end):
        if live[wiring.target[s]]:
            total += weights[first + wiring.tap[s]] * e[wiring.target[s]]
            n += 1
    return total, n


@kernel
def learn_row(wiring, layer, k, i, c, e, live, is_stream, gradient, touched, store, a):
    """Add c times the errors of live targets to the gradients; return how many those are.

    Streaming, every contribution changes its weight at once.
    """
    if layer[L_IS_FROZEN]:
        return 0
    first, n = layer[L_WEIGHTS], 0
    if layer[L_IS_DENSE]:
        n_out = layer[L_N_OUT]
        first += i * n_out
        for j in range(n_out):
            if live[j]:
                n += 1
                if is_stream:
                    rewrite(store, k, first + j, c * e[j], 1, a)
                else:
                    gradient[first + j] += c * e[j]
                    touched[first + j] = 1
        return n
    begin, end = wiring.row_ptr[layer[L_ROWS] + i], wiring.row_ptr[layer[L_ROWS] + i + 1]
    for s in range(begin, end):
        if live[wiring.target[s]]:
            n += 1
            w = first + wiring.tap[s]
            if is_stream:
                rewrite(store, k, w, c * e[wiring.target[s]], 1, a)
            else:
                gradient[w] += c * e[wiring.target[s]]
                touched[w] = 1
    return n
