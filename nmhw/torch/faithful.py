"""What no network can say of a module, though a trace of one sample would not show it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nmhw.errors import InputError, TorchError
from nmhw.torch.tracing import Trace
from nmhw.values.notice import Notice

_COARSE = (torch.float16, torch.bfloat16)


def refuse_numbers(module: nn.Module, sample: torch.Tensor) -> None:
    """Refuse an empty sample, and parameters that are not finite.

    Raises
    ------
    InputError
    """
    if not sample.numel():
        raise InputError(
            "the sample holds no numbers", got=f"shape {tuple(sample.shape)}",
            where=type(module).__name__, hint="one sample or more, one step or more",
            rule="torch.sample",
        )  # fmt: skip
    tensors: list[tuple[str, torch.Tensor]] = list(module.named_parameters())
    for path, part in module.named_modules():
        if isinstance(part, _BatchNorm):
            tensors += [(f"{path}.{name}", t) for name, t in part.named_buffers(recurse=False)]
    for name, tensor in tensors:
        if tensor.is_meta or not tensor.is_floating_point():
            continue
        bad = ~torch.isfinite(tensor)
        if bool(bad.any()):
            place = [int(k) for k in bad.nonzero()[0]]
            raise InputError(
                "a parameter is not finite", got=f"{tensor[tuple(place)].item()} at {place}",
                where=f"{type(module).__name__}.{name}",
                hint="a training run that diverged? weights from an earlier epoch",
                rule="torch.finite",
            )  # fmt: skip


def refuse_chance(trace: Trace) -> None:
    """Refuse a module that draws random numbers, or whose Python looks at the data.

    Raises
    ------
    TorchError
    """
    if trace.drawn:
        raise TorchError(
            "the module draws random numbers in evaluation mode; a network has none",
            got=trace.drawn[0], where=trace.drawn[0].split(":")[0],
            hint="noise under `if self.training`, functional.dropout(x, p, self.training); "
            "encoders outside of the module",
            rule="torch.random",
        )  # fmt: skip
    for name, numbers in trace.reads:
        if not trace.driven.isdisjoint(numbers):
            raise TorchError(
                "the module's Python looks at the data, and another sample may take another branch",
                got=name, where=name.split(":")[0],
                hint="no if, assert or .item() of what depends on the input; check=False keeps the "
                "branch that this sample takes",
                rule="torch.data-branch",
            )  # fmt: skip


def precision_notices(trace: Trace) -> list[Notice]:
    """Return a notice for a module that computes in less than float32."""
    coarse = {t.dtype for k in trace.driven if (t := trace.values[k]).dtype in _COARSE}
    text = (
        "the module computes in {}: its own rounding moves membranes by a thousandth and spikes "
        "with them; the float run has the same weights in float64"
    )
    return [
        Notice("torch.precision", "network", text.format(str(d).removeprefix("torch.")), "warning",
               "model.float() before the conversion", about="network")
        for d in sorted(coarse, key=str)
    ]  # fmt: skip
