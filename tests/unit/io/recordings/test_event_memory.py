"""Reading takes the memory of a chunk, however long the recording is."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import nmhw

MEGABYTE = 1 << 20


def write_dat(path: Path, n_events: int) -> None:
    """Events 2 microseconds apart on a 34 x 34 sensor."""
    rng = np.random.default_rng(0)
    with path.open("wb") as stream:
        stream.write(b"% Height 34\n% Width 34\n" + bytes([12, 8]))
        for start in range(0, n_events, 1 << 16):
            n = min(1 << 16, n_events - start)
            word = rng.integers(0, 2, n) << 28 | rng.integers(0, 34, n) << 14
            word |= rng.integers(0, 34, n)
            t = (start + np.arange(n)) * 2
            stream.write(np.stack([t, word], axis=1).astype("<u4").tobytes())


@pytest.mark.parametrize("window", [None, "10ms"])
def test_peak_memory_does_not_grow_with_the_recording(tmp_path: Path, window: str | None) -> None:
    peaks = []
    for n_events in (800_000, 2_400_000):
        path = tmp_path / f"{n_events}.dat"
        write_dat(path, n_events)
        seen: list[tuple[int, int | None]] = []
        tracemalloc.start()
        found = nmhw.load_events(
            path, dt="1ms", window=window, progress=lambda *at, to=seen: to.append(at)
        )
        n = sum(len(sample) for sample in found.samples()) if window else found.account.n_sent
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == n_events
        assert [at for at, _ in seen] == sorted(at for at, _ in seen)
        assert seen[-1] == (n_events, n_events)
    assert peaks[1] < 1.1 * peaks[0] < 64 * MEGABYTE
