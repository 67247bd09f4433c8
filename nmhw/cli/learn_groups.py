"""``nmhw learn --classes-in-turn``: groups of classes in turn, and what is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nmhw.cli.learn_options import parse_groups, parse_seeds
from nmhw.cli.output import emit_json, emit_text, note
from nmhw.errors import UsageError

#: Options that a training in turn does not take.
_REFUSED = {"resume": "--resume", "plots": "--plots", "baselines": "--baselines"}

CLASSES_JSON = "classes-in-turn.json"


def learn_classes_in_turn(
    options: dict[str, Any], data: Any, settings: dict[str, Any], folder: Path | None
) -> None:
    """Learn the groups of ``--classes-in-turn`` and print accuracy per group and forgetting.

    Raises
    ------
    UsageError
        For options that do not go with it, or a directory with another file of its name.
    """
    from nmhw.api.fine_tuning import learn_in_turn
    from nmhw.io.atomic import write_text

    for name, text in _REFUSED.items():
        if options[name]:
            raise UsageError(f"--classes-in-turn takes no {text}", hint=f"no {text}")
    seeds = parse_seeds(options["seeds"])
    if len(seeds) != 1:
        raise UsageError("--classes-in-turn takes one seed", got=options["seeds"], hint="--seeds 0")
    if Path(settings.get("net", "")).suffix == ".nir":
        raise UsageError("--classes-in-turn begins with a new network", hint="--net 64-128-10")
    target = None if folder is None else folder / CLASSES_JSON
    if target is not None and target.exists():
        raise UsageError("the file exists", got=str(target), hint="another -o DIR")
    frozen = tuple(n.strip() for n in (options["frozen"] or "").split(",") if n.strip())
    done = learn_in_turn(
        data, parse_groups(options["classes_in_turn"]), options["rule"], seed=seeds[0],
        chip=options["chip_name"], assume_learning_engine=options["assume_learning_engine"],
        merge_validation=options["merge_validation"], frozen=frozen, backend=options["backend"],
        **settings,
    )  # fmt: skip
    if target is not None:
        write_text(target, json.dumps(done.to_json(), indent=1) + "\n")
        note(f"saved to {target}", options["quiet"])
    if options["as_json"]:
        emit_json(done.to_json())
    else:
        emit_text(done.report())
