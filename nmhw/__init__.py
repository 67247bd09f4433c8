"""Map trained spiking networks to neuromorphic chips: does it fit, does it work, what does it cost.

Public names are loaded on first use (PEP 562), so that ``import nmhw`` stays fast: neither Numba
nor SciPy nor PyTorch is imported before something needs it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULE_OF_NAME = {
    "ChipSpec": "nmhw.values.chip",
    "Deployment": "nmhw.api.deployment",
    "Mapping": "nmhw.values.mapping",
    "Network": "nmhw.values.network",
    "NeuronModel": "nmhw.values.neuron",
    "NmhwError": "nmhw.errors",
    "Population": "nmhw.values.network",
    "Probe": "nmhw.values.probe",
    "Profile": "nmhw.values.profile",
    "Projection": "nmhw.values.network",
    "QuantizedNetwork": "nmhw.values.quantized",
    "Readout": "nmhw.values.readout",
    "Run": "nmhw.api.run",
    "RunResult": "nmhw.values.result",
    "SpikeEvents": "nmhw.values.events",
    "Trace": "nmhw.values.trace",
    "chip": "nmhw.api.reading",
    "compare": "nmhw.api.comparison",
    "cost": "nmhw.api.costing",
    "deploy": "nmhw.api.deploying",
    "from_torch": "nmhw.torch.conversion",
    "host_stage": "nmhw.api.input_stage",
    "learn": "nmhw.api.learning",
    "load": "nmhw.api.reading",
    "load_events": "nmhw.api.events",
    "load_result": "nmhw.api.run",
    "load_trace": "nmhw.api.costing",
    "map_network": "nmhw.api.deploying",
    "quantize": "nmhw.api.deploying",
    "record": "nmhw.torch.recording",
    "run_float": "nmhw.api.float_run",
    "save_trace": "nmhw.api.costing",
}

__all__ = ["__version__", *_MODULE_OF_NAME]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, once."""
    module_name = _MODULE_OF_NAME.get(name)
    if module_name is None:
        raise AttributeError(f"module 'nmhw' has no attribute {name!r}")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise AttributeError(
            f"nmhw.{name} is not available: {module_name} is missing from this installation"
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
