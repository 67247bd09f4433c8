"""Train one network from one seed: epochs, checkpoints, resume; deterministic, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.api.learning_inputs import content_digest, encode_steps_of, encode_times_of, is_redrawn
from nmhw.errors import InputError, ResultFileError
from nmhw.io.atomic import replacing
from nmhw.values.dataset import LabeledData, Part
from nmhw.values.learning import OPERATIONS, EpochRecord, OperationCounts
from nmhw.values.learning_settings import LearningSettings
from nmhw.values.rng import stream

if TYPE_CHECKING:
    from nmhw.sim.learning.gradient_rule import GradientRule
    from nmhw.sim.learning.layer import LearningNetwork

#: Called after every epoch with (epochs done, epochs).
EpochProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedSeed:
    """What one training left.

    Attributes
    ----------
    seed : int
    records : one EpochRecord per epoch
    weights : list of arrays, as the engine stores them (floats on the grid of the format)
    error_packets : (n_epochs) lists of (n_neurons,) arrays
        Error packets that each neuron was told, per population.
    """

    seed: int
    records: tuple[EpochRecord, ...]
    weights: list[NDArray[np.float64]]
    error_packets: tuple[list[NDArray[np.int64]], ...]

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test part after the last epoch."""
        return float(self.records[-1].test_accuracy or 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Epoch:
    """One epoch: its record, packets per neuron, and both on other machines."""

    record: EpochRecord
    packets: list[NDArray[np.int64]]
    others: Mapping[str, OperationCounts]
    other_packets: Mapping[str, list[NDArray[np.int64]]]


@dataclass(slots=True, eq=False)
class Trainer:
    """One training in progress."""

    data: LabeledData
    net: LearningNetwork
    rule: GradientRule
    settings: LearningSettings
    seed: int
    weights: list[NDArray[np.float64]] | None = None
    frozen: tuple[str, ...] = ()
    accountings: tuple[str, ...] = ()
    backend: str = "numba"

    def run(
        self,
        checkpoint: Path | None = None,
        resume: bool = False,
        progress: EpochProgress | None = None,
    ) -> tuple[TrainedSeed, dict[str, TrainedSeed]]:
        """Train all epochs; return the training, and the same one as other machines count it.

        Parameters
        ----------
        checkpoint : path, optional
            Written after every epoch.
        resume : bool
            Continue from the checkpoint where there is one; the outcome has the same bytes as that
            of a run without interruption.

        Raises
        ------
        ResultFileError
            For a checkpoint of other settings.
        """
        engine = self._engine()
        history: list[_Epoch] = []
        if resume and checkpoint is not None and checkpoint.exists():
            history = self._restore(engine, checkpoint)
        judged = {part: self._judged(part) for part in ("validation", "test")}
        inputs = None
        rows = self.data.rows("train")
        labels = self.data.labels[rows]
        for epoch in range(len(history), self.settings.epochs):
            if inputs is None or is_redrawn(self.data, self.settings, self.rule):
                inputs = self._packed(rows, self.seed, epoch)
            order = stream(self.seed, "learning.order", epoch).permutation(labels.size)
            engine.lr = self.settings.lr_of_epoch(epoch)
            outcome = self._learn(engine, inputs, labels, order)
            record = self._record(engine, epoch, outcome, labels.size, judged)
            others = {kind: _whole(outcome.other_packets[kind]) for kind in self.accountings}
            counts = dict(outcome.other_counts)
            history.append(_Epoch(record, _whole(outcome.error_packets), counts, others))
            if checkpoint is not None:
                self._save(engine, history, checkpoint)
            if progress is not None:
                progress(epoch + 1, self.settings.epochs)
        weights = [np.asarray(w, np.float64) for w in engine.weights()]
        return self._outcome(history, weights)

    def _own(self, action: Callable[[], Any]) -> Any:
        """Run what calls the rule; errors of a rule's own code are named as its author's."""
        if ":" not in self.settings.rule:
            return action()
        from nmhw.sim.learning.local.registry import run_own_code

        return run_own_code(action, self.settings.rule)

    def _learn(self, engine: Any, inputs: Any, labels: Any, order: Any) -> Any:
        return self._own(lambda: engine.train(inputs, labels, order))

    def _predict(self, engine: Any, inputs: Any) -> Any:
        return self._own(lambda: engine.predict(inputs))

    def _engine(self) -> Any:
        return self._own(self._new_engine)

    def _outcome(
        self, history: list[_Epoch], weights: list[NDArray[np.float64]]
    ) -> tuple[TrainedSeed, dict[str, TrainedSeed]]:
        packets = tuple(e.packets for e in history)
        own = TrainedSeed(self.seed, tuple(e.record for e in history), weights, packets)
        others: dict[str, TrainedSeed] = {}
        for kind in self.accountings:
            records = tuple(replace(e.record, counts=e.others[kind]) for e in history)
            theirs = tuple(e.other_packets[kind] for e in history)
            others[kind] = TrainedSeed(self.seed, records, weights, theirs)
        return own, others

    def _new_engine(self) -> Any:
        from nmhw.sim.learning.network import initial_weights

        chosen, weights = self.settings, self.weights
        if not hasattr(self.rule, "init_gain"):
            from nmhw.sim.learning.local.classifier import LocalClassifier, classifier_weights

            rule: Any = self.rule
            return LocalClassifier(
                self.net, weights or classifier_weights(self.net, self.seed), rule, chosen.weights,
                chosen.lr, self.seed, self.frozen, chosen.n_steps,
            )  # fmt: skip
        if weights is None:
            weights = initial_weights(self.net, self.rule, self.seed)
        if self.rule.name == "srm":
            from nmhw.sim.learning.batch_engine import BatchEngine

            return BatchEngine(
                self.net, weights, self.rule, chosen.lr, chosen.optimizer, chosen.batch
            )
        from nmhw.sim.learning.engine import Engine

        accountings: Any = self.accountings
        kind = Engine
        if self.backend == "lava":
            from nmhw.sim.lava.learn import LavaEngine as kind
        return kind(
            self.net, weights, self.rule, chosen.weights, chosen.mode, chosen.lr, self.seed,
            chosen.optimizer, chosen.batch, accountings, self.frozen,
        )  # fmt: skip

    def _packed(self, rows: NDArray[np.int64], seed: int | None, epoch: int) -> Any:
        from nmhw.sim.learning.packed import pack_events, pack_times

        if self.rule.uses_times:
            return pack_times(encode_times_of(self.data, rows, self.rule), self.rule)
        events = encode_steps_of(self.data, rows, self.settings, seed, epoch)
        return events if self.rule.name == "srm" else pack_events(events)

    def longest_log(self, n: int) -> int:
        """Return the most words that one of the first ``n`` training samples keeps.

        Of the initial weights, for the reverse walk: events, or every neuron-step of STBP.
        """
        rows = self.data.rows("train")[:n]
        inputs, labels = self._packed(rows, self.seed, 0), self.data.labels[rows]
        most = 0
        for sample in range(rows.size):
            counts = self._learn(self._engine(), inputs, labels, np.array([sample])).counts
            most = max(most, counts.total("log_word", "history_word"))
        return most

    def test_accuracy(self) -> float:
        """Return the test accuracy of the weights as they are."""
        packed = self._judged("test")
        if packed is None:
            raise InputError("no sample is for test", where=self.data.name, rule="learn.empty-part")
        _, predictions, _ = self._predict(self._engine(), packed[0])
        return float(np.mean(predictions == packed[1]))

    def _judged(self, part: Part | str) -> tuple[Any, NDArray[np.int64]] | None:
        rows = self.data.rows(part)  # type: ignore[arg-type]
        if not rows.size:
            return None
        return self._packed(rows, None, 0), self.data.labels[rows]

    def _record(
        self, engine: Any, epoch: int, outcome: Any, n_train: int, judged: Mapping[str, Any]
    ) -> EpochRecord:
        accuracies: dict[str, float | None] = {}
        for part, packed in judged.items():
            accuracies[part] = None
            if packed is not None:
                _, predictions, _ = self._predict(engine, packed[0])
                accuracies[part] = float(np.mean(predictions == packed[1]))
        populations = [self.net.names[k] for k in self.net.feedforward]
        return EpochRecord(
            epoch,
            outcome.n_correct / n_train,
            accuracies["validation"],
            accuracies["test"],
            outcome.counts,
            dict(zip(populations, (float(x) for x in outcome.silent_fraction), strict=False)),
            int(outcome.n_updated),
        )

    def _digest(self) -> str:
        initial = [] if self.weights is None else [float(np.sum(w)) for w in self.weights]
        split = [int((self.data.split == k).sum()) for k in range(3)]
        return self.settings.digest(
            self.seed,
            self.data.name,
            split,
            initial,
            self.frozen,
            self.accountings,
            content_digest(self.data, self.settings.rule),
        )

    def _save(self, engine: Any, history: list[_Epoch], checkpoint: Path) -> None:
        arrays = {f"state/{k}": np.asarray(v) for k, v in engine.state().items()}
        for epoch, kept in enumerate(history):
            for kind, layers in {"own": kept.packets, **kept.other_packets}.items():
                arrays |= {f"packets/{epoch}/{kind}/{k}": layer for k, layer in enumerate(layers)}
            arrays[f"counts/{epoch}"] = kept.record.counts.values
            arrays |= {f"others/{epoch}/{k}": c.values for k, c in kept.others.items()}
        meta = {
            "digest": self._digest(),
            "records": [_record_json(e.record) for e in history],
            "n_populations": len(history[0].packets),
        }
        arrays["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
        with replacing(checkpoint) as temporary, open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def _restore(self, engine: Any, checkpoint: Path) -> list[_Epoch]:
        from nmhw.io.event_file import load_npz

        arrays = load_npz(checkpoint)
        try:
            meta = json.loads(arrays["meta"].tobytes())
            is_mine = meta["digest"] == self._digest()
        except (KeyError, ValueError, TypeError) as error:
            raise ResultFileError("not a checkpoint", where=str(checkpoint)) from error
        if not is_mine:
            raise ResultFileError(
                "the checkpoint belongs to other settings", where=str(checkpoint),
                hint="the same options, or another directory", rule="learn.checkpoint",
            )  # fmt: skip
        try:
            history = [
                self._epoch_from(saved, arrays, meta["n_populations"]) for saved in meta["records"]
            ]
            prefix = "state/"
            state = {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
            engine.restore(state)
        except (KeyError, ValueError, TypeError) as error:
            raise ResultFileError("not a complete checkpoint", where=str(checkpoint)) from error
        return history

    def _epoch_from(
        self, saved: dict[str, Any], arrays: Mapping[str, NDArray[Any]], n_populations: int
    ) -> _Epoch:
        epoch = saved["epoch"]
        record = _record_from(saved, arrays[f"counts/{epoch}"])
        packets = {
            kind: [arrays[f"packets/{epoch}/{kind}/{k}"] for k in range(n_populations)]
            for kind in ("own", *self.accountings)
        }
        others: dict[str, OperationCounts] = {
            kind: replace(record.counts, values=arrays[f"others/{epoch}/{kind}"])
            for kind in self.accountings
        }
        return _Epoch(record, packets.pop("own"), others, packets)


def _whole(packets: Any) -> list[NDArray[np.int64]]:
    return [np.asarray(layer, np.int64) for layer in packets]


def _record_json(record: EpochRecord) -> dict[str, Any]:
    return {
        "epoch": record.epoch,
        "train_accuracy": record.train_accuracy,
        "validation_accuracy": record.validation_accuracy,
        "test_accuracy": record.test_accuracy,
        "silent_fraction": dict(record.silent_fraction),
        "updated_samples": record.updated_samples,
        "layers": list(record.counts.layers),
        "n_samples": record.counts.n_samples,
        "operations": list(OPERATIONS),
    }


def _record_from(saved: dict[str, Any], values: NDArray[Any]) -> EpochRecord:
    counts = OperationCounts(tuple(saved["layers"]), values.astype(np.int64), saved["n_samples"])
    return EpochRecord(
        saved["epoch"], saved["train_accuracy"], saved["validation_accuracy"],
        saved["test_accuracy"], counts, saved["silent_fraction"], saved["updated_samples"],
    )  # fmt: skip
