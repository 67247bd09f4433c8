"""Make lava processes of a network that learns and connect them, forward and backward."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from nmhw_lava.learn_schedule import schedule


class LearningParts:
    """The processes of one training.

    Attributes
    ----------
    source : process
    connections, populations : lists of processes, one of each per layer
    files : names of the files that they write behind the last sample
    n_rows : int
        Time steps of Lava.
    """

    def __init__(self, question: dict[str, Any], arrays: dict[str, Any], folder: Path) -> None:
        self.question, self.arrays, self.folder = question, arrays, folder
        tables = {
            key.removeprefix("arithmetic/"): value
            for key, value in arrays.items()
            if key.startswith("arithmetic/")
        }
        self.a = SimpleNamespace(**question["arithmetic"], **tables)
        self.rows = schedule(question, int(arrays["moment"].max(initial=0)) + 1)
        self.n_rows = self.rows["period"] * question["n_samples"] + 1
        self.top = len(question["layers"]) - 1
        self.files: list[str] = []
        self.source = self._source()
        self.connections = [self._connection(k) for k in range(self.top + 1)]
        self.populations = [self._population(k) for k in range(self.top + 1)]
        self._connect()

    def _source(self) -> Any:
        from nmhw_lava.processes.source import EventSource

        a = self.arrays
        sample = np.repeat(np.arange(self.question["n_samples"]), np.diff(a["pointers"]))
        row = np.repeat(sample * self.rows["period"] + a["moment"], a["value"])
        order = np.argsort(row, kind="stable")
        pointers = np.searchsorted(row[order], np.arange(self.n_rows + 1))
        index = np.repeat(a["index"], a["value"])[order]
        return EventSource(
            n=a["codes/0"].shape[0],
            pointers=pointers,
            index=index,
            name="input",
            first=0,
            total=self.n_rows,
        )

    def _settings(self, part: str, k: int) -> dict[str, Any]:
        q = self.question
        name = f"{part}-{k}.npz"
        self.files.append(name)
        times = self.rows["connections" if part == "connection" else "populations"][k]
        shared = ("n_samples", "n_steps", "operations", "mask", "law", "learns", "keeps_history")
        return {
            **{key: q[key] for key in shared},
            **times,
            "period": self.rows["period"],
            "path": str(self.folder / name),
            "trains": q["learns"] and k >= q["lowest"],
            "carries": q["learns"] and k > q["lowest"],
        }

    def _connection(self, k: int) -> Any:
        from nmhw_lava.processes.mpd_ed import MpdConnection
        from nmhw_lava.processes.std_ed import StdConnection

        kind = MpdConnection if self.question["rule"] == "mpd-ed" else StdConnection
        entry, codes = self.question["layers"][k], self.arrays[f"codes/{k}"]
        settings = self._settings("connection", k) | self.question["store"]
        settings |= {
            "shape": codes.shape,
            "register": entry["register"],
            "is_head": k == self.top and self.question["head"] == "integrator",
            "has_marks": self.question["mask"] == "band",
        }
        return kind(
            codes=codes.astype(np.int64), settings=settings, arithmetic=self.a, name=entry["name"]
        )

    def _population(self, k: int) -> Any:
        q, n = self.question, self.arrays[f"codes/{k}"].shape[1]
        is_integrator = q["head"] == "integrator"
        is_top = k == self.top and not is_integrator
        settings = self._settings("population", k)
        named = {"settings": settings, "arithmetic": self.a, "name": f"targets of {k}"}
        has_labels = q["learns"] and k == self.top
        settings |= {
            "n": n,
            "labels": self.arrays["labels"] if has_labels else np.zeros(0, np.int64),
            "is_top": is_top,
            "stands": is_top or (k == self.top - 1 and is_integrator),
        }
        if k == self.top and is_integrator:
            return self._head(n, settings, named)
        if q["rule"] == "std-ed":
            from nmhw_lava.processes.std_ed import StdPopulation

            return StdPopulation(n=n, **named)
        from nmhw_lava.processes.mpd_ed import MpdPopulation

        zeros = np.zeros(n, np.int64)
        names = ("u_keep", "u_bias", "v_bias", "v_reset", "v0")
        cell = dict.fromkeys(names, zeros) | {"v_keep": zeros + self.a.keep}
        settings |= {
            "ramp": self.arrays["ramp"],
            "cell": {"spec": q["cell"], "arrays": cell},
        }
        return MpdPopulation(theta=self.arrays[f"theta/{k}"], **named)

    def _head(self, n: int, settings: dict[str, Any], named: dict[str, Any]) -> Any:
        from nmhw_lava.processes.learning_head import IntegratorHead

        worth = np.ones(self.rows["n_head"], np.int64)
        is_times = self.question["rule"] == "std-ed"
        if is_times:
            worth = np.maximum(self.a.reads_at - np.arange(worth.size), 0)
        settings |= {
            "worth": worth,
            "n_rows": 3 if is_times else 2,
            "reads_at": self.a.reads_at,
            "n_updates": 0 if is_times else worth.size * n,
        }
        return IntegratorHead(n=n, **named)

    def _connect(self) -> None:
        before: Any = self.source
        for k, (connection, population) in enumerate(
            zip(self.connections, self.populations, strict=True)
        ):
            before.s_out.connect(connection.s_in)
            connection.a_out.connect(population.a_in)
            population.e_out.connect(connection.e_in)
            if k:
                connection.e_out.connect(before.e_in)
                if self.question["mask"] == "band":
                    before.mark_out.connect(connection.mark_in)
            before = population
