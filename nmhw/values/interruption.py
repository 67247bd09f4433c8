"""Ctrl-C, noted where Python can lose it.

A KeyboardInterrupt that falls into a weak reference's callback is printed and dropped. The command
line notes the signal as well, and long loops ask here.
"""

from __future__ import annotations

import signal
from threading import current_thread, main_thread
from types import FrameType

_noted = False


def note_interrupts() -> None:
    """Note every Ctrl-C from now on, besides raising KeyboardInterrupt as usual."""
    global _noted
    _noted = False
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default and current_thread() is main_thread():
        signal.signal(signal.SIGINT, _note)


def _note(number: int, frame: FrameType | None) -> None:
    global _noted
    _noted = True
    raise KeyboardInterrupt


def stop_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that was noted, once.

    Raises
    ------
    KeyboardInterrupt
        After a Ctrl-C since ``note_interrupts``.
    """
    global _noted
    if _noted:
        _noted = False
        raise KeyboardInterrupt
