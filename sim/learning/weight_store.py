"""WeightStore: learned weights on the chip's grid, and the only place that counts their traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import UsageError
from nmhw.sim.lava.worker.nmhw_lava.fixed_point import FRACTION_BITS, rewritten
from nmhw.sim.lava.worker.nmhw_lava.shift_register import draw_words
from nmhw.sim.learning.lfsr import seeded_states
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS, WeightFormat

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_BITS = 16

_READ, _WRITE, _WORD = (
    OPERATION_INDEX[name] for name in ("weight_read", "weight_write", "random_word")
)


class WeightStore:
    """The weights of all layers, one after another in two flat arrays.

    Every change is a read-modify-write: ``code <- clip(floor(code + change + word / 2^16))`` with
    ``word`` the next word of the layer's shift register, or 2^15 if rounding is to nearest. With
    ``bits=None`` a weight is a float64 and the change is added to it.

    Parameters
    ----------
    weights : sequence of arrays
        Initial weights per layer; rounded to the nearest code.
    weight_format : WeightFormat
    seed : int
        Root seed of the shift registers.

    Attributes
    ----------
    flat_values : (n,) float64
        Weights of all layers, each in C order.
    flat_codes : (n,) int32
        Their codes; empty without a grid.
    starts : (n_layers + 1,) int64
        Where a layer begins in the flat arrays.
    registers : (n_layers,) uint32
    tally : (n_layers, 2) int64
        Read-modify-writes since `take_counts`, and those that changed their weight: all that the
        compiled loops report; what they count as, the store alone knows.

    Raises
    ------
    UsageError
        For a width, range, rounding or policy that does not exist, or weights that are not finite.
    """

    def __init__(
        self, weights: Sequence[ArrayLike], weight_format: WeightFormat, seed: int = 0
    ) -> None:
        check_format(weight_format)
        arrays = [np.asarray(w, np.float64) for w in weights]
        if not all(np.isfinite(w).all() for w in arrays):
            raise UsageError("initial weights are finite numbers", where="WeightStore")
        self.format = weight_format
        self.shapes = tuple(w.shape for w in arrays)
        self.starts = np.cumsum([0, *(w.size for w in arrays)]).astype(np.int64)
        self.flat_values = np.concatenate([w.ravel() for w in arrays])
        self.flat_codes = np.zeros(0, np.int32)
        if weight_format.bits is not None:
            codes = np.floor(self.flat_values / self.scale + 0.5)
            self.flat_codes = np.clip(codes, -self.max_code, self.max_code).astype(np.int32)
            self.flat_values = self.flat_codes * self.scale
        self.registers = seeded_states(seed, len(arrays))
        self.tally = np.zeros((len(arrays), 2), np.int64)

    @property
    def max_code(self) -> int:
        """Largest code of the grid (0: no grid)."""
        return 0 if self.format.bits is None else 2 ** (self.format.bits - 1) - 1

    @property
    def scale(self) -> float:
        """Weight of one code; 1 without a grid."""
        return 1.0 if self.format.bits is None else self.format.max_abs / self.max_code

    def values(self, layer: int) -> Floats:
        """Return a copy of a layer's weights in their shape."""
        return self.flat_values[self._slice(layer)].reshape(self.shapes[layer]).copy()

    def codes(self, layer: int) -> NDArray[np.int32]:
        """Return a copy of a layer's codes in their shape.

        Raises
        ------
        UsageError
            Without a grid.
        """
        if self.format.bits is None:
            raise UsageError("weights without a width have no codes", hint="WeightFormat(bits=8)")
        return self.flat_codes[self._slice(layer)].reshape(self.shapes[layer]).copy()

    def add(self, layer: int, index: ArrayLike, change: ArrayLike) -> Ints:
        """Add to some weights of a layer, one read-modify-write each.

        Parameters
        ----------
        index : (n,) int
            Flat positions in the layer, none twice, in the order of their random words.
        change : (n,) float64
            In units of the weights.

        Returns
        -------
        (m,) int64
            Those positions whose weight changed.
        """
        at = self._positions(layer, index)
        if self.format.bits is None:
            old = self.flat_values[at]
            self.flat_values[at] = old + np.asarray(change, np.float64)
            return self._count(layer, at, self.flat_values[at] != old)
        words = self._words(layer, at.size) / 2.0**FRACTION_BITS
        exact = self.flat_codes[at] + np.asarray(change, np.float64) / self.scale
        return self._store(layer, at, np.floor(exact + words))

    def add_fixed(self, layer: int, index: ArrayLike, change: ArrayLike) -> Ints:
        """Add whole numbers of 2**-16 codes; otherwise as `add`.

        Raises
        ------
        UsageError
            Without a grid.
        """
        if self.format.bits is None:
            raise UsageError("fixed-point changes need a grid", hint="WeightFormat(bits=8)")
        at = self._positions(layer, index)
        words = self._words(layer, at.size)
        return self._store(
            layer, at, rewritten(self.flat_codes[at], np.asarray(change, np.int64), words)
        )

    @property
    def counts(self) -> Ints:
        """Reads, writes and random words since `take_counts`, (n_layers, len(OPERATIONS))."""
        return np.stack([rewrite_counts(int(n), int(m), self.format) for n, m in self.tally])

    def take_counts(self) -> Ints:
        """Return the counts since the last call and start again from 0."""
        taken = self.counts
        self.tally[:] = 0
        return taken

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return copies of everything that a bit-identical continuation needs."""
        return {
            "weights": self.flat_values.copy(),
            "codes": self.flat_codes.copy(),
            "registers": self.registers.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from a `state`.

        Raises
        ------
        UsageError
            For the state of other layers or another format.
        """
        own = {
            "weights": self.flat_values,
            "codes": self.flat_codes,
            "registers": self.registers,
        }
        for name, array in own.items():
            given = state.get(name)
            if given is None or given.shape != array.shape or given.dtype != array.dtype:
                got = None if given is None else (given.shape, given.dtype)
                limit = (array.shape, array.dtype)
                raise UsageError(f"not a state of these weights: {name}", got=got, limit=limit)
        for name, array in own.items():
            array[...] = state[name]

    def _slice(self, layer: int) -> slice:
        return slice(int(self.starts[layer]), int(self.starts[layer + 1]))

    def _positions(self, layer: int, index: ArrayLike) -> Ints:
        at = np.asarray(index, np.int64)
        size = int(self.starts[layer + 1] - self.starts[layer])
        if at.size and (at.min() < 0 or at.max() >= size or np.unique(at).size < at.size):
            raise UsageError("positions lie in the layer, none twice", got=at, limit=size - 1)
        return at + self.starts[layer]

    def _words(self, layer: int, n: int) -> Ints:
        if self.format.rounding == "nearest":
            return np.full(n, 2 ** (FRACTION_BITS - 1), np.int64)
        words, after = draw_words(int(self.registers[layer]), n)
        self.registers[layer] = after
        return words.astype(np.int64)

    def _store(self, layer: int, at: Ints, exact: NDArray[np.generic]) -> Ints:
        new = np.clip(exact, -self.max_code, self.max_code).astype(np.int32)
        is_changed = new != self.flat_codes[at]
        self.flat_codes[at] = new
        self.flat_values[at] = new * self.scale
        return self._count(layer, at, is_changed)

    def _count(self, layer: int, at: Ints, is_changed: NDArray[np.bool_]) -> Ints:
        changed = at[is_changed]
        self.tally[layer] += (at.size, changed.size)
        return changed - self.starts[layer]


def rewrite_counts(n: int, n_changed: int, weight_format: WeightFormat) -> Ints:
    """Return what ``n`` read-modify-writes count, of which ``n_changed`` changed their weight.

    Returns
    -------
    (len(OPERATIONS),) int64
    """
    counts = np.zeros(len(OPERATIONS), np.int64)
    counts[_READ] = n
    counts[_WRITE] = n if weight_format.policy == "always" else n_changed
    if weight_format.bits is not None and weight_format.rounding == "stochastic":
        counts[_WORD] = n
    return counts


def check_format(weight_format: WeightFormat) -> None:
    """Raise UsageError for a format that no store can have."""
    f = weight_format
    if f.bits is not None and not 2 <= f.bits <= MAX_BITS:
        raise UsageError("weights have 2 to 16 bits", got=f.bits, limit=MAX_BITS)
    if not (np.isfinite(f.max_abs) and f.max_abs > 0):
        raise UsageError("max_abs must be a positive number", got=f.max_abs)
    choices = {
        "rounding": ("stochastic", "nearest"),
        "policy": ("always", "if-changed"),
        "accumulate": ("sample", "stream"),
    }
    for name, known in choices.items():
        if getattr(f, name) not in known:
            hint = "one of " + ", ".join(known)
            raise UsageError(f"no such {name}", got=repr(getattr(f, name)), hint=hint)
    if not 0 <= f.skip_confidence <= 1 or not 0 <= f.skip_error < 1:
        got = (f.skip_confidence, f.skip_error)
        raise UsageError("skip limits are probabilities", got=got, limit="0 to 1")
