"""LearningRule: what a local rule gives, and what it sees of its layer in one step.

A rule is a ``RuleSpec`` and methods named after its triggers, written in plain NumPy. They are the
specification; ``compiled`` may hold a Numba function per trigger, which must agree with them
(``check_rule``). A rule never counts: the engine derives every count from the blocks of synapses
that the rule returns and from the words of its state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmhw.values.learning import RuleSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Order in which a step calls the triggers. ``on_step`` comes first: traces are updated there.
TRIGGER_ORDER = ("on_step", "on_pre", "on_post", "on_error", "on_epoch", "on_sample_end")


class Activity(NamedTuple):
    """One step of one layer, after its neurons were updated. Arrays are not to be changed.

    Attributes
    ----------
    pre : (n_in,) float64
        Spikes that arrive (0, 1), or graded values.
    post : (n_out,) float64
        Spikes (0, 1) or graded outputs of this step.
    v : (n_out,) float64
        Membrane before the reset.
    theta : (n_out,) float64
        Threshold.
    psi : (n_out,) float64
        Surrogate derivative of a spike; ones for neurons that do not spike. Zeros unless the spec
        says ``needs_surrogate``.
    error : (n_out,) float64
        Third factor: an error (output - target), a reward or a modulator; 0 where there is none.
    weights : (n_in, n_out) float64
        As stored.
    noise : (spec.random_words,) float64
        Uniform numbers in [0, 1), drawn for this step.
    rate : float
        Learning rate of the layer.
    scale : float
        Weight of one code (1.0 for float weights).
    step, n_steps : int
        This step, from 0, and the steps of the sample.
    """

    pre: Floats
    post: Floats
    v: Floats
    theta: Floats
    psi: Floats
    error: Floats
    weights: Floats
    noise: Floats
    rate: float
    scale: float
    step: int
    n_steps: int


class Update(NamedTuple):
    """Changes of a block of weights: ``weights[rows][:, cols] += dw``.

    Attributes
    ----------
    rows : int64
        Sources, each at most once.
    cols : int64
        Targets, each at most once.
    dw : (rows.size, cols.size) float64
        Every synapse of the block is read, computed and counted, zeros included.
    """

    rows: Ints
    cols: Ints
    dw: Floats


class LearningRule:
    """Base of local rules: traces in ``initial_state``, updates in ``on_<trigger>``.

    Subclasses set ``spec`` and define a method for every trigger in ``spec.triggers``, each
    ``(a: Activity, s: state) -> Update | None``. ``on_step`` runs first in every step and may
    return None: traces are raised and decayed there. Numeric fields of a dataclass are what
    compiled functions get as their first argument, a tuple of float64 in field order:
    ``compiled[trigger](parameters, a, s) -> (rows, cols, dw)``.
    """

    spec: RuleSpec

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba function per trigger; a class may set a plain dict instead."""
        return {}

    @property
    def parameters(self) -> tuple[float, ...]:
        """Numeric dataclass fields, as compiled functions get them."""
        if not is_dataclass(self):
            return ()
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(float(v) for v in values if isinstance(v, int | float))

    def initial_state(self, n_in: int, n_out: int) -> tuple[Floats, ...]:
        """Return the traces at the start of a sample, a (named) tuple of float64 arrays."""
        return ()

    def handler(self, trigger: str, use_compiled: bool) -> Callable[..., Any] | None:
        """Return what to call as ``f(a, s)`` for a trigger, or None."""
        function = self.compiled.get(trigger) if use_compiled else None
        if function is None:
            return getattr(self, trigger, None)
        parameters = self.parameters
        return lambda a, s: function(parameters, a, s)


def every(n: int) -> Ints:
    """Return all indices of n neurons."""
    return np.arange(n, dtype=np.int64)


def nonzero(x: Floats) -> Ints:
    """Return the indices where x is not zero."""
    return np.flatnonzero(x).astype(np.int64)


def outer(rows: Ints, cols: Ints, left: Floats, right: Floats) -> Update:
    """Return the block left_i * right_j for given rows and columns of full-length factors."""
    return Update(rows, cols, left[rows][:, None] * right[cols][None, :])
