"""A Ctrl-C that Python drops is raised again by the next long loop, once."""

from __future__ import annotations

import signal
import weakref
from collections.abc import Iterator

import pytest

from nmhw.values.interruption import note_interrupts, stop_if_interrupted


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Held:
    """Something to refer to weakly."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_interrupt_is_raised_by_the_next_loop() -> None:
    note_interrupts()
    stop_if_interrupted()
    held = Held()
    reference = weakref.ref(held, lambda _: signal.raise_signal(signal.SIGINT))
    del held
    assert reference() is None
    with pytest.raises(KeyboardInterrupt):
        stop_if_interrupted()
    stop_if_interrupted()


def test_another_handler_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note_interrupts()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
