"""Arguments of a wrong Python type: one clear error before anything is done with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.errors import UsageError
from nmhw.values.network import Network


def check_network(network: object) -> Network:
    """Return the network, or refuse what is none (a path, a module...).

    Raises
    ------
    UsageError
        Naming the type.
    """
    if not isinstance(network, Network):
        got = type(network).__name__
        raise UsageError("this takes a network", got=got, hint="nmhw.load(path, profile=...)")
    return network


def check_whole(value: Any, what: str) -> int:
    """Return a whole number >= 0; ``what`` begins the error ("a seed").

    Raises
    ------
    UsageError
        For anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise UsageError(f"{what} is a whole number >= 0", got=repr(value))
    return int(value)
