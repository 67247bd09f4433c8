"""Checks of what a rule returns: blocks inside the layer, finite, and allowed by their trigger."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.errors import InputError
from nmhw.sim.learning.local.rule import Activity, LearningRule


def check_state(rule: LearningRule, state: Any, n_in: int, n_out: int) -> None:
    """Check that the rule's state has the words that its spec declares.

    Raises
    ------
    InputError
        For a state that is no tuple of float64 arrays or has another number of words.
    """
    where, spec = f"{rule.spec.name}.initial_state", rule.spec
    is_arrays = isinstance(state, tuple) and all(
        isinstance(t, np.ndarray) and t.dtype == np.float64 for t in state
    )
    if not is_arrays:
        raise InputError("a rule's state is a tuple of float64 arrays", got=type(state).__name__,
                         where=where, rule="learn.own-rule")  # fmt: skip
    words = sum(t.size for t in state)
    declared = spec.pre_traces * n_in + spec.post_traces * n_out + spec.synapse_words * n_in * n_out
    if words != declared:
        raise InputError(
            "the state has other words than the spec's pre_traces, post_traces, synapse_words",
            got=f"{words} words", limit=f"{declared} for {n_in} sources and {n_out} targets",
            where=where, rule="learn.own-rule",
        )  # fmt: skip


def check_update(rule: LearningRule, trigger: str, update: Any, a: Activity) -> bool:
    """Check one returned block; return whether it holds any synapse.

    Raises
    ------
    InputError
        For wrong types or shapes, indices out of range or twice, values that are not finite, or
        synapses that the trigger does not reach (``on_pre``: of sources that are silent;
        ``on_post``: of targets that are silent; ``on_error``: of targets without an error).
    """
    where = f"{rule.spec.name}.{trigger}"
    if not isinstance(update, tuple) or len(update) != 3:
        raise _fault("an update is (rows, cols, dw)", type(update).__name__, where)
    rows, cols, dw = (np.asarray(part) for part in update)
    if rows.size == 0 or cols.size == 0:
        return False
    for name, index, size in (("rows", rows, a.pre.size), ("cols", cols, a.post.size)):
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise _fault(f"{name} are indices", f"{index.dtype} of shape {index.shape}", where)
        if index.min() < 0 or index.max() >= size:
            raise _fault(f"{name} out of range", f"{index.min()} to {index.max()}", where, size - 1)
        if index.size > 1 and not (np.diff(index) > 0).all():
            raise _fault(f"{name} must ascend, each index once", index.tolist()[:8], where)
    if dw.shape != (rows.size, cols.size):
        raise _fault("dw has the wrong shape", dw.shape, where, (rows.size, cols.size))
    if not np.isfinite(dw).all():
        raise _fault("dw is not finite", dw[~np.isfinite(dw)][0], where)
    reach = {"on_pre": (rows, a.pre), "on_post": (cols, a.post), "on_error": (cols, a.error)}
    if trigger in reach:
        index, active = reach[trigger]
        if (active[index] == 0).any():
            raise _fault("the update touches silent neurons", index[active[index] == 0][0], where)
    return True


def _fault(what: str, got: object, where: str, limit: object = None) -> InputError:
    return InputError(what, got=got, limit=limit, where=where, rule="learn.own-rule")
