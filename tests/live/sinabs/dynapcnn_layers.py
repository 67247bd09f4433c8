"""sinabs' quantized DYNAP-CNN network on the CPU, with the chip's driver answered by a stand-in."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock

import numpy as np

ABSENT = ("samna", "samnagui")


class _Module(types.ModuleType):
    """A module in which every name exists; nothing of it is ever called on the CPU."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: there is nothing in it."""


def import_without_driver() -> None:
    """Let ``import samna`` and what lies below it succeed."""
    sys.meta_path.insert(0, _Finder())


def build(stack: dict[str, Any]) -> Any:
    """Return the DynapcnnNetwork of a description (see ``random_stacks``), discretized."""
    import torch
    from sinabs import layers as sl
    from sinabs.activation import MembraneReset, MembraneSubtract
    from sinabs.backend.dynapcnn import DynapcnnNetwork
    from torch import nn

    modules: list[Any] = []
    for layer in stack["layers"]:
        weight = torch.tensor(layer["weight"], dtype=torch.float32)
        has_bias = layer["bias"] is not None
        if layer["kind"] == "conv":
            n_out, n_in, kernel, _ = weight.shape
            form = {"stride": layer["stride"], "padding": layer["padding"], "bias": has_bias}
            op: Any = nn.Conv2d(n_in, n_out, kernel, **form)
        else:
            if not isinstance(modules[-2] if len(modules) > 1 else None, nn.Linear):
                modules.append(nn.Flatten())
            op = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias)
        op.weight.data = weight
        if has_bias:
            op.bias.data = torch.tensor(layer["bias"], dtype=torch.float32)
        reset = MembraneReset() if layer["reset"] == "zero" else MembraneSubtract()
        cell = sl.IAFSqueeze(
            batch_size=1,
            spike_threshold=torch.tensor(layer["threshold"]),
            min_v_mem=layer["v_min"],
            reset_fn=reset,
        )
        modules += [op, cell]
        if layer["pool"] > 1:
            kinds = {"sum": sl.SumPool2d, "avg": nn.AvgPool2d}
            modules.append(kinds[layer["pool_kind"]](layer["pool"]))
    return DynapcnnNetwork(
        nn.Sequential(*modules), input_shape=tuple(stack["input"]), discretize=True
    )


def run(network: Any, counts: np.ndarray) -> list[dict[str, Any]]:
    """Return per layer what sinabs made of it and what it did.

    Parameters
    ----------
    counts : (n_steps, c, h, w) events

    Returns
    -------
    list of dict
        ``weight`` (c_out, c_in, k, k), ``bias`` (c_out,), ``threshold``, ``v_min`` as integers;
        ``kernel_words``, ``neuron_words``; ``spikes`` and ``v`` (n_steps, n) after the step.
    """
    import torch

    layers = [network.dynapcnn_layers[k] for k in sorted(network.dynapcnn_layers)]
    spikes: dict[int, Any] = {}
    for k, layer in enumerate(layers):
        layer.spk.record_states = True
        layer.spk.register_forward_hook(lambda _, __, out, k=k: spikes.__setitem__(k, out.detach()))
    with torch.no_grad():
        network(torch.tensor(counts.astype(np.float32)))
    found = []
    for k, layer in enumerate(layers):
        words = layer.memory_summary()
        bias = layer.conv.bias
        v = layer.spk.recordings["v_mem"].reshape(len(counts), -1)
        found.append(
            {
                "weight": _whole(layer.conv.weight),
                "bias": np.zeros(layer.conv.out_channels, int) if bias is None else _whole(bias),
                "threshold": int(layer.spk.spike_threshold),
                "v_min": int(layer.spk.min_v_mem),
                "kernel_words": int(words["kernel"]),
                "neuron_words": int(words["neuron"]),
                "spikes": _whole(spikes[k]).reshape(len(counts), -1),
                "v": _whole(v),
            }
        )
    return found


def has_mapping(network: Any) -> bool:
    """Return whether sinabs finds a core of its own for every layer of the network."""
    from sinabs.backend.dynapcnn.chips.dynapcnn import DynapcnnConfigBuilder
    from sinabs.backend.dynapcnn.mapping import get_valid_mapping

    try:
        get_valid_mapping(network.dynapcnn_layers, DynapcnnConfigBuilder.get_constraints())
    except ValueError:
        return False
    return True


def _whole(values: Any) -> np.ndarray:
    array = values.detach().numpy()
    if (array != np.rint(array)).any():
        raise RuntimeError("sinabs' integers are not whole")
    return array.astype(np.int64)
