"""A run some samples at a time: bounded memory, and what is finished survives an interruption.

Samples know nothing of each other, so pieces of any size give the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nmhw.api.arguments import check_whole
from nmhw.api.checkpoint import Checkpoint, Part, check_same_inputs
from nmhw.api.inputs import PreparedInputs
from nmhw.errors import UsageError
from nmhw.values.interruption import stop_if_interrupted
from nmhw.values.provenance import fingerprint

#: Bytes of values that are read at once where not all of them are in memory.
PIECE_BYTES = 256 << 20
#: Seconds that a piece should take where pieces are kept, and samples of the first one.
PIECE_S, FIRST_PIECE = 5.0, 64

Progress = Callable[[int, int], None]
#: (inputs, contents of the pieces before, progress) -> content
Work = Callable[[Any, list[Any], Progress | None], Any]


@dataclass(slots=True)
class PieceSizes:
    """How many samples come next.

    Attributes
    ----------
    chunk : int or None
        What the user wants.
    is_kept : bool
        Finished pieces are kept, so none should take long.
    """

    prepared: PreparedInputs
    chunk: int | None
    is_kept: bool
    _next: int = field(default=FIRST_PIECE, init=False)

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (first, end) from sample ``first`` on; asked again only when a range is done."""
        n_samples = self.prepared.n_samples
        while first < n_samples:
            started = time.perf_counter()
            end = min(n_samples, first + self._size())
            yield first, end
            elapsed = max(time.perf_counter() - started, 1e-6)
            self._next = max(1, min(4 * (end - first), int((end - first) * PIECE_S / elapsed)))
            first = end

    def _size(self) -> int:
        if self.chunk is not None:
            return self.chunk
        source, most = self.prepared.source, self.prepared.n_samples
        if not source.is_held:
            most = max(1, PIECE_BYTES // max(1, source.bytes_per_sample))
        return min(most, self._next) if self.is_kept else most


def check_pieces(chunk: int | None, checkpoint: Any, resume: bool, continuous: bool) -> None:
    """Refuse settings of pieces that make no sense.

    Raises
    ------
    UsageError
        For a chunk below 1, ``resume`` without a folder, and pieces of a continuous run.
    """
    if chunk is not None:
        check_whole(chunk, "chunk")
        if chunk < 1:
            raise UsageError("a chunk holds at least one sample", got=chunk)
    if resume and checkpoint is None:
        what = "only a run with an output folder can be resumed"
        raise UsageError(what, hint="-o DIR (checkpoint=DIR)", rule="run.resume")
    if continuous and (chunk is not None or resume):
        raise UsageError(
            "a continuous run is one piece: its state goes on from sample to sample",
            got="chunk" if chunk is not None else "resume", hint="leave it out",
            rule="run.continuous-pieces",
        )  # fmt: skip


def run_pieces(
    kind: str,
    work: Work,
    prepared: PreparedInputs,
    *,
    chunk: int | None,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> list[Any]:
    """Return ``work(inputs, contents before, progress)`` of every piece, in order.

    Raises
    ------
    InputError
        When the inputs of a part that is there already have changed.
    """
    found: list[Any] = []
    first = 0
    for part in [] if checkpoint is None else checkpoint.parts(kind):
        if part.end > prepared.n_samples or checkpoint is None:
            break
        check_same_inputs(part, prepared.take(part.first, part.end), checkpoint.folder)
        found.append(part.content)
        first = part.end
    sizes = PieceSizes(prepared, chunk, checkpoint is not None)
    try:
        for start, end in sizes.ranges(first):
            inputs = prepared.take(start, end)
            content = work(inputs, found, _shifted(progress, start, prepared.n_samples))
            found.append(content)
            if checkpoint is not None:
                checkpoint.add(kind, Part(start, end, fingerprint(inputs), content))
            stop_if_interrupted()
    except KeyboardInterrupt:
        if checkpoint is not None:
            checkpoint.interrupt()
        raise
    return found


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    if progress is None:
        return None

    def report(done: int, _: int) -> None:
        progress(start + done, total)

    return report
