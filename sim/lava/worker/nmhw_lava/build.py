"""Make lava processes of a network's description and connect them.

A description is plain JSON with arrays beside it, keys ``<part>/<number>/<name>``:

- ``inputs``: name, n; arrays ``pointers`` (n_rows + 1,) and ``index``.
- ``populations``: name, n, process ("CountedLif" or "CellPopulation"), spec, probes.
- ``projections``: name, source, target, process ("CountedDense", "CountedDelayDense",
  "CountedSparse" or "Synapses"), n_source, n_target, shift, delay, is_graded.
- ``n_rows``: steps of all samples; ``period``: steps after which states start anew; ``steps``: of
  one sample.

The runs of lava cover what is connected: parts that are not get a bridge without synapses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

Processes = dict[str, Any]


class Parts:
    """The processes of one network.

    Attributes
    ----------
    inputs, populations, projections : name -> process
    """

    def __init__(
        self,
        network: dict[str, Any],
        arrays: dict[str, Any],
        folder: Path,
        *,
        first: int = 0,
        total: int = 0,
    ) -> None:
        self.network, self.arrays, self.folder = network, arrays, folder
        self.inputs: Processes = {}
        self.populations: Processes = {}
        self.projections: Processes = {}
        for k, entry in enumerate(network["inputs"]):
            shown = {"first": first, "total": total if k == 0 else 0}
            self.inputs[entry["name"]] = self._source(k, entry, shown)
        for k, entry in enumerate(network["populations"]):
            self.populations[entry["name"]] = self._population(k, entry)
        for k, entry in enumerate(network["projections"]):
            process = self._projection(k, entry)
            self.projections[entry["name"]] = process
            self._connect(entry["source"], process, entry["target"])
        self._bridge()

    def _arrays(self, part: str, k: int) -> dict[str, Any]:
        start = f"{part}/{k}/"
        return {key[len(start) :]: a for key, a in self.arrays.items() if key.startswith(start)}

    def _source(self, k: int, entry: dict[str, Any], shown: dict[str, int]) -> Any:
        from nmhw_lava.processes.source import EventSource

        return EventSource(n=entry["n"], name=entry["name"], **self._arrays("inputs", k), **shown)

    def _population(self, k: int, entry: dict[str, Any]) -> Any:
        from nmhw_lava.processes.cell import CellPopulation
        from nmhw_lava.processes.lif import CountedLif

        record = {
            "path": str(self.folder / f"population-{k}.npz"),
            "probes": entry["probes"],
            **{key: self.network[key] for key in ("n_rows", "period", "steps")},
        }
        kind = {"CountedLif": CountedLif, "CellPopulation": CellPopulation}[entry["process"]]
        return kind(
            n=entry["n"],
            name=entry["name"],
            spec=entry["spec"],
            arrays=self._arrays("populations", k),
            record=record,
        )

    def _projection(self, k: int, entry: dict[str, Any]) -> Any:
        arrays = self._arrays("projections", k)
        if entry["process"] == "Synapses":
            from nmhw_lava.processes.synapses import Synapses

            settings = {key: entry[key] for key in ("delay", "shift")}
            settings["period"] = self.network["period"]
            sizes = {key: entry[key] for key in ("n_source", "n_target", "name")}
            return Synapses(arrays=arrays, settings=settings, **sizes)
        return self._stock(entry, arrays)

    def _stock(self, entry: dict[str, Any], arrays: dict[str, Any]) -> Any:
        from lava.utils.weightutils import SignMode
        from nmhw_lava.processes import stock

        weights = arrays["weights"]
        if entry["process"] == "CountedSparse":
            from scipy.sparse import csr_matrix

            shape = (entry["n_source"], entry["n_target"])
            weights = csr_matrix((weights, arrays["indices"], arrays["indptr"]), shape).T.tocsr()
        more = {}
        if entry["process"] == "CountedDelayDense":
            more["delays"] = np.full(weights.shape, entry["delay"] - 1)
        tap = {"delay": entry["delay"], "period": self.network["period"]}
        return getattr(stock, entry["process"])(
            weights=weights,
            name=entry["name"],
            weight_exp=entry["shift"],
            num_weight_bits=8,
            sign_mode=SignMode[entry["sign_mode"]],
            num_message_bits=24 if entry["is_graded"] else 0,
            tap={"fan_out": arrays["fan_out"], **tap},
            **more,
        )

    def _connect(self, source: str, process: Any, target: str) -> None:
        ends = {**self.inputs, **self.populations}
        ends[source].s_out.connect(process.s_in)
        process.a_out.connect(self.populations[target].a_in)

    def _bridge(self) -> None:
        """Join the parts that no projection joins."""
        group = {name: name for name in (*self.inputs, *self.populations)}
        sizes = {e["name"]: e["n"] for e in self.network["inputs"] + self.network["populations"]}

        def root(name: str) -> str:
            return name if group[name] == name else root(group[name])

        for entry in self.network["projections"]:
            group[root(entry["source"])] = root(entry["target"])
        anchor = next(iter(self.populations))
        for name in [*self.inputs, *self.populations]:
            if root(name) != root(anchor):
                group[root(name)] = root(anchor)
                self._join(name, anchor, sizes)

    def _join(self, source: str, target: str, sizes: dict[str, int]) -> None:
        from nmhw_lava.processes.synapses import Synapses

        none = np.zeros(0, np.int64)
        indptr = np.zeros(sizes[source] + 1, np.int64)
        settings = {"delay": 1, "shift": 0, "period": self.network["period"]}
        bridge = Synapses(
            n_source=sizes[source],
            n_target=sizes[target],
            arrays={"weights": none, "indices": none, "indptr": indptr},
            settings=settings,
            name=f"bridge {source}",
        )
        self._connect(source, bridge, target)
