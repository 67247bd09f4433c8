"""Neurons to train in PyTorch, and the way from a PyTorch module to a Network (extra ``torch``).

Nothing outside this package imports PyTorch at import time; ``import nmhw`` does not load it.
"""

from importlib.util import find_spec

from nmhw.errors import MissingExtraError

if find_spec("torch") is None:
    raise MissingExtraError("nmhw.torch needs PyTorch", hint='pip install "nmhw[torch]"')

from nmhw.torch.containers import Sequential
from nmhw.torch.conversion import from_torch
from nmhw.torch.neurons import IF, LI, LIF, CubaLI, CubaLIF, I, Neurons

__all__ = ["IF", "LI", "LIF", "CubaLI", "CubaLIF", "I", "Neurons", "Sequential", "from_torch"]
