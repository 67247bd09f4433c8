"""Static energy of the study's trainings on a chip whose static power is published.

The static power of Loihi 1 (0.1044 W per chip, Frady 2020; chip file ``loihi1-nahuku``) times the
time of a training. The time of the forward pass is that of nmhw's time law for the chip, from a run
of a trained 64-128-10 network at every T. Nobody has published the time of a reverse walk: it is
**assumed** to take as long as the forward pass, for every rule and machine alike. STD-ED in T ticks
has three windows of T ticks, hence three times the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.api.deploying import deploy
from nmhw.api.learning import initial_settings, learn
from nmhw.api.learning_inputs import encode_steps_of
from nmhw.api.reading import load
from nmhw.io.atomic import write_text
from nmhw.io.learning_data import load_learning_data
from nmhw.values.cost_sets import COST_SETS

Found = dict[str, Any]
CHIP = "loihi1-nahuku"
WINDOWS = 3
BACKWARD = 1.0  # assumed: time of the reverse walk over that of the forward pass
N_IMAGES = 100
COST = "horowitz-32bit"


def chip_times(steps: tuple[int, ...], folder: Path, is_quick: bool) -> Found:
    """Return seconds of a forward pass per T, cores used, and static power; from a file if done."""
    path = folder / "static.json"
    if path.exists():
        kept: Found = json.loads(path.read_text())
        if kept["steps"] == list(steps):
            return kept
    trained = learn(
        "digits", "mpd-ed", n_steps=16, lr=0.04, epochs=1 if is_quick else 10, baselines=(),
        merge_validation=True,
    )  # fmt: skip
    trained.save(folder / "for-static")
    placed = deploy(load(folder / "for-static" / "trained.nir"), CHIP)
    data = load_learning_data("digits")
    rows, seconds = data.rows("test")[:N_IMAGES], []
    for n_steps in steps:
        settings = initial_settings("mpd-ed", data, n_steps=n_steps)
        spikes = encode_steps_of(data, rows, settings, None, 0)
        seconds.append(placed.run(spikes).latency.per_sample_s)
    chip, table = placed.chip, placed.chip.cost_table()
    assert table is not None
    found = {
        "steps": list(steps), "seconds": seconds, "n_cores": len(placed.mapping.cores),
        "chip_cores": chip.n_cores, "static_w": table.static_w["chip"].value,
    }  # fmt: skip
    write_text(path, json.dumps(found, indent=1) + "\n")
    return found


def static_per_sample(times: Found, rule: str, n_steps: int) -> float:
    """Return joules per training sample of the whole chip."""
    seconds = times["seconds"][times["steps"].index(n_steps)]
    windows = WINDOWS if rule == "std-ed" else 1
    return float(times["static_w"] * seconds * windows * (1.0 + BACKWARD))


def static_table(study: Found, times: Found) -> Iterator[str]:
    """Yield whole-training ratios without static power, with the used cores' and the chip's."""
    share = times["n_cores"] / times["chip_cores"]
    yield f"STBP / rule, whole training, {COST}, weights written once per sample: dynamic alone /"
    yield (f"with the static power of the {times['n_cores']} used cores of {CHIP} / of the chip "
           f"({times['static_w']:g} W)")  # fmt: skip
    heads = "".join(f"{f'T={t}':>14s}" for t in study["steps"])
    yield f"{'rule':7s}{'code':8s}{'baseline':16s}{heads}"
    for rule, code in (("std-ed", "latency"), ("mpd-ed", "latency"), ("mpd-ed", "rate")):
        for baseline, kind in (("stbp-dense", "dense"), ("stbp-gated", "gated")):
            cells = ""
            for t in study["steps"]:
                mine = _dynamic(study, rule, code, t, "event")
                other = _dynamic(study, "stbp", code, t, kind)
                both = [static_per_sample(times, name, t) for name in ("stbp", rule)]
                ratios = [(other + k * both[0]) / (mine + k * both[1]) for k in (0.0, share, 1.0)]
                shown = "/".join(f"{v:.0f}" if v >= 9.95 else f"{v:.1f}" for v in ratios)
                cells += f"{shown:>14s}"
            yield f"{rule:7s}{code:8s}{baseline:16s}{cells}"
    yield (
        "static energy per training sample, microjoules (chip): "
        + ", ".join(
            f"T={t} {1e6 * static_per_sample(times, 'mpd-ed', t):.2g}" for t in study["steps"]
        )
        + f"; STD-ED {WINDOWS} times that"
    )


def _dynamic(study: Found, rule: str, code: str, n_steps: int, kind: str) -> float:
    """Return joules per training sample, whole training."""
    machine = study["trainings"][f"{rule}-{code}-{n_steps}-sample"]["machines"][kind]
    prices = COST_SETS[COST].price_vectors()[0]
    return float(np.array(machine["actions"]["whole training"]) @ prices) * 1e-12
