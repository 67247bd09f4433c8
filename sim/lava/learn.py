"""On-chip learning as Lava processes: the engine of ``nmhw.sim.learning``, its passes run by Lava.

Settings, weights, thresholds, state and outcome are those of ``Engine``; every pass over the
samples is one job of the child interpreter. Weights, counts and scores are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import LavaError, UnsupportedError, UsageError
from nmhw.sim.lava.child import ask_lava
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.integer_steps import population_of
from nmhw.sim.learning.kernels import layout as at
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.packed import PackedEvents
from nmhw.sim.learning.weight_store import rewrite_counts
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS

Arrays = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]

RULES = ("std-ed", "mpd-ed")


def refuse_learning(rule: str, mode: str, batch: int) -> None:
    """Refuse rules and modes that have no Lava processes.

    Raises
    ------
    UsageError
    """
    got, limit, hint = None, "", "--backend numba"
    if rule not in RULES:
        got, limit = f"rule {rule}", ", ".join(RULES)
    elif mode != "integer":
        got, limit = f"{mode} mode", "integer"
    elif batch != 1:
        got, limit = f"batch {batch}", "one sample at a time"
        hint = "--batch 1, or --backend numba"
    if got is not None:
        raise UsageError(
            "the Lava backend has no learning processes for this", got=got, limit=limit, hint=hint,
            rule="lava.learning",
        )  # fmt: skip


def refuse_layers(net: LearningNetwork) -> None:
    """Refuse networks whose layers have no Lava processes.

    Raises
    ------
    UsageError
        For convolutions, pools and recurrent layers.
    """
    for layer in net.layers:
        kinds = (layer.kind == "conv", layer.pool is not None, layer.is_recurrent)
        found = [n for n, k in zip(("convolution", "pool", "recurrent"), kinds, strict=True) if k]
        if found:
            raise UsageError(
                "the Lava backend has learning processes for dense layers alone",
                got=", ".join(found), where=layer.name, hint="--backend numba",
                rule="lava.learning",
            )  # fmt: skip


@dataclass(slots=True, eq=False)
class LavaEngine(Engine):
    """Trains a network in Lava; parameters as those of ``Engine``, and

    Parameters
    ----------
    keeps_history : bool
        Keep the weights behind every sample of the last pass.
    on_progress : callable(rows done, rows), optional

    Attributes
    ----------
    history : list of (n_samples, n_in, n_out) int32
        Codes per layer.
    wall_s : dict
        Of the last pass: "import", "start" (compile, fork and the first step), "run", "stop".
    n_rows : int
        Time steps of Lava in the last pass.

    Raises
    ------
    UsageError
        For what has no Lava processes; see ``refuse_learning`` and ``refuse_layers``.
    """

    keeps_history: bool = False
    on_progress: Callable[[int, int], None] | None = None
    history: list[NDArray[np.int32]] = field(init=False, default_factory=list)
    wall_s: dict[str, float] = field(init=False, default_factory=dict)
    n_rows: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        refuse_learning(self.rule.name, self.mode, self.batch)
        refuse_layers(self.net)
        if self.accountings:
            raise UsageError(
                "other machines are counted on the Numba engine's runs", got=self.accountings,
                hint="--backend numba", rule="lava.learning",
            )  # fmt: skip
        if len(self.frozen) == len(self.net.layers):
            raise UsageError(
                "no layer is left to learn", got=self.frozen, hint="freeze fewer layers",
                rule="lava.learning",
            )  # fmt: skip
        Engine.__post_init__(self)

    def _run(
        self, inputs: PackedEvents, labels: Ints, order: Ints, keeps_log: bool = False
    ) -> at.Outcome:
        if keeps_log:
            raise UnsupportedError(
                "the Lava processes keep no log to read", hint="Engine.log_of", rule="lava.learning"
            )
        self._check_inputs(inputs, order)
        if not order.size:
            return self._outcome_of({}, {}, labels, order)
        question, arrays = self._job(inputs, labels, order)
        answer, found = ask_lava("learn", question, arrays, on_progress=self.on_progress)
        self.wall_s, self.n_rows = dict(answer["wall_s"]), int(answer["n_rows"])
        return self._outcome_of(answer, found, labels, order)

    def _job(
        self, inputs: PackedEvents, labels: Ints, order: Ints
    ) -> tuple[dict[str, Any], Arrays]:
        a = self.arithmetic()
        assert isinstance(a, at.IntegerArithmetic)
        tables = {k: v for k, v in a._asdict().items() if isinstance(v, np.ndarray)}
        numbers = {k: v for k, v in a._asdict().items() if k not in tables}
        f, store = self.weight_format, self.store
        question = {
            "rule": self.rule.name,
            "head": self.rule.head,
            "mask": self.rule.mask,
            "law": self.rule.threshold,
            "n_steps": self.rule.n_steps,
            "learns": labels.size > 0,
            "lowest": len(self.frozen),
            "n_samples": int(order.size),
            "keeps_history": self.keeps_history and labels.size > 0,
            "operations": list(OPERATIONS),
            "arithmetic": numbers,
            "cell": asdict(replace(population_of("", 1, a.keep, self.form).spec, reset="none")),
            "store": {
                "max_code": store.max_code,
                "is_stochastic": f.rounding == "stochastic",
                "writes_always": f.policy == "always",
                "is_stream": f.accumulate == "stream",
            },
            "layers": [
                {"name": layer.name, "register": int(store.registers[k])}
                for k, layer in enumerate(self.net.layers)
            ],
        }
        arrays = {f"arithmetic/{name}": table for name, table in tables.items()}
        arrays |= {f"codes/{k}": store.codes(k) for k in range(len(self.net.layers))}
        arrays |= {f"theta/{q}": theta for q, theta in enumerate(self._split_theta())}
        arrays |= {"ramp": self._ramp_of_steps(), "labels": labels[order] if labels.size else order}
        return question, arrays | _in_order(inputs, order)

    def _ramp_of_steps(self) -> Ints:
        return np.zeros(0, np.int64) if self.rule.uses_times else self.ramp()

    def _split_theta(self) -> list[Ints]:
        sizes = [self.net.layers[k].n_out for k in self.net.feedforward]
        if self.rule.head == "integrator":
            sizes = sizes[:-1]
        if not self._theta.size:
            return []
        return [np.asarray(t, np.int64) for t in np.split(self._theta, np.cumsum(sizes)[:-1])]

    def _outcome_of(
        self, answer: dict[str, Any], found: Arrays, labels: Ints, order: Ints
    ) -> at.Outcome:
        """Take weights, registers and thresholds over; return the rest as the kernels leave it."""
        n_layers, n_classes = len(self.net.layers), self.net.n_classes
        counts = np.array(answer.get("counts", np.zeros((n_layers, len(OPERATIONS)))), np.int64)
        totals = np.zeros(4, np.int64)
        top = n_layers - 1
        scores = found.get(f"population/{top}/scores", np.zeros((0, n_classes), np.int64))
        if labels.size and answer:
            self._take_weights(found, counts)
            totals[0] = int((scores.argmax(axis=1) == labels[order]).sum())
            totals[1] = int(found[f"population/{top}/n_learned"])
            if self.weight_format.accumulate == "sample":
                self._moments[2][0] += totals[1]  # updates so far
        totals[2] = answer.get("n_inputs", 0)
        sizes = [layer.n_out for layer in self.net.layers]
        keys = [f"population/{k}/" for k in range(n_layers)]
        own = [
            [found.get(key + name, np.zeros(n)) for key, n in zip(keys, sizes, strict=True)]
            for name in ("fired", "error_packets")
        ]
        return at.Outcome(
            counts,
            np.zeros(n_layers, np.int64),
            scores,
            totals,
            np.concatenate(own[0]).astype(np.uint8),
            np.concatenate(own[1]).astype(np.int64),
            np.zeros((0, 5), np.int64),
        )

    def _take_weights(self, found: Arrays, counts: Ints) -> None:
        store, columns = (
            self.store,
            [OPERATION_INDEX[name] for name in ("weight_read", "weight_write", "random_word")],
        )
        tally = np.stack([found[f"connection/{k}/tally"] for k in range(len(self.net.layers))])
        expected = [rewrite_counts(int(n), int(m), store.format) for n, m in tally]
        if (np.stack(expected)[:, columns] != counts[:, columns]).any():
            raise LavaError(
                "a Lava process counted other weight traffic than its rewrites make",
                got=counts[:, columns].tolist(), limit=tally.tolist(),
                hint="report this with the settings: it is a bug", rule="lava.counts",
            )  # fmt: skip
        store.flat_codes[:] = np.concatenate(
            [found[f"connection/{k}/codes"].ravel() for k in range(len(self.net.layers))]
        )
        store.flat_values[:] = store.flat_codes * store.scale
        for k in range(len(self.net.layers)):
            store.registers[k] = found[f"connection/{k}/register"][0]
        store.tally += tally
        counts[:, columns] = 0
        keys = [f"population/{k}/theta" for k in range(len(self.net.layers))]
        moved = [found[key] for key in keys if key in found]
        if moved:
            self._theta[:] = np.concatenate(moved)
        self.history = [found[f"connection/{k}/history"] for k in range(len(self.net.layers))]


def _in_order(inputs: PackedEvents, order: Ints) -> Arrays:
    """Return the events of samples in another order."""
    sizes = np.diff(inputs.pointers)[order]
    ends = np.cumsum(sizes)
    first = np.repeat(inputs.pointers[order] - (ends - sizes), sizes)
    at_event = first + np.arange(int(sizes.sum()))
    return {
        "pointers": np.concatenate([[0], ends]).astype(np.int64),
        "index": inputs.index[at_event].astype(np.int64),
        "moment": inputs.moment[at_event].astype(np.int64),
        "value": inputs.value[at_event].astype(np.int64),
    }
