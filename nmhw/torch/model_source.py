"""A user's model from ``pkg.module:make_model``, its weights, and a sample of its input."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nmhw.errors import InputError, NmhwError, TorchError, UsageError
from nmhw.torch.conversion import from_torch
from nmhw.values.network import Network

#: NT: (samples, steps, ...); TN: steps first; N: (samples, ...), the steps are the module's own.
LAYOUTS = ("auto", "NT", "TN", "N")
_RATE, _N_SAMPLES = 0.3, 2


def load_model(reference: str) -> nn.Module:
    """Return the module that ``package.module:name`` names, or that a function there makes.

    The current folder is searched first, as by ``python -m``; the user's own code is executed.

    Raises
    ------
    UsageError
        For a reference that names nothing.
    InputError
        When the user's code fails, or makes no module.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (colon and module_name and attribute):
        what, hint = "the model is named by module and function", "package.module:make_model"
        raise UsageError(what, got=repr(reference), hint=hint)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            made = getattr(made, part)
        if not isinstance(made, nn.Module):
            made = made()
    except NmhwError:
        raise
    except ModuleNotFoundError as error:
        hint = "start in the folder that holds it, or install its package"
        raise UsageError(
            "no such Python module", got=repr(error.name), where=reference, hint=hint
        ) from error
    except Exception as error:
        raise InputError(
            "the model cannot be made", got=f"{type(error).__name__}: {error}", where=reference,
            hint="a function without arguments that returns a torch.nn.Module",
        ) from error  # fmt: skip
    if not isinstance(made, nn.Module):
        raise InputError("this makes no torch.nn.Module", got=type(made).__name__, where=reference)
    return made


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Load a state dict (alone, or under ``state_dict`` or ``model``), weights only.

    Raises
    ------
    InputError
        For a file that is missing, holds more than tensors, or fits another module.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError("no such file", where=str(path)) from error
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise InputError(
            "this is no file of weights alone", got=f"{type(error).__name__}: {first[:120]}",
            where=str(path), hint="torch.save(model.state_dict(), 'weights.pt')",
        ) from error  # fmt: skip
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    try:
        module.load_state_dict(loaded)
    except (RuntimeError, TypeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            "the weights are those of another module", got=" ".join(lines[1:3])[:300] or lines[0],
            where=str(path), hint="the function that made the module the weights were saved from",
        ) from error  # fmt: skip


def network_of_shape(
    module: nn.Module, shape: tuple[int, ...], *, n_steps: int = 16, layout: str = "auto",
    seed: int = 0, **options: Any,
) -> Network:  # fmt: skip
    """Return the network of a module that takes samples of ``shape``; see ``from_torch``.

    The sample is made of random spikes. ``auto`` tries samples first, steps first, then a sample
    without an axis of steps.

    Raises
    ------
    TorchError, InputError, ProfileError
        What ``from_torch`` says to the layout that was asked for, or to the last one tried.
    """
    if layout not in LAYOUTS:
        raise UsageError("no such layout", got=repr(layout), hint=", ".join(LAYOUTS))
    failure: NmhwError | None = None
    for sample in _samples(shape, n_steps, layout, seed):
        try:
            network = from_torch(module, sample, **options)
        except (TorchError, InputError) as error:
            # what a layer refuses does not depend on the layout
            if layout != "auto" or error.rule not in ("torch.sample", "torch.disagrees"):
                raise
            failure = failure or error
            continue
        if network.inputs[0].shape == shape or layout != "auto":
            return network
    if failure is not None:
        raise failure
    raise TorchError(
        "the module reads this sample as another shape", got=network.inputs[0].shape,
        limit=shape, where=type(module).__name__, hint="--layout NT, TN or N", rule="torch.sample",
    )  # fmt: skip


def _samples(shape: tuple[int, ...], n_steps: int, layout: str, seed: int) -> Iterator[Any]:
    axes = {"NT": (_N_SAMPLES, n_steps), "TN": (n_steps, _N_SAMPLES), "N": (_N_SAMPLES,)}
    for name in ("NT", "TN", "N") if layout == "auto" else (layout,):
        generator = torch.Generator().manual_seed(seed)
        yield (torch.rand(*axes[name], *shape, generator=generator) < _RATE).float()
