"""Run random stacks in sinabs 3.1.3's quantized DYNAP-CNN network and store what they do.

Executed by the interpreter of the sinabs environment, not by that of nmhw: JSON on stdin, JSON on
stdout. ``{"first_seed": 0, "n_networks": 24, "path": "vectors.npz"}``, or given descriptions as
``{"stacks": [...], "path": "vectors.npz"}`` (then without the float weights), writes

- ``networks``: the descriptions (see ``random_stacks``) as UTF-8 JSON, with sinabs' ``threshold``,
  ``v_min``, ``kernel_words`` and ``neuron_words`` under ``integers`` of every layer, and
  ``has_mapping``: whether sinabs finds every layer a core;
- ``<k>/in``: events (n_steps, c, h, w) uint8;
- ``<k>/<layer>/weight`` int16, ``/bias`` int16, ``/spikes`` and ``/v`` (n_steps, n) int32.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from dynapcnn_layers import build, has_mapping, import_without_driver, run
from random_stacks import draw_input, draw_stack

NUMBERS = ("threshold", "v_min", "kernel_words", "neuron_words")


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_without_driver()
    stacks, arrays = [], {}
    given = question.get("stacks")
    if given is None:
        first = question["first_seed"]
        given = [draw_stack(seed) for seed in range(first, first + question["n_networks"])]
    for k, stack in enumerate(given):
        counts = arrays[f"{k}/in"] = draw_input(stack)
        network = build(stack)
        stack["has_mapping"] = has_mapping(network)
        for number, (layer, found) in enumerate(
            zip(stack["layers"], run(network, counts), strict=True)
        ):
            layer["integers"] = {key: found[key] for key in NUMBERS}
            for key in ("weight", "bias"):
                arrays[f"{k}/{number}/{key}"] = found[key].astype(np.int16)
            for key in ("spikes", "v"):
                arrays[f"{k}/{number}/{key}"] = found[key].astype(np.int32)
        if "stacks" in question:  # the asker has the float weights
            for layer in stack["layers"]:
                del layer["weight"]
        stacks.append(stack)
    text = json.dumps(stacks, separators=(",", ":")).encode()
    arrays["networks"] = np.frombuffer(text, np.uint8)
    np.savez_compressed(question["path"], **arrays)
    print(json.dumps({"n_networks": len(stacks)}))


if __name__ == "__main__":
    main()
