"""Settings for every test: hypothesis runs the same examples on every machine."""

import os
from pathlib import Path

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
