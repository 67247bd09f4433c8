"""``nmhw learn``: on-chip learning experiments with every operation counted and priced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from nmhw.cli.learn_groups import learn_classes_in_turn
from nmhw.cli.learn_options import FORMAT, SETTINGS, learning_options, parse_seeds
from nmhw.cli.options import given_options, output_options, refuse_options
from nmhw.cli.output import emit_json, emit_text, note
from nmhw.errors import InputError, UsageError

#: Files of a result that not every run writes.
_PARTS_OF_SOME = ("trained.nir", "learning-curve.png", "accuracy-energy.png", "operations.png")


@click.command("learn")
@click.argument("data", required=False)
@learning_options
@output_options
def command(**options: Any) -> None:
    """Train on DATA (digits, digits-shifted, digits-corrupted, gestures, or FILE.npz) by a rule.

    Accuracy and energy per epoch, operations by kind, and ratios against time-step
    surrogate-gradient learning (STBP) counted for a dense, a spike-gated and a band-masked machine.
    """
    if options["backend"] != "numba" and (options["check_rule"] or options["experiment"]):
        raise UsageError(
            "rule checks and experiments run in nmhw's own engines", got=options["backend"],
            hint="--backend numba", where="--backend", rule="learn.backend",
        )  # fmt: skip
    if options["check_rule"]:
        _check_rule(options)
        return
    if options["experiment"] is not None:
        _run_experiment(options)
        return
    if options["data"] is None:
        raise UsageError("learn needs data", hint="nmhw learn digits, or a .npz file")
    from nmhw.api.learning import learn
    from nmhw.values.cost_sets import COST_SETS

    folder = None if options["output"] is None else Path(options["output"])
    if options["resume"] and folder is None:
        raise UsageError("--resume continues what -o DIR holds", hint="-o DIR")
    if options["plots"] and folder is None:
        raise UsageError("--plots writes figures into -o DIR", hint="-o DIR")
    if options["classes_in_turn"] is not None:
        costs = tuple(COST_SETS) if options["costs"] is None else _names(options["costs"]) or ()
        settings = {**_settings(options), "costs": costs, "scope": options["scope"]}
        learn_classes_in_turn(options, _data(options), settings, folder)
        return
    _check_folder(folder)
    chosen, initial = _settings(options), None
    if Path(chosen.get("net", "")).suffix == ".nir":
        initial, more = _from_nir(chosen.pop("net"), options["rule"], chosen)
        chosen |= more
    experiment = learn(
        _data(options),
        options["rule"],
        options["chip_name"],
        seeds=parse_seeds(options["seeds"]),
        baselines=_names(options["baselines"]),
        costs=tuple(COST_SETS) if options["costs"] is None else _names(options["costs"]) or (),
        scope=options["scope"],
        assume_learning_engine=options["assume_learning_engine"],
        merge_validation=options["merge_validation"],
        out=folder,
        resume=options["resume"],
        initial=initial,
        frozen=_names(options["frozen"]) or (),
        backend=options["backend"],
        progress=None if options["quiet"] else _Progress(),
        **chosen,
    )
    if folder is not None:
        for name in _PARTS_OF_SOME:  # of an earlier run; see _check_folder
            (folder / name).unlink(missing_ok=True)
        experiment.save(folder)
        if options["plots"]:
            experiment.plot(folder)
        note(f"saved to {folder}", options["quiet"])
    if options["as_json"]:
        emit_json(experiment.to_json())
    else:
        emit_text(experiment.report())


def _run_experiment(options: dict[str, Any]) -> None:
    """Run a local rule's own experiment; with -o also draw it."""
    from nmhw.api.rule_checks import draw, run_local_experiment
    from nmhw.cli.output import progress_bar

    taken = {"experiment", "seeds", "weight_bits", "output", "as_json", "quiet", "backend"}
    refuse_options(
        {p.name: p.opts[0] for p in click.get_current_context().command.params
         if p.name is not None and p.name not in taken},
        "in an experiment, which has its own data, network and rule",
        "--seeds, --weight-bits, -o, --json",
    )  # fmt: skip
    seeds = parse_seeds(options["seeds"])
    if len(seeds) != 1:
        raise UsageError("an experiment takes one seed", got=options["seeds"], hint="--seeds 0")
    _check_experiment_folder(options["output"], options["experiment"])
    seed = seeds[0]
    with progress_bar(options["experiment"], options["quiet"]) as bar:
        result = run_local_experiment(options["experiment"], seed, bar, options["weight_bits"])
    if options["output"] is not None:
        note(f"saved to {draw(result, options['output'])}", options["quiet"])
    if options["as_json"]:
        emit_json(result.to_json())
    else:
        from nmhw.report.experiment_figure import render_experiment

        emit_text(render_experiment(result) + "\n")


def _check_rule(options: dict[str, Any]) -> None:
    """Print one line per check; a failed one is an error."""
    from nmhw.api.rule_checks import check_learning_rule
    from nmhw.report.learn_text import render_checks

    given = _settings(options).get("rule_options", {})
    rows = check_learning_rule(options["rule"], parse_seeds(options["seeds"])[0], **given)
    table = [{"name": r.name, "passed": r.passed, "detail": r.detail} for r in rows]
    if options["as_json"]:
        emit_json({"rule": options["rule"], "checks": table})
    else:
        emit_text(render_checks(options["rule"], table))
    failed = [r.name for r in rows if r.passed is False]
    if failed:
        raise InputError(
            "the rule fails its checks", got=", ".join(failed), where=options["rule"],
            rule="learn.check-rule",
        )  # fmt: skip


class _Progress:
    """Say on stderr how far each training is: every tenth of it."""

    def __call__(self, label: str, done: int, total: int) -> None:
        if done == total or done * 10 // total != (done - 1) * 10 // total:
            note(f"{label}: epoch {done} of {total}")


def _data(options: dict[str, Any]) -> Any:
    from nmhw.io.learning_data import load_learning_data

    data = load_learning_data(options["data"])
    limits = [options[k] for k in ("n_train", "n_validation", "n_test")]
    return data if limits == [None] * 3 else data.take(*limits)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that stand on the command line; the rest has defaults by rule."""
    from nmhw.values.learning import WeightFormat

    given = set(given_options({name: name for name in options}))
    chosen = {field: options[name] for name, field in SETTINGS.items() if name in given}
    formats = {field: options[name] for name, field in FORMAT.items() if name in given}
    if formats.get("bits") == 0:
        formats["bits"] = None
    if options["mode"] == "float" and "bits" not in formats:
        formats["bits"] = None
    if formats:
        chosen["weights"] = WeightFormat(**formats)
    rule_options = dict(_rule_option(pair) for pair in options["rule_settings"])
    for name in ("threshold", "mask", "head"):
        if options[name] is not None:
            rule_options[name] = options[name]
    if rule_options:
        chosen["rule_options"] = rule_options
    return chosen


def _rule_option(pair: str) -> tuple[str, Any]:
    field, equals, text = pair.partition("=")
    if not equals:
        raise UsageError("--set needs FIELD=VALUE", got=repr(pair))
    for convert in (int, float):
        try:
            return field, convert(text)
        except ValueError:
            continue
    return field, text


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip() not in ("", "none"))


def _from_nir(path: str, rule: str, chosen: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    from nmhw.api.fine_tuning import read_for_learning

    return read_for_learning(path, rule, chosen)


def _check_folder(folder: Path | None) -> None:
    """Replace only what nmhw learn wrote: a result of ours, or the checkpoints of a run cut off."""
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError("the output is no directory", got=str(folder))
    names = {p.name for p in folder.iterdir()}
    if names <= {"checkpoints"} or _is_result(folder / "result.json"):
        return
    raise UsageError(
        "the directory holds files that nmhw learn did not write", got=str(folder),
        hint="another -o DIR",
    )  # fmt: skip


def _is_result(path: Path) -> bool:
    return {"nmhw_version", "rule", "settings", "trainings"} <= _json_keys(path)


def _check_experiment_folder(output: str | None, name: str) -> None:
    """An experiment replaces its own NAME.json and NAME.png, nothing else of that name."""
    if output is None:
        return
    numbers, figure = Path(output) / f"{name}.json", Path(output) / f"{name}.png"
    if not numbers.exists() and not figure.exists():
        return
    if not {"name", "measure", "control", "passed"} <= _json_keys(numbers):
        raise UsageError(
            "the directory holds a file of this name that nmhw learn did not write",
            got=str(numbers if numbers.exists() else figure), hint="another -o DIR",
        )  # fmt: skip


def _json_keys(path: Path) -> set[str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return set()
    return set(found) if isinstance(found, dict) else set()
