"""Settings for every test: hypothesis runs the same examples on every machine."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "explore", deadline=None, max_examples=1000, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "bounds",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=_SLOW_IS_FINE,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the stored test data."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def lava_vectors() -> ModuleType:
    """Reader and replay of recorded Lava runs, for stored (golden) and fresh (live) ones."""
    return _load_script("lava_vectors")


@pytest.fixture(scope="session")
def event_writers() -> ModuleType:
    """Writers of event files, byte by byte, for unit and live tests."""
    return _load_script("event_writers")


@pytest.fixture(scope="session")
def spinnaker2_rule() -> ModuleType:
    """The SpiNNaker2 rule as a plain script."""
    return _load_script("spinnaker2_rule")


@pytest.fixture(scope="session")
def crossbar_rules() -> ModuleType:
    """The documented rules of ODIN, tinyODIN, TrueNorth, RANC and ReckOn as plain scripts."""
    return _load_script("crossbar_rules")


@pytest.fixture(scope="session")
def sinabs_vectors() -> ModuleType:
    """Reader and replay of recorded sinabs runs, for stored (golden) and fresh (live) ones."""
    return _load_script("sinabs_vectors")


@pytest.fixture(scope="session")
def xylo_vectors() -> ModuleType:
    """Reader and replay of recorded xylosim runs, for stored (golden) and fresh (live) ones."""
    return _load_script("xylo_vectors")


def _load_script(name: str) -> ModuleType:
    path = Path(__file__).parent / "golden" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
