"""SpikeEvents refuses arrays that cannot become repeated events."""

from __future__ import annotations

import numpy as np
import pytest

from nmhw.errors import InputError
from nmhw.values.events import SpikeEvents


@pytest.mark.parametrize("value", [2**62, 10**9])
def test_huge_counts_are_refused_before_they_are_expanded(value: float) -> None:
    with pytest.raises(InputError, match="too many spikes") as caught:
        SpikeEvents.from_dense(np.full((1, 2, 4), value))
    assert "--encode" in str(caught.value)


@pytest.mark.parametrize("value", [1e300, -1.0, 0.5, np.nan, np.inf])
def test_what_is_no_count_is_refused(value: float) -> None:
    with pytest.raises(InputError):
        SpikeEvents.from_dense(np.full((1, 2, 4), value))


def test_small_counts_become_repeated_events() -> None:
    events = SpikeEvents.from_dense(np.array([[[0, 2.0], [1, 0]]]))
    assert events.step.tolist() == [0, 0, 1]
    assert events.index.tolist() == [1, 1, 0]
