"""Names that a rule of kind ``graph`` may list, and which of them a network could break here.

A chip's sheet names what its toolchain asks of a graph. Some of it cannot be broken by a network of
this package; those names say why, so that no name of a sheet passes unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Checked on every network, in ``nmhw.mappers``: name -> what it asks.
CHECKED: Mapping[str, str] = {
    "hidden-and-output": "at least one hidden and one output layer",
    "output-not-recurrent": "outputs reach nothing",
    "input-to-hidden": "inputs reach hidden neurons alone",
    "output-one-current": "outputs have one synaptic current",
    "one-shift-per-matrix": "one left shift for all weights of a matrix",
    "outputs-do-not-spike": "outputs are membranes",
    "neurons-between-convolutions": "one convolution per layer, which reads maps as they are sent",
    "convolution-after-pool": "the next weights behind a pool are a convolution",
    "pool-stride-within-pool": "a pool's stride is at most its size",
    "three-rows-before-global-pool": "a pool over the whole map sees at least three rows",
}

#: True of every network here: name -> the reason.
HOLDS_BY_CONSTRUCTION: Mapping[str, str] = {
    "input-through-weights": "inputs reach populations through projections, which store weights",
    "output-from-neurons": "an output port lists populations and nothing else",
    "no-weight-chain": "linear operations in a row are multiplied out before they are stored",
    "one-time-step": "one dt holds for a whole run",
    "no-batch-norm": "NIR has no batch norm; from_torch folds it into weights",
    "linear-as-convolution": "a matrix is stored as a kernel over the whole map, or refused",
    "average-pool-as-sum-pool": "averages are summed, their divisor goes into the weights",
}

GRAPH_CHECKS: tuple[str, ...] = (*CHECKED, *HOLDS_BY_CONSTRUCTION)
