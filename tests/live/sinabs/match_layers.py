"""Ask sinabs' flow algorithm whether layers of given memory needs find cores of their own.

Executed by the interpreter of the sinabs environment: JSON on stdin, JSON on stdout.
``{"cases": [[[kernel, neuron, bias], ...], ...]}`` answers ``{"found": [true, false, ...]}``.
"""

from __future__ import annotations

import json
import sys

from dynapcnn_layers import import_without_driver


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_without_driver()
    from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder
    from sinabs.backend.dynapcnn.dynapcnn_layer import DynapcnnLayer
    from sinabs.backend.dynapcnn.mapping import get_valid_mapping

    class Need(DynapcnnLayer):
        def __init__(self, words: list[int]) -> None:
            self.words = words

        def memory_summary(self) -> dict[str, int]:
            return dict(zip(("kernel", "neuron", "bias"), self.words, strict=True))

    constraints = DynapcnnConfigBuilder.get_constraints()
    found = []
    for case in question["cases"]:
        layers = {k: Need(words) for k, words in enumerate(case)}
        try:
            found.append(len(get_valid_mapping(layers, constraints)) == len(case))
        except ValueError:
            found.append(False)
    print(json.dumps({"found": found}))


if __name__ == "__main__":
    main()
