"""A learning rule of your own: Oja's rule with spike traces, in NumPy and in Numba.

    nmhw learn --check-rule --rule examples/own_rule.py:OjaRule

Each target pulls its weights towards its sources' traces and shrinks them by what it already
explains: ``dw_ij = rate y_j (x_i - y_j w_ij)`` wherever a target spikes. Weights stay bounded and
favor the sources that are active together and often. (Of a linear neuron they converge to the first
principal component of its input: Oja 1982, doi:10.1007/BF00275687.)
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from nmhw.sim.learning.local import LearningRule, Update
from nmhw.values.learning import RuleSpec


class Traces(NamedTuple):
    """What the rule remembers: one trace per source and one per target."""

    x: np.ndarray
    y: np.ndarray


@njit
def on_post_compiled(p, a, s):
    """Do what ``OjaRule.on_post`` does, in Numba. p: the rule's numbers in field order."""
    rows, cols = np.arange(a.pre.size), np.flatnonzero(a.post)
    dw = np.empty((rows.size, cols.size))
    for i in range(rows.size):
        for k in range(cols.size):
            y = s.y[cols[k]]
            dw[i, k] = a.rate * y * (s.x[i] - y * a.weights[i, cols[k]])
    return rows, cols, dw


@dataclass(frozen=True)
class OjaRule(LearningRule):
    """Oja's rule; ``decay`` is that of both traces."""

    decay: float = 0.8

    spec = RuleSpec(
        "oja",
        "Oja's rule with spike traces",
        "post: dw_ij = rate y_j (x_i - y_j w_ij)",
        pre_traces=1,
        post_traces=1,
        triggers=("on_post",),
        products=2,
        source="Oja 1982, doi:10.1007/BF00275687",
    )
    compiled = {"on_post": on_post_compiled}  # noqa: RUF012

    def initial_state(self, n_in, n_out):
        """Return the traces at the start of a sample."""
        return Traces(np.zeros(n_in), np.zeros(n_out))

    def on_step(self, a, s):
        """Decay the traces in place, then add this step's spikes."""
        s.x[:] = self.decay * s.x + (1 - self.decay) * a.pre
        s.y[:] = self.decay * s.y + (1 - self.decay) * a.post

    def on_post(self, a, s):
        """Change the weights of the targets that spike: all sources by those targets."""
        rows, cols = np.arange(a.pre.size), np.flatnonzero(a.post)
        y = s.y[cols]
        return Update(rows, cols, a.rate * y * (s.x[:, None] - y * a.weights[:, cols]))


if __name__ == "__main__":
    from nmhw.sim.learning.local import check_rule

    for row in check_rule(OjaRule()):
        print("ok  " if row.passed else "FAIL", row.name, "-", row.detail)
