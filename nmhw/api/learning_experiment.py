"""LearningExperiment: what ``nmhw.learn`` returns; reports, files, plots, trained networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.training import TrainedSeed
from nmhw.report.learn_summary import CountedTraining
from nmhw.values.dataset import LabeledData
from nmhw.values.learning import RuleSpec
from nmhw.values.learning_settings import LearningSettings
from nmhw.values.network import Network

if TYPE_CHECKING:
    from nmhw.sim.learning.layer import LearningNetwork

RESULT_JSON = "result.json"
WEIGHTS = "weights.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LearningExperiment:
    """Trainings of one rule from several seeds, and of its baselines.

    Attributes
    ----------
    data : LabeledData
    settings : LearningSettings
    net : LearningNetwork
    spec : RuleSpec
    trained : tuple of TrainedSeed
        One per seed, with weights.
    training : CountedTraining
        Records and counts of all seeds.
    baselines : tuple of CountedTraining
        STBP on the same task, counted for machines that differ in what they skip.
    chip_name : str or None
    is_hypothetical : bool
        The chip does not run the rule itself.
    traffic : mapping or None
        Error packets on the chip's network.
    costs : tuple of str
    warnings : tuple of str
    accuracy_before : float or None
        Test accuracy of the weights a fine-tuning started from.
    backend : str
        Where the rule was trained.
    """

    data: LabeledData
    settings: LearningSettings
    net: LearningNetwork
    spec: RuleSpec
    trained: tuple[TrainedSeed, ...]
    training: CountedTraining
    baselines: tuple[CountedTraining, ...]
    chip_name: str | None
    is_hypothetical: bool
    traffic: dict[str, Any] | None
    costs: tuple[str, ...]
    scope: str
    warnings: tuple[str, ...] = ()
    accuracy_before: float | None = None
    backend: str = "numba"

    @property
    def accuracy(self) -> float:
        """Mean test accuracy after the last epoch."""
        return float(np.mean([t.test_accuracy for t in self.trained]))

    def to_json(self) -> dict[str, Any]:
        """Return every number of the experiment as a JSON object."""
        from nmhw import __version__
        from nmhw.report import learn_summary as parts

        baselines = {b.name: b for b in self.baselines}
        epochs = parts.summarize_epochs(self.training, self.costs)
        trainings = [
            parts.summarize_training(t, self.costs) for t in (self.training, *self.baselines)
        ]
        ratios = parts.summarize_ratios(self.training, baselines, self.costs) if baselines else {}
        hypothetical = [t["name"] for t in trainings if t["is_hypothetical"]]
        headline = ratios.get(self.scope, {"op_ratio": {}, "energy_ratio": {}})
        counts = [int(self.data.rows(p).size) for p in ("train", "validation", "test")]
        warnings = [*self.warnings, *parts.silent_warnings(epochs)]
        return {
            "nmhw_version": __version__,
            "rule": self.spec.name,
            "rule_title": self.spec.title,
            "rule_source": self.spec.source,
            "is_reconstruction": self.spec.is_reconstruction,
            "chip": self.chip_name,
            "is_hypothetical": self.is_hypothetical,
            "backend": self.backend,
            "hypothetical": hypothetical,
            "data": {
                "name": self.data.name,
                "title": self.data.title,
                "source": self.data.source,
                "is_events": self.data.images is None,
                "n_train": counts[0],
                "n_validation": counts[1],
                "n_test": counts[2],
            },
            "settings": self.settings.to_json(),
            "accuracy": self.accuracy,
            "starts_trained": self.accuracy_before is not None,
            "accuracy_before": self.accuracy_before,
            "accuracy_interval": trainings[0]["accuracy"],
            "epochs": epochs,
            "scope": self.scope,
            "op_ratio": headline["op_ratio"],
            "energy_ratio": headline["energy_ratio"],
            "ratios": ratios,
            "baselines": list(baselines),
            "trainings": trainings,
            "traffic": self.traffic,
            "costs": list(self.costs),
            "cost_sets": parts.describe_costs(self.costs),
            "warnings": warnings,
        }

    def report(self, *, color: bool = False) -> str:
        """Return the report as text of at most 100 columns."""
        from nmhw.report.learn_text import render_learning

        return render_learning(self.to_json(), color=color)

    def network(self, seed: int | None = None) -> Network:
        """Return a trained network (of the first seed unless given), for membrane rules.

        Raises
        ------
        UnsupportedError
            For neurons that NIR does not have.
        """
        from nmhw.api.learned_network import trained_network
        from nmhw.api.learning_rules import gradient_rule

        chosen = next(t for t in self.trained if seed is None or t.seed == seed)
        return trained_network(self.net, chosen.weights, gradient_rule(self.settings))

    def save(self, folder: str | Path) -> Path:
        """Write ``result.json`` and ``weights.npz`` (and ``trained.nir`` for LIF networks).

        Each file is replaced only by a complete one.
        """
        from nmhw.api.learning_rules import writes_nir
        from nmhw.io.atomic import replacing, write_text

        target = Path(folder)
        write_text(target / RESULT_JSON, json.dumps(self.to_json(), indent=1) + "\n")
        arrays = {
            f"seed{t.seed}/{layer.name}": weight
            for t in self.trained
            for layer, weight in zip(self.net.layers, t.weights, strict=True)
        }
        with replacing(target / WEIGHTS) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        if writes_nir(self.settings):
            from nmhw.io.nir_write import write_nir

            write_nir(self.network(), target / "trained.nir")
        return target

    def plot(self, folder: str | Path) -> list[Path]:
        """Write the learning curve, accuracy against energy, and operations by kind as PNG."""
        from nmhw.report.learn_plots import plot_learning

        return plot_learning(self.to_json(), folder)


def counted(
    name: str,
    trained: Sequence[TrainedSeed],
    bit_hops: float = 0.0,
    notes: tuple[str, ...] = (),
    is_hypothetical: bool = False,
) -> CountedTraining:
    """Return the records of several seeds as one counted training."""
    seeds = tuple(t.seed for t in trained)
    records = tuple(t.records for t in trained)
    return CountedTraining(name, seeds, records, bit_hops, notes, is_hypothetical)
