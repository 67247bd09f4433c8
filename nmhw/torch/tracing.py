"""What a module does with a sample: every call of a layer and every function between layers.

The module is executed, not parsed: loops over steps, states handed around by the user, shared
stateless layers and any Python in between are followed as they happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nmhw.errors import InputError, TorchError

#: Functions that take a tensor for its shape alone.
MAKERS = frozenset(
    {"zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "new_zeros", "new_ones",
     "new_full", "new_empty"}
)  # fmt: skip

_DRAWS = frozenset(
    {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal",
     "normal_", "uniform_", "bernoulli", "bernoulli_", "poisson", "multinomial", "exponential_"}
)  # fmt: skip
_DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"})
_READS = frozenset({"__bool__", "__int__", "__float__", "__index__", "item", "tolist"})


@dataclass(slots=True, eq=False)
class Call:
    """One call of a layer or function; ``inputs`` and ``outputs`` are numbers of values.

    Attributes
    ----------
    name : str
        Path of the submodule (``conv1``), or of the function behind its module's path.
    module : torch.nn.Module or None
        The layer; None for a function.
    function : str
        Name of a function, "" for a layer.
    arguments : tuple
        A function's positional arguments as given.
    keywords : dict
    target : callable or None
        The function itself, to apply it to other tensors.
    """

    name: str
    module: nn.Module | None
    function: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...] = ()
    target: Any = None


@dataclass(slots=True, eq=False)
class Trace:
    """All calls in order, all tensors, and who made them (index of a call; absent = given).

    ``driven`` are the tensors that depend on the input, ``root``; ``drawn`` the calls between
    layers that make random numbers, ``reads`` those that hand numbers of tensors to Python.
    """

    calls: list[Call] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)
    maker: dict[int, int] = field(default_factory=dict)
    root: int = 0
    results: tuple[int, ...] = ()
    driven: frozenset[int] = frozenset()
    drawn: list[str] = field(default_factory=list)
    reads: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def calls_of(self, module: nn.Module) -> list[int]:
        """Return the indices of a layer's calls."""
        return [k for k, call in enumerate(self.calls) if call.module is module]


class Recorder(TorchFunctionMode):
    """Numbers tensors and notes calls while a module runs."""

    def __init__(self, names: dict[nn.Module, str], is_layer: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self.trace = Trace()
        self._names, self._is_layer = names, is_layer
        self._number: dict[int, int] = {}
        self._inside: list[nn.Module] = []
        self._open: nn.Module | None = None

    def number(self, tensor: torch.Tensor) -> int:
        """Return the number of a tensor; tensors never seen before come from outside."""
        if id(tensor) not in self._number:
            self._number[id(tensor)] = len(self.trace.values)
            self.trace.values.append(tensor)
        return self._number[id(tensor)]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        keywords = kwargs or {}
        out = func(*args, **keywords)
        if self._open is None:
            made = tensors_in(out)
            given = tensors_in((args, keywords))
            path = self._names[self._inside[-1]] if self._inside else ""
            function = getattr(func, "__name__", str(func))
            name = f"{path}: {function}" if path else function
            if function in _READS:
                self.trace.reads.append((name, self._numbers(given)))
            if function in _DRAWS or (function in _DROPOUTS and _is_training(args, keywords)):
                self.trace.drawn.append(name)
            if made and given:
                call = Call(name, None, function, args, keywords, self._numbers(given), (), func)
                self._note(call, made)
        return out

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that a module starts."""
        if self._open is not None:
            return
        self._inside.append(module)
        if self._is_layer(module):
            self._open = module
            self._given = self._numbers(tensors_in((args, kwargs)))

    def after(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        """Note what a module returned."""
        if self._open is module:
            self._open = None
            call = Call(self._names[module], module, "", (), {}, self._given)
            self._note(call, tensors_in(out))
        if self._open is None and self._inside:
            self._inside.pop()

    def _numbers(self, tensors: list[torch.Tensor]) -> tuple[int, ...]:
        return tuple(self.number(t) for t in tensors)

    def _note(self, call: Call, made: list[torch.Tensor]) -> None:
        index = len(self.trace.calls)
        self.trace.calls.append(call)
        outputs = []
        # the spikes may stand once more among the states
        for tensor in {id(t): t for t in made}.values():
            # a tensor that was changed in place, or handed through, is a new value of this call
            self._number[id(tensor)] = len(self.trace.values)
            self.trace.maker[len(self.trace.values)] = index
            outputs.append(len(self.trace.values))
            self.trace.values.append(tensor)
        call.outputs = tuple(outputs)


def trace_module(
    module: nn.Module, sample: torch.Tensor, is_layer: Callable[[nn.Module], bool]
) -> Trace:
    """Run a module once on ``sample`` and return what it did.

    Raises
    ------
    InputError
        When the module fails on the sample.
    """
    names = {part: path or type(module).__name__ for path, part in module.named_modules()}
    recorder = Recorder(names, is_layer)
    hooks = []
    for part in names:
        hooks.append(part.register_forward_pre_hook(recorder.before, with_kwargs=True))
        hooks.append(part.register_forward_hook(recorder.after, with_kwargs=True))
    recorder.trace.root = recorder.number(sample)
    try:
        with torch.no_grad(), recorder:
            out = module(sample)
    except TorchError:
        raise
    except Exception as error:
        raise InputError(
            "the module fails on the sample", got=f"{type(error).__name__}: {error}",
            where=type(module).__name__, hint="a sample as the module takes it in training",
            rule="torch.sample",
        ) from error  # fmt: skip
    finally:
        for hook in hooks:
            hook.remove()
    recorder.trace.results = tuple(recorder.number(t) for t in tensors_in(out))
    recorder.trace.driven = _driven_values(recorder.trace)
    return recorder.trace


def _is_training(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Whether a functional dropout drops anything; its own default is to do so."""
    chance = keywords.get("p", arguments[1] if len(arguments) > 1 else 0.5)
    training = keywords.get("training", arguments[2] if len(arguments) > 2 else True)
    return bool(training) and chance > 0


def _driven_values(trace: Trace) -> frozenset[int]:
    """Return the values that depend on the input."""
    driven = {trace.root}
    for call in trace.calls:
        if call.function not in MAKERS and not driven.isdisjoint(call.inputs):
            driven.update(call.outputs)
    return frozenset(driven)


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Return the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []
