"""Reads what ``peer_graph.py`` wrote; needs NumPy alone."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Edges:
    """One projection as CSR, rows = sources; source -1 is the input."""

    source: int
    target: int
    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple

    def coordinates(self):
        """Return (row, column) of every synapse."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr)), self.indices

    def csr(self):
        """Return a scipy matrix."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.data, self.indices, self.indptr), shape=self.shape)


class Graph:
    """Sizes, thresholds, edges, the input raster (samples, steps, elements)."""

    def __init__(self, path):
        with np.load(path) as stored:
            self.arrays = {name: stored[name] for name in stored.files}
        a = self.arrays
        self.family = str(a["family"])
        self.sizes = a["sizes"].tolist()
        self.theta = a["theta"].tolist()
        self.keep, self.is_soft = float(a["keep"]), bool(a["is_soft_reset"])
        self.n_steps, self.bias, self.raster = int(a["n_steps"]), a.get("bias"), a["raster"]
        self.edges = [
            Edges(
                *a[f"ends{k}"].tolist(), a[f"data{k}"], a[f"indices{k}"], a[f"indptr{k}"],
                tuple(a[f"shape{k}"].tolist()),
            )
            for k in range(int(a["n_projections"]))
        ]  # fmt: skip

    @property
    def is_recurrent(self):
        """Whether it is the recurrent workload, driven by a bias."""
        return self.bias is not None

    @property
    def depth(self):
        """Steps of delay that a simulator with one step per hop needs more."""
        return 0 if self.is_recurrent else len(self.sizes)
