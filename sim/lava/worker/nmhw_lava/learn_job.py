"""The kind of job that trains: all samples of an epoch in one run of Lava.

``question``: ``rule``, ``head``, ``mask``, ``law``, ``n_steps``, ``learns``, ``lowest`` (first
layer that is trained), ``n_samples``, ``layers`` (name, register), ``arithmetic`` (numbers),
``store``, ``cell`` (spec), ``operations``, ``keeps_history``. Arrays: ``arithmetic/<table>``,
``codes/<k>``, ``theta/<q>``, ``ramp``, ``labels``, ``pointers``, ``index``, ``moment``, ``value``
(input events, sample by sample, in the order of training).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.learn_build import LearningParts
from nmhw_lava.shim import import_lava


def work(
    question: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train, or only run, a network over all samples.

    Returns
    -------
    answer : {"counts": one list per layer, "n_inputs", "n_rows", "wall_s"}
    arrays : ``connection/<k>/...`` and ``population/<k>/...`` as the processes save them
    """
    started = time.perf_counter()
    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    imported = time.perf_counter()
    parts = LearningParts(question, arrays, folder)
    head, configuration = parts.populations[0], Loihi2SimCfg(select_tag="fixed_pt")
    head.run(condition=RunSteps(num_steps=1), run_cfg=configuration)
    running = time.perf_counter()
    head.run(condition=RunSteps(num_steps=parts.n_rows - 1), run_cfg=configuration)
    ended = time.perf_counter()
    pairs = zip(parts.connections, parts.populations, strict=True)
    counts = [(np.asarray(c.counts.get()) + np.asarray(p.counts.get())).tolist() for c, p in pairs]
    n_inputs = int(parts.source.n_events.get()[0])
    head.stop()
    found: dict[str, np.ndarray] = {}
    for name in parts.files:
        kind, number = name.removesuffix(".npz").split("-")
        with np.load(folder / name) as file:
            found |= {f"{kind}/{number}/{key}": file[key] for key in file.files}
        (folder / name).unlink()
    wall = {
        "import": imported - started,
        "start": running - imported,
        "run": ended - running,
        "stop": time.perf_counter() - ended,
    }
    answer = {"counts": counts, "n_inputs": n_inputs, "n_rows": parts.n_rows, "wall_s": wall}
    return answer, found
