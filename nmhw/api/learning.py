"""``nmhw.learn``: train by a rule, count and price every operation, compare with baselines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.learning_chip import LearningPlace, place_learning
from nmhw.api.learning_experiment import LearningExperiment, counted
from nmhw.api.learning_inputs import check_code
from nmhw.api.learning_memory import check_memory_of, through_port
from nmhw.api.learning_rules import (
    BASELINE_FORMS,
    baseline_settings,
    check_backend,
    default_settings,
    gradient_rule,
    is_local,
    learning_rule,
    threshold_law,
    threshold_notes,
)
from nmhw.api.rule_limits import local_settings, refuse_frozen_srm, srm_settings
from nmhw.api.training import TrainedSeed, Trainer
from nmhw.errors import UsageError
from nmhw.io.learning_data import load_learning_data
from nmhw.report.learn_summary import CountedTraining
from nmhw.values.chip import ChipSpec
from nmhw.values.cost_sets import COST_SETS
from nmhw.values.dataset import LabeledData, check_labeled
from nmhw.values.learning_settings import LearningSettings
from nmhw.values.op_cost import BASELINES, SCOPES, Scope, cost_set

if TYPE_CHECKING:
    from nmhw.sim.learning.layer import LearningNetwork

#: Called with (what is trained, epochs done, epochs).
LearningProgress = Callable[[str, int, int], None]


def learn(
    data: LabeledData | str | Path,
    rule: str = "std-ed",
    chip: ChipSpec | str | Path | None = None,
    *,
    seeds: Sequence[int] = (0,),
    baselines: Sequence[str] | None = None,
    costs: Sequence[str] = tuple(COST_SETS),
    scope: Scope = "learning only",
    assume_learning_engine: bool = False,
    merge_validation: bool = False,
    out: str | Path | None = None,
    resume: bool = False,
    initial: tuple[LearningNetwork, list[Any]] | None = None,
    frozen: Sequence[str] = (),
    backend: str = "numba",
    progress: LearningProgress | None = None,
    **settings: Any,
) -> LearningExperiment:
    """Train a network by an on-chip rule from several seeds.

    Parameters
    ----------
    data : LabeledData, name or path
        See ``nmhw.io.learning_data.load_learning_data``.
    rule : str
        "std-ed", "mpd-ed", "stbp", "srm"; or a local rule ("e-prop", "my.py:MyRule"...) in the
        hidden layers, with the delta rule on the head (one layer: the rule trains the head).
    chip : ChipSpec, name or path, optional
        Where the network is mapped, so that error packets are routed; without one they stay local.
    seeds : sequence of int
        Root seeds of initial weights, order of samples, rate-coded spikes and rounding.
    baselines : sequence of str, optional
        Of "stbp-dense", "stbp-gated", "stbp-gated-once", "stbp-band"; default all (none
        when the rule is STBP).
    costs : sequence of str
        Cost sets, see ``nmhw.values.cost_sets``; none: operations without prices.
    scope : "learning only" | "whole training"
        Of the headline ratios; both are in the result.
    assume_learning_engine : bool
        Run a rule that the chip does not have: every figure is then hypothetical.
    merge_validation : bool
        Train on the validation part too (once hyperparameters are chosen).
    out : path, optional
        Directory of checkpoints.
    resume : bool
        Continue from the checkpoints there.
    initial : (LearningNetwork, weights), optional
        Start from given weights (fine-tuning) in place of ``net`` and random ones.
    frozen : sequence of str
        Layers that keep their weights.
    backend : "numba" | "lava"
        "lava" trains the rule as Lava processes: the same weights and counts, bit for bit.
    progress : callable, optional
    **settings
        Fields of ``LearningSettings``: net, n_steps, code, epochs, batch, lr, lr_drop, optimizer,
        mode, weights, rule_options.

    Raises
    ------
    UsageError, InputError
        For settings or data that make no sense.
    UnsupportedError
        When the chip does not run the rule (exit code 3).
    DoesNotFitError
        When the network, or the rule's log, exceeds the chip (exit code 3).
    """
    samples = check_labeled(data) if isinstance(data, LabeledData) else load_learning_data(data)
    if merge_validation:
        samples = samples.merge_validation()
    names, price_sets = _checked_names(rule, baselines, costs, scope, seeds)
    refuse_frozen_srm(rule, frozen)
    chosen = _settings(rule, samples, settings)
    check_code(chosen, samples, "code" in settings)
    check_backend(backend, chosen)
    net, weights = initial if initial is not None else (_network(chosen, samples), None)
    spec = learning_rule(chosen).spec
    place = None
    if chip is not None:
        spec_of_chip = _chip(chip)
        first = weights if weights is not None else _initial(net, chosen)
        place = place_learning(
            net, first, spec, spec_of_chip, assume_engine=assume_learning_engine,
            rule_text=rule, head=getattr(learning_rule(chosen), "head", "integrator"),
        )  # fmt: skip
    before = None
    if weights is not None:
        before = Trainer(
            samples, net, learning_rule(chosen), chosen, seeds[0], weights
        ).test_accuracy()
    if place is not None:
        dry = Trainer(samples, net, learning_rule(chosen), chosen, seeds[0], weights)
        check_memory_of(place.chip, dry)
    run = _Runner(samples, net, weights, tuple(frozen), tuple(seeds), out, resume, progress, place)
    trained = run.train(rule, chosen, (), backend)
    own_note = (f"threshold {threshold_law(chosen)}",)
    trainings = [run.priced(rule, chosen, [t for t, _ in trained], own_note)]
    others = run.baselines(chosen, names)
    return LearningExperiment(
        samples, chosen, net, spec, tuple(t for t, _ in trained), trainings[0], tuple(others),
        None if place is None else place.chip.name, place is not None and not place.is_native,
        run.traffic, price_sets, scope, _warnings(chosen, net, place, names, backend),
        accuracy_before=before, backend=backend,
    )  # fmt: skip


class _Runner:
    """Trains the rule and its baselines on the same data and network."""

    def __init__(
        self, data: LabeledData, net: Any, weights: Any, frozen: tuple[str, ...],
        seeds: tuple[int, ...], out: str | Path | None, resume: bool,
        progress: LearningProgress | None, place: LearningPlace | None,
    ) -> None:  # fmt: skip
        self.data, self.net, self.weights, self.frozen = data, net, weights, frozen
        self.seeds, self.resume, self.progress, self.place = seeds, resume, progress, place
        self.folder = None if out is None else Path(out) / "checkpoints"
        self.traffic: dict[str, Any] | None = None

    def train(
        self,
        name: str,
        settings: LearningSettings,
        accountings: tuple[str, ...],
        backend: str = "numba",
    ) -> list[tuple[TrainedSeed, dict[str, TrainedSeed]]]:
        """Return one training per seed, with its recounted forms."""
        found = []
        for seed in self.seeds:
            trainer = Trainer(
                self.data, self.net, learning_rule(settings), settings, seed, self.weights,
                self.frozen, accountings, backend,
            )  # fmt: skip
            checkpoint = None
            if self.folder is not None:
                checkpoint = self.folder / f"{_file_name(name)}-seed{seed}.npz"
            label = f"{name}, seed {seed}"
            report = None if self.progress is None else _labeled(self.progress, label)
            found.append(trainer.run(checkpoint, self.resume, report))
        return found

    def baselines(self, settings: LearningSettings, names: Sequence[str]) -> list[CountedTraining]:
        """Train STBP once per mask and count it for every machine that was asked for."""
        found: dict[str, CountedTraining] = {}
        for mask in dict.fromkeys(BASELINE_FORMS[name][0] for name in names):
            wanted = [n for n in names if BASELINE_FORMS[n][0] == mask]
            theirs = baseline_settings(settings, wanted[0])
            kinds = tuple(BASELINE_FORMS[n][1] for n in wanted)
            outcomes = self.train(f"stbp-{mask}", theirs, kinds)
            for name, kind in zip(wanted, kinds, strict=True):
                recounted = [forms[kind] for _, forms in outcomes]
                notes = threshold_notes(theirs, settings)
                found[name] = self.priced(name, theirs, recounted, notes)
        return [found[name] for name in names]

    def _is_hypothetical(self, name: str) -> bool:
        """No chip runs the STBP of a baseline itself."""
        return self.place is not None and (not self.place.is_native or name in BASELINE_FORMS)

    def priced(
        self,
        name: str,
        settings: LearningSettings,
        trained: Sequence[TrainedSeed],
        notes: tuple[str, ...] = (),
    ) -> CountedTraining:
        """Return the counted training with its error packets routed."""
        if self.place is None:
            return counted(name, trained, notes=notes)
        from nmhw.mappers.error_traffic import count_error_traffic

        layers = [
            np.sum([e[k] for t in trained for e in t.error_packets], axis=0)
            for k in range(len(trained[0].error_packets[0]))
        ]
        layers += [np.zeros(self.net.layers[-1].n_out, np.int64)]
        traffic = count_error_traffic(
            self.place.mapping, self.place.chip, self.place.populations,
            layers[: len(self.place.populations)], settings.n_steps,
        )  # fmt: skip
        ported = [through_port(t, self.place.chip, settings) for t in trained]
        training = counted(
            name, ported, float(traffic.bit_hops), notes, self._is_hypothetical(name)
        )
        if self.traffic is None:
            n = max(training.counts.n_samples, 1)
            self.traffic = {
                "n_cores": len(self.place.mapping.cores),
                "packet_bits": list(traffic.packet_bits),
                "packets_per_sample": traffic.packets / n,
                "hops_per_sample": traffic.hops / n,
                "bit_hops_per_sample": traffic.bit_hops / n,
            }
        return training


def _file_name(name: str) -> str:
    """Return the name of a training as part of a file name: an own rule has a path in it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.replace("\\", "/").rsplit("/", 1)[-1])


def _warnings(
    settings: LearningSettings, net: Any, place: LearningPlace | None, baselines: Sequence[str],
    backend: str,
) -> tuple[str, ...]:  # fmt: skip
    """Return what a reader must know of the settings, beside the numbers."""
    found = []
    if not is_local(settings.rule):
        from nmhw.sim.learning.float_form import check_network

        found += [f"{n.where}: {n.text}" for n in check_network(net, gradient_rule(settings))]
    if place is not None and place.is_native and baselines:
        found.append(f"hypothetical: {place.chip.name} does not run the STBP of the baselines")
    if backend == "lava" and baselines:
        found.append("the baselines were trained by the numba backend: STBP has no Lava processes")
    transposes = bool(baselines) or learning_rule(settings).spec.needs_transpose
    if place is not None and place.chip.learning_port is None and transposes:
        found.append(
            f"{place.chip.name}'s file does not say how weights are read by target: every such "
            "read is counted as one access"
        )
    return tuple(found)


def _labeled(progress: LearningProgress, label: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(label, done, total)


def _checked_names(
    rule: str, baselines: Sequence[str] | None, costs: Sequence[str], scope: str,
    seeds: Sequence[int],
) -> tuple[tuple[str, ...], tuple[str, ...]]:  # fmt: skip
    wanted = baselines
    if wanted is None:
        wanted = () if rule == "stbp" else BASELINES
    for name in wanted:
        if name not in BASELINE_FORMS:
            raise UsageError("no such baseline", got=repr(name), hint=", ".join(BASELINE_FORMS))
    for name in costs:
        cost_set(name)
    if scope not in SCOPES:
        raise UsageError("no such scope", got=repr(scope), hint=", ".join(SCOPES))
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UsageError("seeds are different whole numbers >= 0", got=tuple(seeds))
    return tuple(wanted), tuple(costs)


def initial_settings(rule: str, data: LabeledData | str, **given: Any) -> LearningSettings:
    """Return settings with the defaults of a rule and of the data; see ``learn``.

    Raises
    ------
    UsageError
        For a setting that does not exist or makes no sense.
    """
    samples = data if isinstance(data, LabeledData) else load_learning_data(data)
    return _settings(rule, samples, given)


def _settings(rule: str, data: LabeledData, given: Mapping[str, Any]) -> LearningSettings:
    unknown = sorted(set(given) - set(LearningSettings.__dataclass_fields__))
    if unknown:
        known = ", ".join(LearningSettings.__dataclass_fields__)
        raise UsageError("no such setting", got=unknown, hint=known)
    if is_local(rule):
        given = local_settings(rule, given)
    elif rule == "srm":
        given = srm_settings(given)
    mode = given.get("mode", "integer")
    defaults = default_settings(rule, mode, given.get("code", "latency"))
    if "net" not in given:
        defaults["net"] = f"{data.n_inputs}-128-{data.n_classes}"
    if data.events is not None and "n_steps" not in given:
        defaults["n_steps"] = data.events.n_steps
    return LearningSettings(rule=rule, **{**defaults, **given})


def _network(settings: LearningSettings, data: LabeledData) -> LearningNetwork:
    from nmhw.sim.learning.network import parse_sizes

    net = parse_sizes(settings.net)
    if net.n_inputs != data.n_inputs or net.n_classes < data.n_classes:
        raise UsageError(
            "the network does not suit the data",
            got=f"{net.n_inputs} inputs, {net.n_classes} outputs",
            limit=f"{data.n_inputs} inputs, {data.n_classes} classes", where=settings.net,
        )  # fmt: skip
    return net


def _initial(net: LearningNetwork, settings: LearningSettings) -> list[Any]:
    from nmhw.sim.learning.network import initial_weights

    rule = gradient_rule(replace(settings, rule="mpd-ed", rule_options={}))
    return list(initial_weights(net, rule, 0))


def _chip(chip: ChipSpec | str | Path) -> ChipSpec:
    from nmhw.api.reading import chip as load_chip_spec

    return chip if isinstance(chip, ChipSpec) else load_chip_spec(chip)
