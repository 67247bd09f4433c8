"""What a chip's memory port costs a rule: transposed reads, copies, and the room for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmhw.api.learning_chip import check_learning_memory
from nmhw.api.training import TrainedSeed, Trainer
from nmhw.values.chip import ChipSpec
from nmhw.values.learning import OPERATION_INDEX, EpochRecord
from nmhw.values.learning_settings import LearningSettings

#: Samples whose log is measured before a training.
_MEASURED = 32


def check_memory_of(chip: ChipSpec, trainer: Trainer) -> int:
    """Return the bits that a training needs, before it begins.

    The log is the longest of the first training samples under the initial weights; they are
    learned from on a copy.

    Raises
    ------
    DoesNotFitError
        When weights, their copy and the log exceed what the chip's file knows of its memory.
    """
    net, settings = trainer.net, trainer.settings
    spec = trainer.rule.spec
    words = trainer.longest_log(_MEASURED) if spec.needs_reverse_pass else 0
    return check_learning_memory(
        chip, sum(layer.n_weights for layer in net.layers), settings.weights.bits or 32, spec,
        float(words), sum(layer.n_out for layer in net.layers), settings.n_steps,
        copies_transpose=chip.learning_port == "copy",
    )  # fmt: skip


def through_port(trained: TrainedSeed, chip: ChipSpec, settings: LearningSettings) -> TrainedSeed:
    """Return a training whose weight traffic is that of the chip's port.

    ``row``: words hold the weights of one source, so a read by target takes a whole word for one
    weight. ``copy``: a second array in the other order, so every write is made twice. ``crossbar``
    (and a port that is not known): one access per weight, as counted.
    """
    factor, name = _factor(chip, settings)
    if factor == 1:
        return trained
    column = OPERATION_INDEX[name]

    def changed(record: EpochRecord) -> EpochRecord:
        values = record.counts.values.copy()
        values[:, column] *= np.int64(factor)
        return replace(record, counts=replace(record.counts, values=values))

    return replace(trained, records=tuple(changed(r) for r in trained.records))


def _factor(chip: ChipSpec, settings: LearningSettings) -> tuple[int, str]:
    if chip.learning_port == "copy":
        return 2, "weight_write"
    if chip.learning_port == "row":
        bits = settings.weights.bits or 32
        return max(1, (chip.learning_word_bits or bits) // bits), "transposed_read"
    return 1, ""
