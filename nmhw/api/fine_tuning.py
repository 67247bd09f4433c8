"""Start from a trained network: fine-tune its last layers, or learn classes in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.learning import learn
from nmhw.api.learning_experiment import LearningExperiment
from nmhw.api.learning_rules import learning_rule
from nmhw.api.training import Trainer
from nmhw.errors import UnsupportedError, UsageError
from nmhw.io.learning_data import load_learning_data
from nmhw.values.dataset import LabeledData

if TYPE_CHECKING:
    from nmhw.sim.learning.layer import LearningNetwork

Start = tuple["LearningNetwork", list[Any]]


def read_for_learning(
    path: str | Path, rule: str, settings: Mapping[str, Any]
) -> tuple[Start, dict[str, Any]]:
    """Read a NIR file as a start for a membrane rule.

    Returns
    -------
    (net, weights), settings
        The settings carry the decay and the threshold of the file's neurons.

    Raises
    ------
    UnsupportedError
        For neurons that the rule does not train.
    """
    from nmhw.api.reading import load
    from nmhw.sim.learning.from_network import from_network

    if rule not in ("mpd-ed", "stbp"):
        raise UnsupportedError(
            "only the rules of leaky membranes start from a NIR network", got=rule,
            hint="--rule mpd-ed or stbp", rule="learn.nir-rule",
        )  # fmt: skip
    own = {"decay", "theta0"} & set(settings.get("rule_options", {}))
    if own:
        raise UsageError(
            "decay and threshold are those of the NIR network's neurons", where=str(path),
            got=", ".join(sorted(own)), hint="no --set decay, --set theta0", rule="learn.nir-rule",
        )  # fmt: skip
    start = from_network(load(path))
    net, weights = start.net, start.weights
    known = {"decay": start.decay, "theta0": start.theta0}
    options = {**settings.get("rule_options", {}), **known}
    sizes = "-".join(str(n) for n in (net.n_inputs, *(x.n_out for x in net.layers)))
    return (net, weights), {"rule_options": options, "net": sizes}


@dataclass(frozen=True, slots=True, eq=False)
class ClassesInTurn:
    """Classes learned one group after the other, without seeing the earlier ones again.

    Attributes
    ----------
    groups : tuple of tuples of int
    accuracy : (n_groups, n_groups) float64
        Row: after which stage; column: test accuracy on that group; nan = not learned yet.
    stages : tuple of LearningExperiment
    """

    groups: tuple[tuple[int, ...], ...]
    accuracy: np.ndarray[Any, np.dtype[np.float64]]
    stages: tuple[LearningExperiment, ...]

    @property
    def forgetting(self) -> float:
        """Mean over the earlier groups of best accuracy ever minus accuracy at the end."""
        best = np.nanmax(self.accuracy[:-1, :-1], axis=0)
        return float(np.mean(best - self.accuracy[-1, :-1]))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        rows = [[None if np.isnan(a) else float(a) for a in row] for row in self.accuracy]
        return {
            "groups": [list(g) for g in self.groups],
            "accuracy": rows,
            "forgetting": self.forgetting,
            "stages": [stage.to_json() for stage in self.stages],
        }

    def report(self) -> str:
        """Return a table of at most 100 columns."""
        from nmhw.report.learn_text import render_groups

        return render_groups(self.to_json())


def learn_in_turn(
    data: LabeledData | str | Path,
    groups: Sequence[Sequence[int]],
    rule: str = "std-ed",
    *,
    seed: int = 0,
    **options: Any,
) -> ClassesInTurn:
    """Learn groups of classes one after the other and report what is forgotten.

    Parameters
    ----------
    data : see ``learn``
    groups : sequence of groups of labels, disjoint
    **options
        As of ``learn``, one seed.

    Raises
    ------
    UsageError
        For fewer than two groups, or labels that occur twice or not at all.
    """
    samples = data if isinstance(data, LabeledData) else load_learning_data(data)
    chosen = tuple(tuple(int(c) for c in group) for group in groups)
    labels = [c for group in chosen for c in group]
    known = set(samples.labels.tolist())
    if len(chosen) < 2 or len(set(labels)) != len(labels) or not set(labels) <= known:
        raise UsageError(
            "two or more groups of different labels are needed", got=str(chosen)[:80],
            limit=f"labels 0 to {samples.n_classes - 1}",
        )  # fmt: skip
    for group in chosen:
        only = _only(samples, group)
        for part in ("train", "test"):
            if not only.rows(part).size:  # type: ignore[arg-type]
                raise UsageError(
                    f"no {part} samples of the classes", got=str(group), where=samples.name,
                    hint="more samples", rule="learn.empty-part",
                )  # fmt: skip
    options = {"baselines": (), **options}
    accuracy = np.full((len(chosen), len(chosen)), np.nan)
    start: Start | None = options.pop("initial", None)
    stages = []
    for stage, group in enumerate(chosen):
        only = _only(samples, group)
        experiment = learn(only, rule, seeds=(seed,), initial=start, **options)
        start = (experiment.net, experiment.trained[0].weights)
        stages.append(experiment)
        for seen in range(stage + 1):
            accuracy[stage, seen] = judge(experiment, _only(samples, chosen[seen]))
    return ClassesInTurn(chosen, accuracy, tuple(stages))


def judge(experiment: LearningExperiment, data: LabeledData) -> float:
    """Return the test accuracy of an experiment's first seed on other data of the same shape."""
    settings = experiment.settings
    first = experiment.trained[0]
    trainer = Trainer(
        data, experiment.net, learning_rule(settings), settings, first.seed, first.weights
    )
    return float(trainer.test_accuracy())


def _only(data: LabeledData, labels: Sequence[int]) -> LabeledData:
    """Return the data with all other labels in no part."""
    kept = np.isin(data.labels, labels)
    return replace(data, split=np.where(kept, data.split, 3).astype(np.uint8))
