"""Which layers are neurons: those of ``nmhw.torch``, and other frameworks' by name."""

from __future__ import annotations

from torch import nn

from nmhw.errors import TorchError
from nmhw.torch.framework_neurons import READERS, FoundNeurons, type_name
from nmhw.torch.neurons import Neurons


def is_neuron(module: nn.Module) -> bool:
    """Whether a layer is one of neurons, read by ``find_neurons`` or refused by name there."""
    return isinstance(module, Neurons) or _base(module) is not None


def keeps_states(module: nn.Module) -> bool:
    """Whether a module that is no layer of neurons keeps what it saw last (containers do)."""
    names = ((c.__module__.partition(".")[0], c.__name__) for c in type(module).__mro__)
    return ("spikingjelly", "MemoryModule") in names


def own_step_s(module: nn.Module) -> float | None:
    """Return the step length that a layer of neurons carries itself."""
    if isinstance(module, Neurons):
        return module.profile.dt_s
    dt = getattr(module, "dt", None)
    return float(dt) if _package(module) == "norse" and dt is not None else None


def find_neurons(module: nn.Module, dt_s: float, where: str) -> FoundNeurons:
    """Return what a layer of neurons computes.

    Raises
    ------
    TorchError
        For neurons of a framework that are not read, and options that no profile expresses.
    """
    if isinstance(module, Neurons):
        given = dict(module.parameters_given)
        return FoundNeurons(module.kind, given, module.profile, "NT")
    package = _base(module) or ""
    reader = READERS.get((package, type_name(module, package)))
    if reader is None:
        known = ", ".join(name for found, name in READERS if found == package)
        raise TorchError(
            "these neurons have no equation that NIR and the chips share",
            got=f"{package}'s {type_name(module, package)}", where=where,
            hint=f"{known}; train with those", rule="torch.neuron",
        )  # fmt: skip
    return reader(module, dt_s, where)


#: Classes that all neurons of a framework come from.
_BASES = {
    "snntorch": ("SpikingNeuron",),
    "norse": ("SNN", "SNNCell", "SNNRecurrent", "SNNRecurrentCell"),
    "spikingjelly": ("BaseNode",),
    "sinabs": ("StatefulLayer",),
}


def _base(module: nn.Module) -> str | None:
    """Return the framework whose neurons a layer is, or None."""
    for cls in type(module).__mro__:
        package = cls.__module__.partition(".")[0]
        if cls.__name__ in _BASES.get(package, ()) or (package, cls.__name__) in READERS:
            return package
    return None


def _package(module: nn.Module) -> str:
    packages = (cls.__module__.partition(".")[0] for cls in type(module).__mro__)
    return next((p for p in packages if p not in ("builtins", "__main__")), "")
